"""Renders rows as one self-contained page, with a slider for the mask rate."""

from typing import Any

from markupsafe import Markup

from ..page import escape, fill_page, printable
from .view import Masks, Piece, Section, View, section_facts


def render_html(views: list[View], masks: Masks, how: str, source: str) -> str:
    """
    Renders rows as one self-contained page.

    Every token stores the mask change that hides it, and the page stores the rates of these changes, so the slider
    needs no other data.

    Args:
        views (`list[View]`):
            Rows.
        masks ([`Masks`]):
            Mask settings.
        how (`str`):
            Description of the rendering.
        source (`str`):
            Name of the dataset on the page.

    Returns:
        `str`: HTML.
    """
    data = {
        "grid": masks.grid,
        "rate": masks.rate,
        "rows": [_row_data(view) for view in views],
    }
    rows = [_row_parts(view, masks.rate) for view in views]
    return fill_page("show.html", data, title=source, how=how, masks=masks.description, rows=rows)


def _row_data(view: View) -> dict[str, Any]:
    return {
        "id": view.row_id,
        "type": view.row_type,
        "unit": view.unit,
        "labels": {name: printable(value) for name, value in view.labels.items()},
        "problem": view.problem and printable(view.problem),
        "changes": view.changes,
        "hidden_from": [piece.hidden_from for piece in view.pieces],
        "trained": [piece.trained for piece in view.pieces],
        "sizes": [piece.size for piece in view.pieces] if view.unit == "character" else None,
        "ids": [piece.token_id for piece in view.pieces] if view.unit == "token" else None,
        "sections": [[section.label, section.number, section.start, section.end] for section in view.sections],
    }


def _row_parts(view: View, rate: float) -> dict[str, Any]:
    sections = [] if view.problem else [_section_parts(view, section, view.level(rate)) for section in view.sections]
    return {"unit": view.unit, "id": view.row_id, "problem": view.problem, "sections": sections}


def _section_parts(view: View, section: Section, level: int) -> dict[str, Any]:
    pieces = view.pieces[section.start : section.end]
    size, *facts = section_facts(view, section, level)
    has_trained = len(facts) > 1 or (facts and view.row_type == "generation")
    return {
        "label": section.label,
        "number": section.number,
        "is_hidden": all(0 <= piece.hidden_from <= level for piece in pieces),
        "size": size,
        "trained": facts.pop(0) if has_trained else "",
        "seen": "".join(facts),
        "pieces": [(_classes(piece, level), _shown(piece)) for piece in pieces],
    }


def _classes(piece: Piece, level: int) -> str:
    names = ["t", ("", "w", "w s")[piece.trained], "h" if 0 <= piece.hidden_from <= level else ""]
    return " ".join(filter(None, names))


def _shown(piece: Piece) -> Markup:
    text = escape(piece.text) or Markup("<i>▫</i>")
    return text if piece.token_id is None else text.replace("\n", Markup("<i>↵</i>\n"))
