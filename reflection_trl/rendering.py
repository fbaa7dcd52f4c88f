"""From a row to token ids that know what they are: part, block, trained on or not.

Two renderings share one result, [`Rendering`]: [`ChatTemplateRenderer`] writes the row with the model's own chat template,
[`BlockTokenRenderer`] in the published block-token format. [`tokenize`] turns either into token arrays with one
tokenisation and its offsets; role tokens are never searched for.

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

This module knows nothing of masks, batches or models' weights.
"""

import json
from dataclasses import dataclass, field
from typing import Any

import numpy as np
from jinja2.exceptions import TemplateError
from transformers import PreTrainedTokenizerBase
from transformers.utils import logging

from .sequences import BLOCK_TYPES, Block, split_blocks, strip_fence


logger = logging.get_logger(__name__)

# Values of the token column `block_ids` that are not blocks of the reflection sequence, which count from 1
VISIBLE = -1
INSTRUCTION = 0

BLOCK_TOKENS = {
    "user": "<|user|>",
    "assistant": "<|assistant|>",
    "text": "<|text|>",
    "code": "<|code|>",
    "execution": "<|execution|>",
    "end_of_block": "<|endofblock|>",
    "end_of_message": "<|endofmessage|>",
}

# Serves one-off prompts to a model trained on block tokens; every turn's content is one text block
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


class UnrenderableRow(ValueError):
    """A valid row that this chat template cannot express; such rows are dropped and counted, not fatal."""


@dataclass
class Rendering:
    """
    One row as text, with character spans.

    Args:
        text (`str`):
            The whole row, up to and including the end token of the last answer.
        answer_start (`int`):
            Where the final answer begins: all before it is what the model is prompted with.
        trained (`list[tuple[int, int]]`):
            Spans with next-token loss: what the assistant writes, end tokens included.
        prefix_end (`int`, *optional*, defaults to `0`):
            End of BOS and system prompt.
        sequence_start (`int`, *optional*, defaults to `0`):
            Where the reflection instruction ends and the first block begins.
        reanswer_start (`int`, *optional*, defaults to `0`):
            Where the last block ends and the re-answer instruction begins.
        blocks (`list[tuple[str, int]]`, *optional*):
            Type and start of each block of the reflection sequence; each ends where the next one starts, the last at
            `reanswer_start`. Empty for generation rows.
    """

    text: str
    answer_start: int
    trained: list[tuple[int, int]]
    prefix_end: int = 0
    sequence_start: int = 0
    reanswer_start: int = 0
    blocks: list[tuple[str, int]] = field(default_factory=list)


