"""Container logs: read, kept within bounds, searched, and understood where they tell of memory."""
