"""The manual: pages, and the program that makes some of them."""
