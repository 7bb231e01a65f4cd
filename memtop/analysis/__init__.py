"""From series to verdict: numbers in, verdict out. Knows neither Kubernetes nor Prometheus."""
