"""The timeline of a workload on the screen."""
