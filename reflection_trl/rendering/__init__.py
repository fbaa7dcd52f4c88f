"""Converts rows to token ids that are labeled with their part, their block and whether they are trained on.

Two renderers share one result, [`Rendering`]: [`ChatTemplateRenderer`] uses the model's chat template, and
[`BlockTokenRenderer`] uses the published block-token format. [`tokenize`] converts either to token arrays, with one
tokenization and its offsets. It does not search for role tokens.

A reflection row has five parts, in this order:

| part | example (ChatML) | visible to the student |
|---|---|---|
| prefix | BOS, default system prompt | always (`hide_prefix=False`) |
| reflection instruction | `<|im_start|>user ... <|im_end|>` | never |
| reflection sequence, in blocks | assistant and tool turns | less as the mask rate grows |
| re-answer instruction | `<|im_start|>user ... <|im_start|>assistant` | always |
| answer | the final answer and its end token | always |

At inference, one invariant matters: prefix and re-answer instruction together are, token for token, the prompt that
the chat template gives for the one-off request alone. [`ChatTemplateRenderer.tokenize`] checks this for each row.

This package does not depend on masks, batches or model weights.
"""

from .block_tokens import BLOCK_TOKEN_CHAT_TEMPLATE, BLOCK_TOKENS, BlockTokenRenderer
from .chat_template import ChatTemplateRenderer, executions_as_user_turns
from .tokens import INSTRUCTION, VISIBLE, Rendering, UnrenderableRow, check_tokenizer, encode, tokenize


__all__ = [
    "BLOCK_TOKENS",
    "BLOCK_TOKEN_CHAT_TEMPLATE",
    "INSTRUCTION",
    "VISIBLE",
    "BlockTokenRenderer",
    "ChatTemplateRenderer",
    "Rendering",
    "UnrenderableRow",
    "check_tokenizer",
    "encode",
    "executions_as_user_turns",
    "tokenize",
]
