"""What the processes of a container hold: memory by kind, language runtimes, heap captures."""
