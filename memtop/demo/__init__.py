"""An embedded, simulated cluster: a real HTTP server that speaks the Kubernetes and Prometheus APIs."""
