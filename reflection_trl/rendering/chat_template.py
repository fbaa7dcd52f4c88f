"""Renders rows with a model's chat template, and finds each part of the row in the result."""

import json
import logging
import re
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from jinja2.exceptions import TemplateError

from ..quoting import list_names, quote_error
from ..sequences import Block, split_blocks
from .tokens import VISIBLE, Rendering, UnrenderableRow, check_tokenizer, tokenize


if TYPE_CHECKING:  # `show` without a tokenizer does not import transformers
    from transformers import PreTrainedTokenizerBase


logger = logging.getLogger(__name__)


def warn_of_unread_variables(template: str, variables: dict[str, Any]) -> None:
    """
    Warns of variables that a chat template never names. It would ignore them, such as a misspelled `enable_thinking`.

    Args:
        template (`str`):
            Chat template.
        variables (`dict`):
            Additional variables for it.
    """
    unread = [f"`{name}`" for name in variables if not re.search(rf"\b{re.escape(name)}\b", template)]
    if unread:
        logger.warning(
            f"`chat_template_kwargs` has {list_names(unread)}, which the chat template of the model does not read; correct the name, or leave "
            f"it out."
        )


class ChatTemplateRenderer:
    """
    Renders rows with a tokenizer's chat template.

    The template is rendered once with placeholders for the contents. The text between the placeholders is the headers
    and ends of turns. This works for all model families, and detects templates that drop, reorder or rewrite turns.

    Two cases differ from the plain conversation. If a template writes the system prompt into a user turn (Gemma 3,
    Mistral, CodeLlama), both requests contain it, as in a one-off prompt. If roles must alternate, an empty assistant
    turn, which is not trained on, separates an execution from the user's next turn.

    Args:
        tokenizer ([`~transformers.PreTrainedTokenizerBase`]):
            Fast tokenizer with a chat template.
        execution_role (`str`, *optional*, defaults to `"auto"`):
            Role of execution output: `"tool"`, `"user"` (a separate user turn), or `"auto"`, which is `"tool"` if the
            template renders tool turns as separate turns, and `"user"` otherwise.
        hide_prefix (`bool`, *optional*, defaults to `False`):
            Whether the student does not see BOS and the system prompt, as in the published code.
        chat_template_kwargs (`dict`, *optional*):
            Additional variables for the template, such as `{"enable_thinking": False}`.

    Raises:
        ValueError: If the tokenizer is not fast or has no chat template, or the template loses turns or does not support the role.
    """

    def __init__(
        self,
        tokenizer: "PreTrainedTokenizerBase",
        execution_role: str = "auto",
        hide_prefix: bool = False,
        chat_template_kwargs: dict[str, Any] | None = None,
    ):
        check_tokenizer(tokenizer)
        if not tokenizer.chat_template:
            raise ValueError(
                f"The tokenizer of '{tokenizer.name_or_path}' has no chat template; use an instruct model, set "
                f"`chat_template_path`, or train with `rendering='block-token'`."
            )
        self.tokenizer = tokenizer
        self.hide_prefix = hide_prefix
        self.chat_template_kwargs = chat_template_kwargs or {}
        if self.chat_template_kwargs:
            warn_of_unread_variables(tokenizer.get_chat_template(), self.chat_template_kwargs)
        self._turns: dict[bool, _TurnDelimiters] = {}
        self._turn_delimiters(False)  # raises early if the template loses turns, which affects every row
        self.execution_role = self._resolve_execution_role(execution_role)
        self._alternates = self.execution_role == "user" and not self._takes_neighboring_user_turns()

    def __getstate__(self) -> dict[str, Any]:
        # `datasets` hashes the renderer to name a cache file. The hash must not depend on the rows rendered so far
        return {**self.__dict__, "_turns": {}}

    @property
    def stop_token(self) -> str | None:
        """Returns the special token that ends an answer, or `None` if the template has none."""
        stop = self._turn_delimiters(False).last_stop
        ends = [token for token in self.tokenizer.get_added_vocab() if token.strip() and stop.endswith(token)]
        return max(ends, key=len, default=None)

    def render(self, row: dict[str, Any]) -> Rendering:
        """
        Renders a valid row.

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
        turns = self._turn_delimiters(has_system)
        try:
            text, contents, between = self._locate(messages)
        except TemplateError as error:
            raise UnrenderableRow(f"the chat template rejects these turns ({quote_error(error)})") from None

        last = len(messages) - 1
        if not between[last].startswith(turns.generation_prompt):
            raise UnrenderableRow(
                "the chat template's generation prompt starts an answer differently from its assistant turns; for a "
                "thinking model, set `chat_template_kwargs={'enable_thinking': False}`"
            )
        answer_start = contents[last - 1][1] + len(turns.generation_prompt)
        written = _written_spans(messages, contents, between, turns, answer_start)
        trained = list(written.values())
        # Text after the end token (ChatML's newline) is never predicted and never seen
        text = text[: trained[-1][1]]
        if row["type"] == "generation":
            return Rendering(text=text, answer_start=answer_start, trained=trained)

        first_user = 1 if has_system else 0
        header = turns.user_header
        if not (between[first_user].endswith(header) and between[last - 1].endswith(header)):
            raise UnrenderableRow("the chat template starts its first user turn differently from its last one")
        prefix_end = 0 if self.hide_prefix else contents[first_user][0] - len(header)
        reanswer_start = contents[last - 1][0] - len(header)

        blocks: list[tuple[str, int]] = []
        for index in range(first_user + 1, last - 1):
            if messages[index].get("filler"):  # belongs to the preceding turn
                continue
            turn_start = contents[index - 1][1] + turns.boundary(between[index])
            if index in written:  # a space before the content is written by the model, unless it ends a turn
                turn_start = min(turn_start, written[index][0])
            blocks += _block_starts(messages[index], text, contents[index], turn_start)
        return Rendering(
            text=text,
            answer_start=answer_start,
            trained=trained,
            prefix_end=prefix_end,
            sequence_start=blocks[0][1],
            reanswer_start=reanswer_start,
            blocks=blocks,
        )

    def expressible(self, messages: list[dict[str, Any]]) -> list[dict[str, Any]]:
        """
        Converts the turns of a conversation to the roles of this template, as in training, so that a model can
        continue it.

        Args:
            messages (`list[dict]`):
                Turns, including execution output in the role `tool`.

        Returns:
            `list[dict]`: Turns with `role` and `content`.
        """
        turns = self._with_execution_role(messages)
        return [{"role": turn["role"], "content": turn["content"]} for turn in turns]

    def tokenize(self, row: dict[str, Any]) -> dict[str, Any]:
        """
        Renders and tokenizes a valid row, and checks that the student's prompt is the one-off prompt.

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
        Returns the token ids of the prompt at inference for the row's last request.

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
                "with everything hidden, the student's prompt differs from the prompt at inference",
                f"{self.tokenizer.decode(seen[at : at + 8])!r} at token {at}, where the one-off prompt has "
                f"{self.tokenizer.decode(prompt[at : at + 8])!r}",
            )

    def _apply(self, messages: list[dict[str, Any]], add_generation_prompt: bool = False) -> str:
        turns = [{"role": message["role"], "content": message["content"]} for message in messages]
        text = self.tokenizer.apply_chat_template(
            turns, tokenize=False, add_generation_prompt=add_generation_prompt, **self.chat_template_kwargs
        )
        assert isinstance(text, str)  # with `tokenize=False`
        return text

    def _skeleton(self, messages: list[dict[str, Any]], add_generation_prompt: bool = False) -> list[str] | None:
        # The texts before, between and after the contents; `None` if the template loses or reorders a content
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

    def _turn_delimiters(self, has_system: bool) -> "_TurnDelimiters":
        if has_system not in self._turns:
            system = [{"role": "system"}] if has_system else []
            two = [*system, *({"role": role} for role in ("user", "assistant") * 2)]
            try:
                talk = self._skeleton(two)
                one_off = self._skeleton([*system, {"role": "user"}], add_generation_prompt=True)
            except TemplateError as error:
                if has_system:
                    raise UnrenderableRow(
                        f"the chat template rejects the system turn ({quote_error(error)})"
                    ) from None
                raise ValueError(
                    f"The chat template of '{self.tokenizer.name_or_path}' rejects plain user and assistant turns ({quote_error(error)}); "
                    f"set `chat_template_path` to one that accepts string contents and alternating turns."
                ) from None
            if talk is None or one_off is None:
                if has_system:
                    raise UnrenderableRow("the chat template drops or reorders its system turn")
                raise ValueError(
                    f"The chat template of '{self.tokenizer.name_or_path}' drops or reorders plain user and assistant "
                    f"turns; set `chat_template_path` to one that renders every turn in order."
                )
            last_end, to_next_user = talk[-1], talk[-3]
            last_stop = self._stop(last_end)
            if last_stop is None:
                logger.warning(
                    "The chat template ends assistant turns without a special token, so the model may not learn to stop."
                )
            user_header = self._user_header(to_next_user, last_end, one_off[-2], has_system)
            if user_header == to_next_user and one_off[-2] != (self.tokenizer.bos_token or "") + user_header:
                # The last turn ends differently, and the turn before the first request (a default system prompt) like the others
                end = self._stop(to_next_user)
                user_header = user_header.removeprefix(end) if end and talk[-2].startswith(end) else user_header
            end_of_turn = to_next_user[: len(to_next_user) - len(user_header)]
            self._turns[has_system] = _TurnDelimiters(
                end_of_turn=end_of_turn,
                stop=self._stop(end_of_turn) or end_of_turn,
                last_stop=last_stop or last_end,
                user_header=user_header,
                generation_prompt=one_off[-1],
            )
        return self._turns[has_system]

    def _user_header(self, to_next_user: str, last_end: str, before_first: str, has_system: bool) -> str:
        # What stands between an assistant's end of turn and a user's content, and before the first user's content too
        header = shared = to_next_user.removeprefix(last_end)
        leads = [before_first, self._turn_delimiters(False).user_header] if has_system else [before_first]
        for before in leads:
            shared = _common_suffix(shared, before)
        # A turn that starts differently after another one is refused when rows are rendered, unless only whitespace differs (OLMo 2
        # ends its last turn without a newline)
        differs = to_next_user.startswith(last_end) and header.removesuffix(shared).strip()
        return header if differs else shared

    def _stop(self, end_of_turn: str) -> str | None:
        # The end of a turn up to its first special token, at which generation stops. Added tokens that are newlines or
        # spaces do not end a turn
        special = [token for token in self.tokenizer.get_added_vocab() if token.strip() and token in end_of_turn]
        ends = [end_of_turn[: end_of_turn.index(token) + len(token)] for token in special]
        return min(ends, key=len, default=None)

    def _with_execution_role(self, messages: list[dict[str, Any]]) -> list[dict[str, Any]]:
        return messages if self.execution_role == "tool" else executions_as_user_turns(messages, self._alternates)

    def _fold_system(self, messages: list[dict[str, Any]], is_reflection: bool) -> list[dict[str, Any]]:
        # Some templates (Gemma 3, Mistral, CodeLlama) write the system prompt into a user turn. A one-off prompt has
        # it in its only user turn, so both requests of a reflection row get it: the first, and the last, which the
        # student sees
        if messages[0]["role"] != "system":
            return messages
        header = self._turn_delimiters(False).user_header
        try:
            alone = self._skeleton([{"role": "user"}], add_generation_prompt=True)
            both = self._skeleton([{"role": "system"}, {"role": "user"}], add_generation_prompt=True)
        except TemplateError as error:
            raise UnrenderableRow(f"the chat template rejects the system turn ({quote_error(error)})") from None
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

    def _takes_neighboring_user_turns(self) -> bool:
        try:
            return self._skeleton([{"role": role} for role in ("user", "user", "assistant")]) is not None
        except TemplateError:
            return False

    def _why_no_tool_turns(self) -> str | None:
        roles = ("user", "assistant", "tool", "assistant", "user", "assistant")
        try:
            between = self._skeleton([{"role": role} for role in roles])
        except (TemplateError, KeyError, TypeError) as error:
            return f"refuses tool turns ({quote_error(error)})"
        if between is None:
            return "drops tool turns"
        turns = self._turn_delimiters(False)
        to_tool, to_assistant = between[2].removeprefix(turns.end_of_turn), between[3]
        if to_tool and to_assistant.endswith(to_tool):
            return "renders tool turns as the assistant's own"
        return None


