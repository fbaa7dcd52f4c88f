"""Implements the common parts of the viewers' commands: the parser, one-line errors, and writing a page."""

import argparse
import difflib
import sys
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any, NoReturn

from ..files.packaged import resolve_arguments
from ..files.rows import RowsError


class CommandLine(argparse.ArgumentParser):
    """
    Prints errors on one line.

    Args:
        name (`str`):
            Subcommand of `reflection-trl`.
        **kwargs (`Any`):
            Arguments of [`argparse.ArgumentParser`].
    """

    def __init__(self, name: str, **kwargs: Any):
        kwargs |= {"formatter_class": argparse.RawDescriptionHelpFormatter, "allow_abbrev": False}
        super().__init__(prog=f"reflection-trl {name}", **kwargs)

    def read(self, argv: Sequence[str] | None) -> argparse.Namespace:
        """
        Parses arguments, in which files of the package may have their names in the repository.

        Args:
            argv (`Sequence[str]` or `None`):
                Arguments; those of the process by default.

        Returns:
            `argparse.Namespace`: The values.
        """
        argv = sys.argv[1:] if argv is None else argv
        args, unknown = self.parse_known_args(resolve_arguments(argv))
        for arg in unknown:
            near = difflib.get_close_matches(arg.partition("=")[0], self._option_string_actions, n=1)
            self.error(
                f"unrecognized argument: {arg}" + (f"; did you mean `{near[0]}`?" if near else "; see `--help`.")
            )
        return args

    def print_help(self, file: Any = None) -> None:
        # argparse's own ignores that it cannot be written
        print(self.format_help(), end="", file=file)

    def error(self, message: str) -> NoReturn:
        fix = "; see `--help`." if "are required" in message else ""
        self.exit(1, f"{self.prog}: error: {message}{fix}\n")

    def run(self, show: Callable[[], None]) -> int:
        """
        Runs a viewer.

        Args:
            show (`Callable`):
                Shows or writes the rows.

        Returns:
            `int`: Exit code: 0, or 1 after invalid input.
        """
        try:
            show()
        except RowsError as error:
            print(f"{self.prog}: error: {error}", file=sys.stderr)
            return 1
        return 0


def write_page(file: Path, page: str, number: int, note: str = "") -> None:
    """
    Writes a page, and prints its path, rows and size.

    Args:
        file (`Path`):
            File to write.
        page (`str`):
            Its content.
        number (`int`):
            Number of its rows.
        note (`str`, *optional*, defaults to `""`):
            Description of the rows.

    Raises:
        RowsError: If the file cannot be written.
    """
    try:
        file.write_text(page, encoding="utf-8", errors="backslashreplace")
    except OSError as error:
        raise RowsError(f"'{file}' cannot be written ({error.strerror}).") from None
    note = f" ({note})" if note else ""
    print(f"Wrote {file}: {number:,} row{'s' * (number > 1)}{note}, {len(page) / 1e6:.1f} MB")
