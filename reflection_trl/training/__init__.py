"""Implements reflection self-distillation: from token rows to a masked batch, its loss, the model, and the trainer."""
