"""Heap files of any origin: what a heap held, by type, and what grew between two of them."""
