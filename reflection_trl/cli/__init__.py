"""The commands, each a module with `main`; `recipes/*.py` are scripts of a few lines over them."""
