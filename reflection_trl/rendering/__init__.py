"""From a row to token ids that know what they are: part, block, trained on or not.

Two renderings share one result, [`Rendering`]: [`ChatTemplateRenderer`] writes the row with the model's own chat template,
[`BlockTokenRenderer`] in the published block-token format. [`tokenize`] turns either into token arrays with one
tokenization and its offsets; role tokens are never searched for.

A reflection row has five parts, in this order:

| part | example (ChatML) | the student sees it |
|---|---|---|
| prefix | BOS, default system prompt | always (`hide_prefix=False`) |
| reflection instruction | `<|im_start|>user ... <|im_end|>` | never |
| reflection sequence, in blocks | assistant and tool turns | less and less |
| re-answer instruction | `<|im_start|>user ... <|im_start|>assistant` | always |
| answer | the final answer and its end token | always |

The invariant that matters at inference: prefix and re-answer instruction together are, token for token, the prompt that
the chat template gives for the one-off request alone. [`ChatTemplateRenderer.tokenize`] checks it for each row.

This package knows nothing of masks, batches or models' weights.
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
