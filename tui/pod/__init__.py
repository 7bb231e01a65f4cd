"""One pod: what is judged of its memory, and on what evidence."""
