"""The overview: what holds memory, what restarts and what grows."""
