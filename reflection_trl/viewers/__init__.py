"""Pages and terminal views of rows: [`~reflection_trl.viewers.tokens`] shows one token by token, [`~reflection_trl.viewers.browse`] a whole dataset."""
