"""The screen of a rollout."""