class ChatTemplateRenderer:
    """
    Renders rows with a tokenizer's own chat template.

    The template is rendered once with placeholders for the contents; what stands between them are its headers and ends
    of turns. So spans need no knowledge of any model family, and a template that drops, reorders or rewrites turns is
    noticed.

    Two things are written differently where a template asks for it: a system prompt that it puts into a user turn (Gemma 3,
    Mistral, CodeLlama) goes into both requests, as a one-off prompt has it; and where roles must alternate, an empty
    assistant turn, not trained on, stands between an execution and the user's next turn.

    Args:
        tokenizer ([`~transformers.PreTrainedTokenizerBase`]):
            Fast tokenizer with a chat template.
        execution_role (`str`, *optional*, defaults to `"auto"`):
            Role of execution output: `"tool"`, `"user"` (a user turn by itself), or `"auto"`: `"tool"` where the template
            renders tool turns as turns of their own, `"user"` otherwise.
        hide_prefix (`bool`, *optional*, defaults to `False`):
            Whether BOS and system prompt are hidden from the student, as in the published code.
        chat_template_kwargs (`dict`, *optional*):
            Further variables for the template, such as `{"enable_thinking": False}`.
    """

    def __init__(
        self,
        tokenizer: PreTrainedTokenizerBase,
        execution_role: str = "auto",
        hide_prefix: bool = False,
        chat_template_kwargs: dict[str, Any] | None = None,
    ):
        require_fast_tokenizer(tokenizer)
        if not tokenizer.chat_template:
            raise ValueError(
                f"The tokenizer of '{tokenizer.name_or_path}' has no chat template; use an instruct model, set "
                f"`chat_template_path`, or train with `rendering='block-token'`."
            )
        self.tokenizer = tokenizer
        self.hide_prefix = hide_prefix
        self.chat_template_kwargs = chat_template_kwargs or {}
        self._turns: dict[bool, _TurnTexts] = {}
        self._turn_texts(False)  # a template that loses turns is an error of the whole run, and an early one
        self.execution_role = self._resolve_execution_role(execution_role)
        self._alternates = self.execution_role == "user" and not self._takes_neighbouring_user_turns()

    @property
    def stop_token(self) -> str | None:
        """The special token that ends an answer; `None` where the template has none."""
        stop = self._turn_texts(False).last_stop
        ends = [token for token in self.tokenizer.get_added_vocab() if token.strip() and stop.endswith(token)]
        return max(ends, key=len, default=None)

    def render(self, row: dict[str, Any]) -> Rendering:
        """
        Render a valid row.

        Args:
            row (`dict`):
                Row that passed [`~reflection_trl.sequences.validate_row`].

        Returns:
            [`Rendering`]: Text and spans.

        Raises:
            UnrenderableRow: If the template cannot express the row.
        """
        messages = self._fold_system(
            self._with_execution_role(row["messages"]), is_reflection=row["type"] == "reflection"
        )
        has_system = messages[0]["role"] == "system"
        turns = self._turn_texts(has_system)
        try:
            text, contents, between = self._locate(messages)
        except TemplateError as error:
            raise UnrenderableRow(f"the chat template refuses its turns ({error})") from None

        last = len(messages) - 1
        if not between[last].startswith(turns.generation_prompt):
            raise UnrenderableRow(
                "the chat template's generation prompt opens an answer in another way than its assistant turns; for a "
                "thinking model, set `chat_template_kwargs={'enable_thinking': False}`"
            )
        answer_start = contents[last - 1][1] + len(turns.generation_prompt)
        trained = []
        for index, message in enumerate(messages):
            if message["role"] == "assistant" and not message.get("filler"):
                # The model itself writes what stands between the opening of its turn and the content (Mistral's space)
                opens_at = between[index].rfind(turns.opening)
                start = contents[index][0] if opens_at < 0 else contents[index - 1][1] + opens_at + len(turns.opening)
                start = answer_start if index == last else start
                stop = turns.last_stop if index == last else turns.stop
                trained.append((start, contents[index][1] + len(stop) * between[index + 1].startswith(stop)))
        # Whatever follows the end token (ChatML's newline) is never predicted and never seen
        text = text[: trained[-1][1]]
        if row["type"] == "generation":
            return Rendering(text=text, answer_start=answer_start, trained=trained)

        first_user = 1 if has_system else 0
        header = turns.user_header
        if not (between[first_user].endswith(header) and between[last - 1].endswith(header)):
            raise UnrenderableRow("the chat template opens its first user turn in another way than its last one")
        prefix_end = 0 if self.hide_prefix else contents[first_user][0] - len(header)
        reanswer_start = contents[last - 1][0] - len(header)

        blocks: list[tuple[str, int]] = []
        for index in range(first_user + 1, last - 1):
            if messages[index].get("filler"):  # belongs to what stands before it
                continue
            turn_start = contents[index - 1][1] + turns.boundary(between[index])
            content_start, content_end = contents[index]
            # Leading whitespace that the template strips shifts the blocks
            shift = content_start - _stripped_before(messages[index]["content"], text[content_start:content_end])
            for number, block in enumerate(_blocks(messages[index])):
                start = min(max(shift + block.start, content_start), content_end)
                blocks.append((block.type, turn_start if number == 0 else start))
        return Rendering(
            text=text,
            answer_start=answer_start,
            trained=trained,
            prefix_end=prefix_end,
            sequence_start=blocks[0][1],
            reanswer_start=reanswer_start,
            blocks=blocks,
        )

    def tokenize(self, row: dict[str, Any]) -> dict[str, Any]:
        """
        Render and tokenise a valid row, and check that the student's prompt is the one-off prompt.

        Args:
            row (`dict`):
                Row that passed [`~reflection_trl.sequences.validate_row`].

        Returns:
            `dict`: The columns that [`tokenize`] describes.
        """
        columns = tokenize(self.render(row), self.tokenizer)
        if not self.hide_prefix:
            self._check_one_off_prompt(row, columns)
        return columns

    def one_off_prompt(self, row: dict[str, Any]) -> list[int]:
        """
        Token ids of the prompt that inference will give for the row's last request.

        Args:
            row (`dict`):
                Valid row.

        Returns:
            `list[int]`: Token ids.
        """
        messages = row["messages"]
        if row["type"] == "reflection":
            messages = ([messages[0]] if messages[0]["role"] == "system" else []) + [messages[-2]]
        else:
            messages = self._with_execution_role(messages[:-1])
        text = self._apply(messages, add_generation_prompt=True)
        return self.tokenizer(text, add_special_tokens=False)["input_ids"]

    def _check_one_off_prompt(self, row: dict[str, Any], columns: dict[str, Any]) -> None:
        answer_start = columns["answer_start"]
        seen = [
            token
            for token, block in zip(columns["input_ids"][:answer_start], columns["block_ids"], strict=False)
            if block == VISIBLE
        ]
        prompt = self.one_off_prompt(row)
        if seen != prompt:
            at = next(
                (i for i, (a, b) in enumerate(zip(seen, prompt, strict=False)) if a != b), min(len(seen), len(prompt))
            )
            raise UnrenderableRow(
                f"with everything hidden the student would see {self.tokenizer.decode(seen[at : at + 8])!r} at token {at}, "
                f"where the one-off prompt has {self.tokenizer.decode(prompt[at : at + 8])!r}"
            )

    def _apply(self, messages: list[dict[str, Any]], add_generation_prompt: bool = False) -> str:
        turns = [{"role": message["role"], "content": message["content"]} for message in messages]
        return self.tokenizer.apply_chat_template(  # type: ignore[return-value] # with `tokenize=False`
            turns, tokenize=False, add_generation_prompt=add_generation_prompt, **self.chat_template_kwargs
        )

    def _skeleton(self, messages: list[dict[str, Any]], add_generation_prompt: bool = False) -> list[str] | None:
        # The texts before, between and after the contents; None where the template loses or reorders one of them
        slots = [f"REFLECTION{i:04d}SLOT" for i in range(len(messages))]
        text = self._apply(
            [{"role": m["role"], "content": slot} for m, slot in zip(messages, slots, strict=True)],
            add_generation_prompt,
        )
        pieces = []
        for slot in slots:
            if text.count(slot) != 1:
                return None
            piece, text = text.split(slot)
            pieces.append(piece)
        return [*pieces, text]

    def _locate(self, messages: list[dict[str, Any]]) -> tuple[str, list[tuple[int, int]], list[str]]:
        between = self._skeleton(messages)
        if between is None:
            roles = "/".join(message["role"] for message in messages)
            raise UnrenderableRow(f"the chat template drops or reorders some of its turns ({roles})")
        text, position, contents = self._apply(messages), 0, []
        for index, message in enumerate(messages):
            position += len(between[index])
            for variant in _content_variants(message["content"]):
                end = position + len(variant)
                if text.startswith(variant, position) and text.startswith(between[index + 1], end):
                    break
            else:
                raise UnrenderableRow(f"the chat template rewrites the content of its {message['role']} turns")
            contents.append((position, end))
            position = end
        return text, contents, between

    def _turn_texts(self, has_system: bool) -> "_TurnTexts":
        if has_system not in self._turns:
            system = [{"role": "system"}] if has_system else []
            two = [*system, *({"role": role} for role in ("user", "assistant") * 2)]
            try:
                talk = self._skeleton(two)
                one_off = self._skeleton([*system, {"role": "user"}], add_generation_prompt=True)
            except TemplateError as error:
                if has_system:
                    raise UnrenderableRow(f"the chat template refuses its system turn ({error})") from None
                raise ValueError(
                    f"The chat template of '{self.tokenizer.name_or_path}' refuses plain user and assistant turns ({error}); "
                    f"set `chat_template_path` to one that takes string contents and alternating turns."
                ) from None
            if talk is None or one_off is None:
                if has_system:
                    raise UnrenderableRow("the chat template drops or reorders its system turn")
                raise ValueError(
                    f"The chat template of '{self.tokenizer.name_or_path}' drops or reorders plain user and assistant "
                    f"turns; set `chat_template_path` to one that renders every turn in order."
                )
            end_of_turn, to_next_user = talk[-1], talk[-3]
            last_stop = self._stop(end_of_turn)
            if last_stop is None:
                logger.warning(
                    "The chat template ends assistant turns without a special token, so the model may not learn to stop."
                )
            if to_next_user.startswith(end_of_turn):
                user_header = to_next_user[len(end_of_turn) :]
            else:  # the conversation's last turn ends in a way of its own
                user_header = _common_suffix(to_next_user, one_off[-2])
                end_of_turn = to_next_user[: len(to_next_user) - len(user_header)]
            self._turns[has_system] = _TurnTexts(
                end_of_turn=end_of_turn,
                stop=self._stop(end_of_turn) or end_of_turn,
                last_stop=last_stop or talk[-1],
                user_header=user_header,
                generation_prompt=one_off[-1],
            )
        return self._turns[has_system]

    def _stop(self, end_of_turn: str) -> str | None:
        # The end of a turn up to its first special token, which generation stops at; added tokens that are newlines or
        # spaces end nothing
        special = [token for token in self.tokenizer.get_added_vocab() if token.strip() and token in end_of_turn]
        ends = [end_of_turn[: end_of_turn.index(token) + len(token)] for token in special]
        return min(ends, key=len, default=None)

    def _with_execution_role(self, messages: list[dict[str, Any]]) -> list[dict[str, Any]]:
        return messages if self.execution_role == "tool" else _executions_as_user_turns(messages, self._alternates)

    def _fold_system(self, messages: list[dict[str, Any]], is_reflection: bool) -> list[dict[str, Any]]:
        # Some templates (Gemma 3, Mistral, CodeLlama) write the system prompt into a user turn. A one-off prompt has it in
        # its only one, so each request of a reflection row carries it: the first, and the last, which the student sees
        if messages[0]["role"] != "system":
            return messages
        header = self._turn_texts(False).user_header
        try:
            alone = self._skeleton([{"role": "user"}], add_generation_prompt=True)
            both = self._skeleton([{"role": "system"}, {"role": "user"}], add_generation_prompt=True)
        except TemplateError as error:
            raise UnrenderableRow(f"the chat template refuses its system turn ({error})") from None
        if not (alone and both and header and alone[0].endswith(header) and both[0].startswith(alone[0])):
            return messages
        system = f"{both[0].removeprefix(alone[0])}{messages[0]['content']}{both[1]}"
        messages = messages[1:]
        for index in {0, len(messages) - 2} if is_reflection else {0}:
            messages[index] = {**messages[index], "content": system + messages[index]["content"]}
        return messages

    def _resolve_execution_role(self, execution_role: str) -> str:
        if execution_role == "user":
            return "user"
        reason = self._why_no_tool_turns()
        if reason is None:
            return "tool"
        if execution_role == "tool":
            raise ValueError(
                f"`execution_role='tool'`, but the chat template of '{self.tokenizer.name_or_path}' {reason}; use 'auto' "
                f"or 'user'."
            )
        logger.warning(
            f"The chat template of '{self.tokenizer.name_or_path}' {reason}: execution output goes into user turns."
        )
        return "user"

    def _takes_neighbouring_user_turns(self) -> bool:
        try:
            return self._skeleton([{"role": role} for role in ("user", "user", "assistant")]) is not None
        except TemplateError:
            return False

    def _why_no_tool_turns(self) -> str | None:
        roles = ("user", "assistant", "tool", "assistant", "user", "assistant")
        try:
            between = self._skeleton([{"role": role} for role in roles])
        except (TemplateError, KeyError, TypeError) as error:
            return f"refuses tool turns ({error})"
        if between is None:
            return "drops tool turns"
        turns = self._turn_texts(False)
        to_tool, to_assistant = between[2].removeprefix(turns.end_of_turn), between[3]
        if to_tool and to_assistant.endswith(to_tool):
            return "renders tool turns as the assistant's own"
        return None


