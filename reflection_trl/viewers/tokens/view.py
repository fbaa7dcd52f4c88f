"""Prepares one row for the viewers: pieces of text that store when they are hidden and whether they are trained on."""

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from ...row_forms import FORMS
from ...sequences import BLOCK_TYPES, normalize_row


if TYPE_CHECKING:
    import numpy as np
    from transformers import PreTrainedTokenizerBase

    from ...rendering import BlockTokenRenderer, ChatTemplateRenderer, Rendering

_ROW_COLUMNS = {"type", *(column for form in FORMS for column in form)}

# Ends a turn if no tokenizer is given
END_MARK = "∎"


@dataclass
class Section:
    """
    Represents a part or block of a row: `pieces[start:end]` of its view.

    Args:
        label (`str`):
            `"prefix"`, `"instruction"`, `"re-answer"`, `"answer"`, `"prompt"` (of generation rows), or a block type.
        number (`int`):
            Number of the block, from 1; 0 for parts that are not blocks.
        start (`int`):
            Index of its first piece.
        end (`int`):
            Index after its last piece.
        context_only (`bool`, *optional*, defaults to `False`):
            Whether it belongs to a failed attempt that is not trained on.
    """

    label: str
    number: int
    start: int
    end: int
    context_only: bool = False

    @property
    def title(self) -> str:
        """Returns the title of the section, such as `2 code`."""
        return f"{self.number} {self.label}" if self.number else self.label


@dataclass
class Piece:
    """
    Represents a unit of display: a token, or without a tokenizer a run of characters with the same attributes.

    Args:
        text (`str`):
            Text; empty for a token that continues a character of the previous token.
        size (`int`):
            Number of tokens or characters.
        trained (`int`):
            0: not trained on; 1: by the teacher (or in a generation row); 2: by teacher and student, and distilled.
        hidden_from (`int`):
            Index of the change of [`View`] that hides it; -1 if it is always visible.
        token_id (`int`, *optional*):
            Token id.
    """

    text: str
    size: int
    trained: int
    hidden_from: int
    token_id: int | None = None


@dataclass
class View:
    """
    Holds one row that is ready for display.

    Args:
        row_id (`int`):
            Index of the row in its dataset.
        row_type (`str`):
            `"reflection"` or `"generation"`.
        unit (`str`):
            Unit of counts: `"token"` or `"character"`.
        pieces (`list[Piece]`):
            Pieces of the row.
        sections (`list[Section]`):
            Its parts and blocks, in order.
        changes (`list[tuple[float, str]]`):
            The rates at which more is hidden than before, each with a description. The first is rate 0.
        labels (`dict[str, str]`):
            Other short columns of the row.
        problem (`str`, *optional*):
            Why the row cannot be shown. The lists are empty then.
    """

    row_id: int
    row_type: str
    unit: str
    pieces: list[Piece]
    sections: list[Section]
    changes: list[tuple[float, str]]
    labels: dict[str, str]
    problem: str | None = None

    def level(self, rate: float) -> int:
        """
        Returns the last change at or below a rate. Pieces with `hidden_from` at or before this index are hidden.

        Args:
            rate (`float`):
                One of the rates of the view.

        Returns:
            `int`: Index into `changes`.
        """
        return sum(change <= rate for change, _ in self.changes) - 1

    def size(self, trained: int = 0, hidden_at: int | None = None, section: Section | None = None) -> int:
        """
        Counts tokens or characters.

        Args:
            trained (`int`, *optional*, defaults to `0`):
                Count pieces with at least this value of `trained`.
            hidden_at (`int`, *optional*):
                Count only pieces that are hidden at this level.
            section ([`Section`], *optional*):
                Count only in this section.

        Returns:
            `int`: The number.
        """
        pieces = self.pieces if section is None else self.pieces[section.start : section.end]
        return sum(
            piece.size
            for piece in pieces
            if piece.trained >= trained and (hidden_at is None or 0 <= piece.hidden_from <= hidden_at)
        )

    def count(self, number: int) -> str:
        """Returns a number with its unit, such as `3 tokens`."""
        return f"{number:,} {self.unit}{'' if number == 1 else 's'}"


