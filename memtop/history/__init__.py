"""Samples from before memtop looked: from Prometheus and from the archive on disk."""
