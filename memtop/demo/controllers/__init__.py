"""The controllers of the embedded cluster: from a workload's specification to its pods."""
