"""What log lines say of the heap and its collector, in numbers."""
