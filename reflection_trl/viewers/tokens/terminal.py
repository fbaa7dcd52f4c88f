"""Shows a row in the terminal, in color or in plain text."""

import re
import unicodedata
from collections import Counter

from ...sequences import BLOCK_TYPES
from ..page import printable
from .view import Masks, Piece, Section, View, section_facts


_ATOM = re.compile(r"\n|[^\S\n]+|\S+")

# Of the 256 colors: two alternating shades of each block type, so that tokens are distinguishable. Blue, orange and
# green-blue differ under every common color blindness, and white text on them is readable on dark and light terminals
_FILL = {"execution": (130, 94), "text": (25, 26), "code": (29, 30)}
_HUE = {"execution": 172, "text": 68, "code": 36}
_GRAY = 244
_LETTERS = {"prefix": "p", "prompt": "p", "instruction": "i", "re-answer": "r", "answer": "a"}


def cell_width(text: str) -> int:
    """
    Returns the number of terminal cells of a text.

    Args:
        text (`str`):
            Text without newlines.

    Returns:
        `int`: 2 for each wide character, 0 for each combining one, else 1.
    """
    if text.isascii():
        return len(text)
    return sum(
        0
        if unicodedata.combining(c) or c in "\u200b\u200d\ufe0e\ufe0f"
        else 1 + (unicodedata.east_asian_width(c) in "WF")
        for c in text
    )