@dataclass
class _TurnDelimiters:
    # The text that a chat template writes around contents: after an assistant's content, the part of it up to the end
    # token, after the last turn, before a user's content, and between a user's content and the answer
    end_of_turn: str
    stop: str
    last_stop: str
    user_header: str
    generation_prompt: str

    @property
    def opening(self) -> str:
        # The text that opens an assistant turn: the generation prompt without the end of the preceding user turn
        at = self.generation_prompt.find(self.end_of_turn) if self.end_of_turn else -1
        return self.generation_prompt if at < 0 else self.generation_prompt[at + len(self.end_of_turn) :]

    def boundary(self, between: str) -> int:
        # The position where one turn ends and the header of the next begins. Text without an end of turn belongs to
        # the earlier turn
        at = between.find(self.end_of_turn) if self.end_of_turn else -1
        return at + len(self.end_of_turn) if at >= 0 else len(between)


def _written_spans(
    messages: list[dict[str, Any]],
    contents: list[tuple[int, int]],
    between: list[str],
    turns: _TurnDelimiters,
    answer_start: int,
) -> dict[int, tuple[int, int]]:
    # The tokens of each turn that the model generates: the content, the text between the opening of the turn and the
    # content (Mistral's space), and the end token
    written, last = {}, len(messages) - 1
    for index, message in enumerate(messages):
        if message["role"] != "assistant" or message.get("filler"):
            continue
        opens_at = between[index].rfind(turns.opening)
        start = contents[index][0] if opens_at < 0 else contents[index - 1][1] + opens_at + len(turns.opening)
        stop = turns.last_stop if index == last else turns.stop
        end = contents[index][1] + len(stop) * between[index + 1].startswith(stop)
        written[index] = (answer_start if index == last else start), end
    return written


