"""Alert rules and dashboards from what one Prometheus has, and what the rules would have done in its past."""
