"""Alert rules on the screen."""
