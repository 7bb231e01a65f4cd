"""The HTTP face of the embedded cluster."""
