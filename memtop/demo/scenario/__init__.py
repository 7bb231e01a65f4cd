"""Who lives in the embedded cluster."""
