"""The Prometheus side of the embedded cluster: a subset of PromQL over the simulated past."""
