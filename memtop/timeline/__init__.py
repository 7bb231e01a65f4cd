"""Since when a workload leaks, and what changed in the cluster then."""
