"""The inside of a simulated container: its files, its processes and a small shell."""
