"""The pod screen: one container of a pod or one workload, its verdict, and tabs that tell more of it."""
