"""Rollouts: how far one is in kubectl's words, why it does not go on, and what becomes of those left."""
