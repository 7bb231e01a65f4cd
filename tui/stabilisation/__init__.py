"""The stabilisation screen."""
