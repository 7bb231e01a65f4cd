"""The workload: its pods, its revisions, and how they grow."""