class BlockTokenRenderer:
    """
    Renders rows in the published block-token format: seven special tokens mark turns and typed blocks.

    `<|user|><|text|>...<|endofblock|><|endofmessage|><|assistant|><|text|>...<|endofblock|><|code|>...`, after the
    tokenizer's BOS and before its EOS, as the published code renders it. The tokens must be in the vocabulary: see
    [`~reflection_trl.block_tokens.add_block_tokens`].

    Args:
        tokenizer ([`~transformers.PreTrainedTokenizerBase`]):
            Fast tokenizer that has the block tokens.
        hide_prefix (`bool`, *optional*, defaults to `False`):
            Whether BOS is hidden from the student, as in the published code.
    """

    def __init__(self, tokenizer: PreTrainedTokenizerBase, hide_prefix: bool = False):
        require_fast_tokenizer(tokenizer)
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
        Render a valid row.

        Args:
            row (`dict`):
                Row that passed [`~reflection_trl.sequences.validate_row`].

        Returns:
            [`Rendering`]: Text and spans.

        Raises:
            UnrenderableRow: If the row has a system turn, which the format does not know.
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
            # Assistant and tool turns in a row are blocks of one message
            role = "assistant" if message["role"] == "tool" else message["role"]
            opens = index == 0 or role != ("user" if messages[index - 1]["role"] == "user" else "assistant")
            closes = index == last or role != ("user" if messages[index + 1]["role"] == "user" else "assistant")
            if opens:
                boundaries.append(len(text))
                text += BLOCK_TOKENS[role]
            if index == last:
                answer_start = len(text)
            for number, block in enumerate(_blocks(message)):
                # A message's own token belongs to its first block
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
        Render and tokenise a valid row.

        Args:
            row (`dict`):
                Row that passed [`~reflection_trl.sequences.validate_row`].

        Returns:
            `dict`: The columns that [`tokenize`] describes.
        """
        return tokenize(self.render(row), self.tokenizer)


def tokenize(rendering: Rendering, tokenizer: PreTrainedTokenizerBase) -> dict[str, Any]:
    """
    Tokenise a rendering once, with offsets, and say of each token what it is.

    Args:
        rendering ([`Rendering`]):
            Text and spans of one row.
        tokenizer ([`~transformers.PreTrainedTokenizerBase`]):
            Fast tokenizer.

    Returns:
        `dict` with

        - `input_ids` (`list[int]`, length L): the teacher's sample, or a plain row.
        - `trained` (`list[int]`, length L): 1 where a token is trained on (what the assistant writes), else 0.
        - `block_ids` (`list[int]`, length L): `VISIBLE` (-1), `INSTRUCTION` (0), or k >= 1 for the k-th block.
        - `block_types` (`list[int]`): index into `BLOCK_TYPES` of each block; empty for generation rows.
        - `answer_start` (`int`): index of the first token of the answer.
    """
    input_ids, starts, ends = encode(rendering, tokenizer)
    trained = np.zeros(len(input_ids), dtype=np.int8)
    for start, end in rendering.trained:
        trained |= (starts < end) & (ends > start)
    block_ids = np.full(len(input_ids), VISIBLE, dtype=np.int64)
    if rendering.blocks:
        block_starts = np.array([start for _, start in rendering.blocks])
        hidden = (starts >= rendering.prefix_end) & (starts < rendering.reanswer_start)
        block_ids[hidden] = np.searchsorted(block_starts, starts[hidden], side="right")
    return {
        "input_ids": input_ids,
        "trained": trained.tolist(),
        "block_ids": block_ids.tolist(),
        "block_types": [BLOCK_TYPES.index(block_type) for block_type, _ in rendering.blocks],
        "answer_start": int(np.searchsorted(starts, rendering.answer_start)),
    }


def require_fast_tokenizer(tokenizer: PreTrainedTokenizerBase) -> None:
    """
    Raise a clear error for tokenizers without offsets.

    Args:
        tokenizer ([`~transformers.PreTrainedTokenizerBase`]):
            Tokenizer.
    """
    if not tokenizer.is_fast:
        raise ValueError(
            f"The tokenizer of '{tokenizer.name_or_path}' gives no character offsets ({type(tokenizer).__name__} is not a "
            f"fast tokenizer); load it with `AutoTokenizer` and the `tokenizers` backend."
        )


@dataclass
class _TurnTexts:
    # What a chat template writes around contents: after an assistant's, that up to its end token, the same for the last
    # turn, before a user's, and between a user's and the answer to it
    end_of_turn: str
    stop: str
    last_stop: str
    user_header: str
    generation_prompt: str

    @property
    def opening(self) -> str:
        # What opens an assistant turn: the generation prompt, less the end of the user turn before it
        at = self.generation_prompt.find(self.end_of_turn) if self.end_of_turn else -1
        return self.generation_prompt if at < 0 else self.generation_prompt[at + len(self.end_of_turn) :]

    def boundary(self, between: str) -> int:
        # Where one turn ends and the next one's header begins; a text without an end of turn goes to the earlier turn
        at = between.find(self.end_of_turn) if self.end_of_turn else -1
        return at + len(self.end_of_turn) if at >= 0 else len(between)


def _blocks(message: dict[str, Any]) -> list[Block]:
    # A user turn that carries execution output has its blocks spelled out; see `_executions_as_user_turns`
    return message.get("executions") or split_blocks(message)


def encode(rendering: Rendering, tokenizer: PreTrainedTokenizerBase) -> tuple[list[int], np.ndarray, np.ndarray]:
    """
    Token ids of a rendering with the characters that each comes from.

    Args:
        rendering ([`Rendering`]):
            Text and spans of one row.
        tokenizer ([`~transformers.PreTrainedTokenizerBase`]):
            Fast tokenizer.

    Returns:
        `tuple`: Token ids; first character of each; character after its last one.
    """
    edges = {rendering.prefix_end, rendering.sequence_start, rendering.reanswer_start, rendering.answer_start}
    edges |= {start for start, _ in rendering.trained}
    return _encode(rendering.text, tokenizer, sorted(edges))


def _encode(
    text: str, tokenizer: PreTrainedTokenizerBase, edges: list[int]
) -> tuple[list[int], np.ndarray, np.ndarray]:
    # One tokenisation; only where a token would straddle an edge between parts (an answer that begins with a newline
    # after a header that ends with one), the text is cut there, as inference cuts it
    encoded = tokenizer(text, add_special_tokens=False, return_offsets_mapping=True)
    offsets = np.array(encoded["offset_mapping"], dtype=np.int64).reshape(-1, 2)
    starts, ends = offsets[:, 0], offsets[:, 1]
    straddled = [edge for edge in edges if ((starts < edge) & (ends > edge)).any()]
    if not straddled or _adds_prefix(tokenizer):
        return list(encoded["input_ids"]), starts, ends
    input_ids: list[int] = []
    pieces = []
    for start, end in zip([0, *straddled], [*straddled, len(text)], strict=True):
        piece = _encode(text[start:end], tokenizer, [edge - start for edge in edges if start < edge < end])
        input_ids += piece[0]
        pieces.append(np.stack(piece[1:]) + start)
    starts, ends = np.concatenate(pieces, axis=1)
    return input_ids, starts, ends


def _adds_prefix(tokenizer: PreTrainedTokenizerBase) -> bool:
    # Whether a text gets a space before it, as in Llama 2: its pieces would each get one, so it cannot be cut
    alone, continued = (tokenizer(text, add_special_tokens=False)["input_ids"] for text in ("x", "\nx"))
    return alone != continued[-len(alone) :]


def _executions_as_user_turns(messages: list[dict[str, Any]], alternate: bool) -> list[dict[str, Any]]:
    # Neighbouring executions share one user turn. Where roles must alternate, an empty assistant turn, which is not
    # trained on, stands between an execution and a user's own turn
    converted: list[dict[str, Any]] = []
    for message in messages:
        previous = converted[-1] if converted else {}
        if message["role"] == "tool" and "executions" in previous:
            (block,) = split_blocks(message)
            start = len(previous["content"]) + 1
            converted[-1] = {
                "role": "user",
                "content": f"{previous['content']}\n{message['content']}",
                "executions": [*previous["executions"], Block("execution", start, start + block.end)],
            }
            continue
        if alternate and previous.get("role") == "user" and message["role"] != "assistant":
            converted.append({"role": "assistant", "content": "", "filler": True})
        if message["role"] == "tool":
            message = {"role": "user", "content": message["content"], "executions": split_blocks(message)}
        converted.append(message)
    return converted


def _content_variants(content: str) -> list[str]:
    # How templates write a content: as it is, stripped in one of the usual ways, or as the inside of a JSON string
    variants = [content, content.strip(), content.lstrip(), content.rstrip()]
    variants += [content.strip("\n"), content.lstrip("\n"), content.rstrip("\n")]
    variants += [json.dumps(content, ensure_ascii=False)[1:-1], json.dumps(content)[1:-1]]
    return sorted(set(variants), key=len, reverse=True)


def _stripped_before(content: str, written: str) -> int:
    # How many leading characters the template left out
    return max(content.find(written), 0)


def _common_suffix(a: str, b: str) -> str:
    n = 0
    while n < min(len(a), len(b)) and a[-n - 1] == b[-n - 1]:
        n += 1
    return a[len(a) - n :]
