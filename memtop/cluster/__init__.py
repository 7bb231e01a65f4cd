"""Kubernetes: connect, list and watch, metrics, describe, logs, exec, changes and rollouts."""