def _block_starts(
    message: dict[str, Any], text: str, content: tuple[int, int], turn_start: int
) -> list[tuple[str, int]]:
    # Leading whitespace that the template strips shifts the blocks. The first block starts with its turn
    start, end = content
    shift = start - _stripped_before(message["content"], text[start:end])
    first, *others = _blocks(message)
    return [(first.type, turn_start), *((block.type, min(max(shift + block.start, start), end)) for block in others)]


def _blocks(message: dict[str, Any]) -> list[Block]:
    # A user turn with execution output lists its blocks; see `executions_as_user_turns`
    return message.get("executions") or split_blocks(message)


def executions_as_user_turns(messages: list[dict[str, Any]], alternate: bool) -> list[dict[str, Any]]:
    """
    Writes execution output into user turns. Consecutive executions share one turn.

    Args:
        messages (`list[dict]`):
            Turns of a conversation.
        alternate (`bool`):
            Whether roles must alternate. An empty assistant turn, which is not trained on, then separates an execution
            from the user's turn.

    Returns:
        `list[dict]`: The turns. Turns that this function created have a key `executions` or `filler` beside `role` and
        `content`.
    """
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
    # The ways in which templates write a content: unchanged, stripped, or as the inside of a JSON string
    variants = [content, content.strip(), content.lstrip(), content.rstrip()]
    variants += [content.strip("\n"), content.lstrip("\n"), content.rstrip("\n")]
    variants += [json.dumps(content, ensure_ascii=False)[1:-1], json.dumps(content)[1:-1]]
    return sorted(set(variants), key=len, reverse=True)


def _stripped_before(content: str, written: str) -> int:
    # The number of leading characters that the template removed
    return max(content.find(written), 0)


def _common_suffix(a: str, b: str) -> str:
    n = 0
    while n < min(len(a), len(b)) and a[-n - 1] == b[-n - 1]:
        n += 1
    return a[len(a) - n :]
