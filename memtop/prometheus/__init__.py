"""Prometheus: find it, query it, turn answers into series."""
