"""Changes of a workload: a wish becomes a plan, and a plan is applied only after a yes."""