class Terminal:
    """
    Writes views as lines of text.

    Args:
        width (`int`):
            Columns of the terminal.
        color (`bool`):
            Whether to use color. Otherwise each line starts with text marks.
        unicode (`bool`, *optional*, defaults to `True`):
            Whether box characters may be used.
    """

    def __init__(self, width: int, color: bool, unicode: bool = True):
        self.width = max(width, 40)
        self.color = color
        self.unicode = unicode and color
        self.rule, self.dot = ("─", " · ") if self.unicode else ("-", ", ")

    def show(self, view: View, masks: Masks, how: str) -> str:
        """
        Renders one row completely.

        Args:
            view ([`View`]):
                Row.
            masks ([`Masks`]):
                Mask settings.
            how (`str`):
                Description of the rendering.

        Returns:
            `str`: Lines, each at most as wide as the terminal.
        """
        lines = [*self.header(view, masks, how), "", *self.legend(view), "", *self.overview(view, masks.rate)]
        for section in view.sections:
            lines += ["", *self.section(view, section, masks.rate)]
        return "\n".join(lines) + "\n"

    def header(self, view: View, masks: Masks, how: str) -> list[str]:
        """Returns row, type, size, blocks, rate, and the number of hidden and trained tokens."""
        level = view.level(masks.rate)
        labels = [f"{name} {printable(value)}" for name, value in view.labels.items()]
        title = self.dot.join([f"Row {view.row_id}", view.row_type, view.count(view.size()), *labels])
        lines = [*self._fields("", title, "1"), *self._fields("rendering", how)]
        trained = view.size(trained=1)
        if view.row_type == "generation":
            return [*lines, *self._fields("trained", f"{view.count(trained)}; a plain row has no student")]
        types = Counter(section.label for section in view.sections if section.number)
        blocks = f"{sum(types.values())}: " + ", ".join(f"{types[t]} {t}" for t in BLOCK_TYPES if types[t])
        hidden = view.size(hidden_at=level)
        share = f"{hidden / view.size():.0%}"
        seen = view.size() - hidden
        return [
            *lines,
            *self._fields("blocks", blocks),
            *self._fields("mask", f"rate {masks.rate:g}{self.dot}{masks.description}"),
            *self._fields("hidden", f"{view.count(hidden)} ({share}); the student sees {view.count(seen)}"),
            *self._fields(
                "trained", f"teacher {view.count(trained)}{self.dot}student {view.count(view.size(trained=2))}"
            ),
        ]

    def legend(self, view: View) -> list[str]:
        """Returns the legend of colors or marks."""
        plain = view.row_type == "generation"
        if not self.color:
            marks = "T: trained on"
            if not plain:
                marks = (
                    "x: hidden, only the teacher sees it; no x: the student sees it; T: trained on (teacher); "
                    "TS: trained on (teacher and student), distilled"
                )
            return self._fields("marks", marks)
        if plain:
            return self._flow([("trained on", ("4",)), ("seen, not trained on", ())])
        return self._flow(
            [
                *((f" {block_type} ", ("38;5;231", f"48;5;{_FILL[block_type][0]}")) for block_type in BLOCK_TYPES),
                ("hidden: only the teacher sees it", ("9", f"38;5;{_GRAY}")),
                ("always visible", ()),
                ("trained on (teacher)", ("4",)),
                ("trained on (teacher and student), distilled", ("1", "4")),
            ]
        )

    def overview(self, view: View, rate: float) -> list[str]:
        """Returns one bar each for what teacher and student see."""
        if view.row_type == "generation":
            return []
        level, room = view.level(rate), min(self.width, 110) - 10
        cells, total, at, index, done = [], view.size(), 0, 0, 0
        for cell in range(room):
            middle = (cell + 0.5) * total / room
            while done + view.pieces[index].size <= middle:
                done += view.pieces[index].size
                index += 1
            while index >= view.sections[at].end:
                at += 1
            cells.append((view.sections[at].label, 0 <= view.pieces[index].hidden_from <= level))
        bars = [
            [self._cell(label, hidden and who == "student") for label, hidden in cells]
            for who in ("teacher", "student")
        ]
        return [self._name("teacher") + "".join(bars[0]), self._name("student") + "".join(bars[1])]

    def section(self, view: View, section: Section, rate: float) -> list[str]:
        """Returns one part or block: a title, and its tokens wrapped to the width."""
        level = view.level(rate)
        pieces = view.pieces[section.start : section.end]
        title = self.dot.join([section.title, *section_facts(view, section, level)])
        hidden = all(0 <= piece.hidden_from <= level for piece in pieces)
        rule = f"{self.rule * 2} {title} "
        rule += self.rule * max(min(self.width, 110) - cell_width(rule), 0)
        hue = f"38;5;{_HUE.get(section.label, _GRAY)}"
        lines = [self._paint(line, "1", hue) for line in self._wrapped(rule, self.width)]
        bar = ("┆ " if hidden else "┃ ") if self.unicode else ("| ")
        if not self.color:
            return lines + self._marked_lines(section, pieces, level)
        return lines + [self._paint(bar, hue) + line for line in self._colored_lines(section, pieces, level)]

    def _colored_lines(self, section: Section, pieces: list[Piece], level: int) -> list[str]:
        by_tokens = pieces[0].token_id is not None
        newline = "↵" if self.unicode else "\\n"
        writer = _Writer(self.width - 3)
        for index, piece in enumerate(pieces):
            codes = self._codes(section, piece, level, index % 2 if by_tokens else 0)
            for atom in _ATOM.findall(printable(piece.text)) or ["▫" if self.unicode else "_"]:
                if atom != "\n":
                    writer.write(atom, codes)
                    continue
                if by_tokens:
                    writer.write(newline, codes)
                writer.end_line()
        return ["".join(self._paint(text, *codes) for text, codes in line) for line in writer.lines()]

    def _marked_lines(self, section: Section, pieces: list[Piece], level: int) -> list[str]:
        # A new line at each change of the marks, so that the marks in front apply to the whole line
        lines: list[str] = []
        writer, marks = _Writer(self.width - 19), ""

        def flush() -> None:
            lines.extend(f"{marks}| {''.join(text for text, _ in line)}".rstrip() for line in writer.lines())

        for piece in pieces:
            hidden = "x" if 0 <= piece.hidden_from <= level else ""
            new = f"{section.label:<11} {hidden:<1} {('', 'T', 'TS')[piece.trained]:<2} "
            if new != marks:
                flush()
                marks, writer = new, _Writer(self.width - 19)
            for atom in _ATOM.findall(printable(piece.text)):
                if atom == "\n":
                    writer.end_line()
                else:
                    writer.write(atom, ())
        flush()
        return lines

    def _codes(self, section: Section, piece: Piece, level: int, shade: int) -> tuple[str, ...]:
        codes = ((), ("4",), ("1", "4"))[piece.trained]
        if 0 <= piece.hidden_from <= level:
            return (*codes, "9", f"38;5;{_GRAY}")
        if section.label in _FILL:
            return (*codes, "38;5;231", f"48;5;{_FILL[section.label][shade]}")
        return codes

    def _cell(self, label: str, hidden: bool) -> str:
        if not self.color:
            return "." if hidden else _LETTERS.get(label, label[0])
        if hidden:
            return self._paint("·" if self.unicode else ".", f"38;5;{_GRAY}")
        fill = _FILL[label][0] if label in _FILL else {"answer": 252, "instruction": 240}.get(label, 246)
        return self._paint(" ", f"48;5;{fill}")

    def _paint(self, text: str, *codes: str) -> str:
        return f"\x1b[{';'.join(codes)}m{text}\x1b[0m" if self.color and codes else text

    def _name(self, name: str) -> str:
        return f"{name:<10}" if not self.color else self._paint(f"{name:<10}", f"38;5;{_GRAY}")

    def _fields(self, name: str, text: str, *codes: str) -> list[str]:
        # A name, and its text in a separate column
        indent = 10 * bool(name)
        lines = [line.strip() for line in self._wrapped(text, self.width - indent)]
        lead = [self._name(name) if name else "", *[" " * indent] * len(lines)]
        return [front + self._paint(line, *codes) for front, line in zip(lead, lines, strict=False)]

    def _flow(self, samples: list[tuple[str, tuple[str, ...]]]) -> list[str]:
        # Samples side by side, each in its style, not split if they fit
        lines: list[str] = []
        used = self.width
        for text, codes in samples:
            wrapped = self._wrapped(text, self.width)
            if used + 2 + cell_width(text) <= self.width:
                lines[-1] += "  " + self._paint(text, *codes)
                used += 2 + cell_width(text)
            else:
                lines += [self._paint(line, *codes) for line in wrapped]
                used = cell_width(wrapped[-1])
        return lines

    @staticmethod
    def _wrapped(text: str, width: int) -> list[str]:
        writer = _Writer(width)
        for atom in _ATOM.findall(text):
            writer.write(atom, ())
        return ["".join(word for word, _ in line) for line in writer.lines()]


class _Writer:
    # Arranges text in lines of a width, each a list of (text, codes)

    def __init__(self, width: int):
        self.width = width
        self._lines: list[list[tuple[str, tuple[str, ...]]]] = [[]]
        self._used = 0

    def write(self, text: str, codes: tuple[str, ...]) -> None:
        if self._used and self._used + cell_width(text) > self.width:
            self.end_line()
        while cell_width(text) > self.width:
            cut = self.width
            while cell_width(text[:cut]) > self.width:
                cut -= 1
            self._lines[-1].append((text[:cut], codes))
            self.end_line()
            text = text[cut:]
        self._lines[-1].append((text, codes))
        self._used += cell_width(text)

    def end_line(self) -> None:
        self._lines.append([])
        self._used = 0

    def lines(self) -> list[list[tuple[str, tuple[str, ...]]]]:
        # Without the empty line after a final newline
        return self._lines if self._lines[-1] else self._lines[:-1]
