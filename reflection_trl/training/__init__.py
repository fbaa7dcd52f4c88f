"""Reflection self-distillation: rows of tokens -> masked batch -> loss -> model, and the trainer over them."""
