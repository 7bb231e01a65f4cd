"""Stabilisation: watches a workload after a change until it is known whether the change has helped."""