@dataclass
class Masks:
    """
    Defines which tokens are hidden and trained on; see [`~reflection_trl.training.masking.hidden_tokens`].

    Args:
        strategies (`list[str]`):
            Strategies. With several, each row samples one, as in training.
        order (`tuple[str, ...]`):
            Order of `block-type`.
        seed (`int`):
            Seed of the training.
        step (`int`):
            Completed optimizer steps.
        rate (`float`):
            Mask rate to show.
        train_on_failed_attempts (`bool`, *optional*, defaults to `True`):
            Whether failed attempts are trained on; see [`~reflection_trl.ReflectionDistillConfig`].
    """

    strategies: list[str]
    order: tuple[str, ...]
    seed: int
    step: int
    rate: float
    train_on_failed_attempts: bool = True

    @property
    def grid(self) -> list[float]:
        """Returns the rates of the slider: multiples of 0.01, and the rate to show."""
        return sorted({*(hundredth / 100 for hundredth in range(101)), self.rate})

    @property
    def description(self) -> str:
        """Returns a short description of the settings."""
        words = [f"{s} ({', '.join(self.order)})" if s == "block-type" else s for s in self.strategies]
        is_random = len(words) > 1 or words[0].startswith("random")
        return " or ".join(words) + f", seed {self.seed}, step {self.step}" * is_random

    def apply_to_loss(self, columns: dict[str, Any]) -> tuple[dict[str, Any], "np.ndarray"]:
        """
        Leaves failed attempts out of the loss mask where training does.

        Args:
            columns (`dict`):
                Result of [`~reflection_trl.rendering.tokenize`].

        Returns:
            `tuple`: The columns with their `loss_mask`, and an array of bool which is True for blocks that are left out.
        """
        import numpy as np

        from ...training.masking import failed_attempts, failed_tokens

        block_types = np.asarray(columns["block_types"], dtype=np.int64)
        if self.train_on_failed_attempts:
            return columns, np.zeros(len(block_types), dtype=bool)
        left_out = failed_tokens(np.asarray(columns["block_ids"], dtype=np.int64), block_types)
        loss_mask = np.asarray(columns["loss_mask"], dtype=np.int64) * ~left_out
        return {**columns, "loss_mask": loss_mask.tolist()}, failed_attempts(block_types)

    def hidden(self, columns: dict[str, Any], row_id: int, rate: float) -> "np.ndarray":
        """
        Returns the tokens that a training step hides, with the same random numbers as
        [`~reflection_trl.ReflectionDistillTrainer`].

        Args:
            columns (`dict`):
                Output of [`~reflection_trl.rendering.tokenize`].
            row_id (`int`):
                Index of the row in its dataset.
            rate (`float`):
                Mask rate.

        Returns:
            `np.ndarray` of bool: True for hidden tokens.
        """
        import numpy as np

        from ...training.masking import hidden_tokens, row_generator

        rng = row_generator(self.seed, self.step, row_id)
        strategy = self.strategies[rng.integers(len(self.strategies))]
        block_types = np.asarray(columns["block_types"], dtype=np.int64)
        return hidden_tokens(np.asarray(columns["block_ids"]), block_types, rate, strategy, self.order, rng)


class CharacterTokenizer:
    """
    Replaces the tokenizer if none is given: a token is a character, and a turn is its role, its content and an end
    mark.

    It has the methods that [`~reflection_trl.rendering.ChatTemplateRenderer`] needs, so that parts and blocks come
    from the same code with and without a tokenizer.
    """

    is_fast = True
    name_or_path = "characters"
    chat_template = "role, content"

    def __call__(self, text: str, **kwargs: Any) -> dict[str, list]:
        return {
            "input_ids": [ord(character) for character in text],
            "offset_mapping": [(index, index + 1) for index in range(len(text))],
        }

    def apply_chat_template(
        self, turns: list[dict[str, str]], tokenize: bool = False, add_generation_prompt: bool = False, **kwargs: Any
    ) -> str:
        """Renders turns as text."""
        text = "".join(f"{turn['role']}:\n{turn['content']}{END_MARK}\n" for turn in turns)
        return text + "assistant:\n" * add_generation_prompt

    def get_chat_template(self) -> str:
        """Returns the names of a turn's fields."""
        return self.chat_template

    def get_added_vocab(self) -> dict[str, int]:
        """Returns the end mark as an added token."""
        return {END_MARK: ord(END_MARK)}

    def decode(self, ids: list[int]) -> str:
        """Converts characters to text."""
        return "".join(map(chr, ids))


def make_view(
    row: dict[str, Any], row_id: int, renderer: "ChatTemplateRenderer | BlockTokenRenderer", masks: Masks
) -> View:
    """
    Prepares a row for display.

    Args:
        row (`dict`):
            Row in any form of [`~reflection_trl.row_forms`].
        row_id (`int`):
            Index of the row in its dataset.
        renderer ([`~reflection_trl.rendering.ChatTemplateRenderer`] or [`~reflection_trl.rendering.BlockTokenRenderer`]):
            Converts rows to tokens.
        masks ([`Masks`]):
            Mask settings.

    Returns:
        [`View`]: The view. Its `problem` gives the reason if training would reject or drop the row.
    """
    by_characters = isinstance(renderer.tokenizer, CharacterTokenizer)
    unit = "character" if by_characters else "token"
    labels = {
        name: value
        for name, value in row.items()
        if name not in _ROW_COLUMNS and isinstance(value, str) and 0 < len(value) <= 40 and "\n" not in value
    }
    try:
        row = normalize_row(row, f"row {row_id}")
        rendering = renderer.render(row)
        columns, left_out = masks.apply_to_loss(renderer.tokenize(row))
    except ValueError as error:  # includes `UnrenderableRow`
        reason = str(error).removeprefix(f"row {row_id}: ")
        return View(row_id, str(row.get("type")), unit, [], [], [], labels, problem=reason)
    changes, hidden_from = _changes(columns, row_id, masks)
    tokens = _tokens(rendering, renderer.tokenizer, columns, hidden_from, by_characters)
    pieces, sections = _group(tokens, columns, merge=by_characters)
    for section in sections:
        section.context_only = bool(section.number and left_out[section.number - 1])
    return View(row_id, row["type"], unit, pieces, sections, changes, labels)


