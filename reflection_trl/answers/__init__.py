"""
Extracts code from completions: selects the fences of the program, and separates the prose around it.

The program is in fences of the requested language, else in fences without a language, else in the marks that some
models put around code (`[PYTHON]`, `<code>`), else the answer itself is code from some line on. Of several blocks,
**the last complete definition of the entry point is the answer**, because models correct themselves further down:

1. The base is the last block that defines the entry point, and not as a stub (`...`, `pass`). If the entry point is
unknown, it is the longest block that defines something, or the last block after it that defines all of this again.
2. Helpers are joined with it in order: blocks that only import, or define other names than the base. From blocks that
also contain an earlier version, or only constants, only the statements that the base needs are used. If a helper is
defined again after the base, the later definition is used.
3. Blocks after the base with asserts are joined too, and so is the driver of a program that reads its input.
4. Quoted fragments, examples of use and printed output are ignored, and `from __future__ import` is moved to the top.

In languages other than Python, where only patterns find definitions, nothing is joined.

Thoughts, end-of-turn tokens and invisible characters are not code.
"""

from .cleaning import without_thoughts
from .prose import foreign_script, words_to_reader
from .reading import Answer, read_answer


__all__ = ["Answer", "foreign_script", "read_answer", "without_thoughts", "words_to_reader"]
