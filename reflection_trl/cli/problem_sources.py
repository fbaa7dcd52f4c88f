"""Reads the sources of problems of `build` and `online`: names, or entries of a YAML file with options of their own."""

from collections.abc import Sequence
from dataclasses import replace
from typing import TYPE_CHECKING, Any

from .command_line import check_name


if TYPE_CHECKING:
    from ..problems import Problem

SOURCE_KEYS = (
    *("path", "mapping", "columns", "split", "name", "revision"),
    *("streaming", "language", "license", "limit", "skip_invalid"),
)


def source_paths(sources: Sequence[str | dict[str, Any]], option: str = "problems") -> list[str]:
    """Returns the file, folder or Hub id of each source, and rejects sources without one or with an unknown key."""
    paths = []
    for source in sources:
        if isinstance(source, dict):
            for key in source:
                check_name("key of a source of problems", key, SOURCE_KEYS)
        path = source.get("path") if isinstance(source, dict) else source
        if not path or not isinstance(path, str):
            raise ValueError(
                f"Each of `{option}` needs a `path`: give one to {source!r}, and several as entries of the list `{option}`."
            )
        paths.append(path)
    return paths


def read_problems(sources: Sequence[str | dict[str, Any]], **options: Any) -> "list[Problem]":
    """
    Returns the problems of all sources. If two sources share an id, the source is added to the id.

    Args:
        sources (`Sequence[str | dict]`):
            Files, folders or Hub ids, or their `path` with options of [`~reflection_trl.problems.load_problems`].
        **options (`Any`):
            Such options of sources that do not set them.
    """
    from ..problems import load_problems

    problems: list[Problem] = []
    ids: set[str] = set()
    for number, source in enumerate(sources, start=1):
        own = dict(source) if isinstance(source, dict) else {"path": source}
        path = own.pop("path")
        before = frozenset(ids)
        for one in load_problems(path, **{**options, **own}):
            # Several splits of one dataset have the same path
            names = (one.id, f"{path}:{one.id}", f"{path}#{number}:{one.id}")
            problems.append(replace(one, id=next((name for name in names if name not in before), one.id)))
            ids |= {one.id, problems[-1].id}
    return problems
