"""The rollout screen."""
