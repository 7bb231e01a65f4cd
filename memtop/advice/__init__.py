"""What to do about a workload's memory: sizes, runtime flags, dumps and code, each with its reason."""
