"""Changes of a workload and their rollouts.

A request becomes a plan, a plan is applied after a yes, and the rollout is followed.
"""
