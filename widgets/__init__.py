"""Textual widgets: plain data in, picture out. No I/O and no Kubernetes."""
