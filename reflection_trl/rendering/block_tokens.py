"""
Renders rows in the published block-token format, and defines the chat template for serving a model trained on it.
"""

from typing import TYPE_CHECKING, Any

from ..fences import strip_fence
from ..sequences import split_blocks
from .tokens import Rendering, UnrenderableRow, check_tokenizer, tokenize


if TYPE_CHECKING:  # `show` without a tokenizer does not import transformers
    from transformers import PreTrainedTokenizerBase


BLOCK_TOKENS = {
    "user": "<|user|>",
    "assistant": "<|assistant|>",
    "text": "<|text|>",
    "code": "<|code|>",
    "execution": "<|execution|>",
    "end_of_block": "<|endofblock|>",
    "end_of_message": "<|endofmessage|>",
}

# The chat template for one-off prompts to a model trained on block tokens. The content of every turn is one text block
BLOCK_TOKEN_CHAT_TEMPLATE = (
    "{{ bos_token }}"
    "{% for message in messages %}"
    "{% if message['role'] not in ['user', 'assistant'] %}"
    "{{ raise_exception('The block-token format has user and assistant turns only, not ' + message['role']) }}"
    "{% endif %}"
    "{{ '<|' + message['role'] + '|><|text|>' + message['content'] + '<|endofblock|><|endofmessage|>' }}"
    "{% endfor %}"
    "{% if add_generation_prompt %}{{ '<|assistant|>' }}{% endif %}"
)


class BlockTokenRenderer:
    """
    Renders rows in the published block-token format, in which seven special tokens mark turns and typed blocks.

    `<|user|><|text|>...<|endofblock|><|endofmessage|><|assistant|><|text|>...<|endofblock|><|code|>...`, after the
    tokenizer's BOS and before its EOS, as in the published code. The vocabulary must contain the tokens: see
    [`~reflection_trl.training.block_tokens.add_block_tokens`].

    Args:
        tokenizer ([`~transformers.PreTrainedTokenizerBase`]):
            Fast tokenizer that has the block tokens.
        hide_prefix (`bool`, *optional*, defaults to `False`):
            Whether the student does not see BOS, as in the published code.

    Raises:
        ValueError: If the tokenizer is not fast or lacks block tokens.
    """

    def __init__(self, tokenizer: "PreTrainedTokenizerBase", hide_prefix: bool = False):
        check_tokenizer(tokenizer)
        missing = [token for token in BLOCK_TOKENS.values() if token not in tokenizer.get_vocab()]
        if missing:
            raise ValueError(
                f"The tokenizer of '{tokenizer.name_or_path}' lacks the block tokens {' '.join(missing)}; add them with "
                f"`add_block_tokens(model, tokenizer)`, or use `rendering='chat'`."
            )
        self.tokenizer = tokenizer
        self.hide_prefix = hide_prefix

    def render(self, row: dict[str, Any]) -> Rendering:
        """
        Renders a valid row.

        Args:
            row (`dict`):
                Row that passed [`~reflection_trl.sequences.validate_row`].

        Returns:
            [`Rendering`]: Text and spans.

        Raises:
            UnrenderableRow: If the row has a system turn, which the format does not support.
        """
        messages = row["messages"]
        if messages[0]["role"] == "system":
            raise UnrenderableRow("the block-token format has no system turns")
        text = prefix = self.tokenizer.bos_token or ""
        blocks: list[tuple[str, int]] = []
        trained, boundaries = [], [len(prefix)]
        end_of_block, end_of_message = BLOCK_TOKENS["end_of_block"], BLOCK_TOKENS["end_of_message"]
        last = len(messages) - 1
        answer_start = 0
        for index, message in enumerate(messages):
            # Consecutive assistant and tool turns are blocks of one message
            role = "assistant" if message["role"] == "tool" else message["role"]
            opens = index == 0 or role != ("user" if messages[index - 1]["role"] == "user" else "assistant")
            closes = index == last or role != ("user" if messages[index + 1]["role"] == "user" else "assistant")
            if opens:
                boundaries.append(len(text))
                text += BLOCK_TOKENS[role]
            if index == last:
                answer_start = len(text)
            for number, block in enumerate(split_blocks(message)):
                # The token of a message belongs to its first block
                start = boundaries[-1] if opens and number == 0 else len(text)
                if role == "assistant" and index < last:
                    blocks.append((block.type, start))
                block_start = len(text)
                content = message["content"][block.start : block.end]
                if block.type == "code":
                    content = strip_fence(content)
                text += f"{BLOCK_TOKENS[block.type]}{content}{end_of_block}"
                if role == "assistant" and block.type != "execution":
                    trained.append((block_start, len(text)))
            if closes:
                if role == "assistant":
                    trained.append((len(text), len(text) + len(end_of_message)))
                text += end_of_message
        eos = self.tokenizer.eos_token or ""
        trained.append((len(text), len(text) + len(eos)))
        text += eos
        if row["type"] == "generation":
            return Rendering(text=text, answer_start=answer_start, trained=trained)
        _, _, sequence_start, reanswer_start, _ = boundaries
        return Rendering(
            text=text,
            answer_start=answer_start,
            trained=trained,
            prefix_end=0 if self.hide_prefix else len(prefix),
            sequence_start=sequence_start,
            reanswer_start=reanswer_start,
            blocks=blocks,
        )

    def tokenize(self, row: dict[str, Any]) -> dict[str, Any]:
        """
        Renders and tokenizes a valid row.

        Args:
            row (`dict`):
                Row that passed [`~reflection_trl.sequences.validate_row`].

        Returns:
            `dict`: The columns that [`tokenize`] describes.
        """
        return tokenize(self.render(row), self.tokenizer)