def _changes(columns: dict[str, Any], row_id: int, masks: Masks) -> tuple[list[tuple[float, str]], list[int]]:
    # A hidden set only grows with the rate, so one number per token describes it for all rates
    import numpy as np

    hidden_from = np.full(len(columns["input_ids"]), -1)
    changes: list[tuple[float, str]] = [(0.0, "at any rate")]
    if columns["block_types"]:
        hidden_from[masks.hidden(columns, row_id, 0.0)] = 0
        for previous, rate in zip(masks.grid, masks.grid[1:], strict=False):
            new = masks.hidden(columns, row_id, rate) & (hidden_from < 0)
            if new.any():
                at_once = (masks.hidden(columns, row_id, previous + 1e-9) & new).any()
                hidden_from[new] = len(changes)
                changes.append((rate, f"above rate {previous:g}" if at_once else f"from rate {rate:g}"))
    return changes, hidden_from.tolist()


def _tokens(
    rendering: "Rendering",
    tokenizer: "PreTrainedTokenizerBase",
    columns: dict[str, Any],
    hidden_from: list[int],
    by_characters: bool,
) -> list[Piece]:
    from ...rendering import encode

    _, _, ends = encode(rendering, tokenizer)
    tokens, shown = [], 0
    for index, (token_id, end) in enumerate(zip(columns["input_ids"], ends.tolist(), strict=True)):
        # No token precedes the first one to predict it
        trained = columns["loss_mask"][index] if index else 0
        if trained and columns["block_types"] and index >= columns["answer_start"]:
            trained = 2
        # Starts at the end of the previous token, so that no character is lost or repeated, whatever the offsets are
        text, shown = rendering.text[shown:end], max(shown, end)
        tokens.append(Piece(text, 1, trained, hidden_from[index], None if by_characters else token_id))
    return tokens


def _group(tokens: list[Piece], columns: dict[str, Any], merge: bool) -> tuple[list[Piece], list[Section]]:
    # Adjacent pieces of one block form a section. Without a tokenizer, adjacent equal characters form one piece
    pieces: list[Piece] = []
    sections: list[Section] = []
    reflection = bool(columns["block_types"])
    for index, (token, block) in enumerate(zip(tokens, columns["block_ids"], strict=True)):
        if block > 0:
            label = BLOCK_TYPES[columns["block_types"][block - 1]]
        elif block == 0:
            label = "instruction"
        elif index >= columns["answer_start"]:
            label = "answer"
        elif not reflection:
            label = "prompt"
        else:
            label = "re-answer" if any(section.label != "prefix" for section in sections) else "prefix"
        section = (label, max(block, 0))
        opens = not sections or (sections[-1].label, sections[-1].number) != section
        if opens:
            sections.append(Section(*section, len(pieces), len(pieces)))
        last = pieces[-1] if pieces else None
        if merge and last and not opens and (last.trained, last.hidden_from) == (token.trained, token.hidden_from):
            last.text += token.text
            last.size += 1
        else:
            pieces.append(token)
        sections[-1].end = len(pieces)
    return pieces, sections


def section_facts(view: View, section: Section, level: int) -> list[str]:
    """
    Returns the main facts about a part or block.

    Args:
        view ([`View`]):
            Row.
        section ([`Section`]):
            One of its sections.
        level (`int`):
            Level of the mask rate.

    Returns:
        `list[str]`: Its size, the number of trained tokens, and when the student sees it.
    """
    facts = [view.count(view.size(section=section))]
    trained = view.size(trained=1, section=section)
    if trained:
        facts.append(f"{trained:,} trained on")
    elif section.context_only:
        facts.append("failed attempt, not trained on")
    if view.row_type == "reflection":
        facts.append(visibility(view, section, level))
    return facts


def visibility(view: View, section: Section, level: int) -> str:
    """
    Describes when the student sees a part or block.

    Args:
        view ([`View`]):
            Row.
        section ([`Section`]):
            One of its sections.
        level (`int`):
            Level of the mask rate.

    Returns:
        `str`: Such as `"hidden above rate 0"` or `"seen; hidden from rate 0.67"`.
    """
    froms = {piece.hidden_from for piece in view.pieces[section.start : section.end]}
    if froms == {-1}:
        return "seen at any rate" if section.number else "always visible"
    hidden = view.size(hidden_at=level, section=section)
    if len(froms) > 1:
        return f"{hidden} hidden" if hidden else "seen"
    words = f"hidden {view.changes[froms.pop()][1]}"
    return words if hidden else f"seen; {words}"
