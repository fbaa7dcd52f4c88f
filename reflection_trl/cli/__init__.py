"""Implements the commands, each in a module with `main`. The scripts `recipes/*.py` call them."""
