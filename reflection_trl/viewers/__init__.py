"""
Shows rows as pages and in the terminal: [`~reflection_trl.viewers.tokens`] shows one row token by token,
[`~reflection_trl.viewers.browse`] a whole dataset.
"""
