"""The controllers of the embedded cluster: from a workload's wish to its pods."""
