"""What a container's processes hold, asked of the container itself: memory by kind, heap captures."""
