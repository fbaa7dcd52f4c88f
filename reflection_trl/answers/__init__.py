"""
Code out of what a model wrote: which fences, which of them are the program, and what is prose around it.

The program is in fences of the language asked for, else in fences without a language, else in the marks that some models put around code
(`[PYTHON]`, `<code>`), else the answer itself is code from some line on. Of several blocks **the last complete definition of the entry point is
the answer**, since models correct themselves further down:

1. The base is the last block that defines the entry point, and not as a stub (`...`, `pass`). Where the entry point is not known, it is the
   longest block that defines something, or the last block behind it that defines all of that again.
2. Helpers are joined with it in order: blocks that only import, or define what the base does not. Of blocks that also hold an earlier version,
   or nothing but constants, those statements are taken that the base needs. A helper that is defined again behind the base counts as it is
   there.
3. Blocks behind the base that hold asserts are joined too, and so is the driver of a program that reads its input.
4. Quoted fragments, examples of use and printed output are left out, and `from __future__ import` goes to the top.

Of languages but Python, where definitions are known by patterns alone, nothing is joined.

Thoughts, tokens that end a turn and characters that no editor shows are no code.
"""

from .cleaning import without_thoughts
from .reading import Answer, read_answer


__all__ = ["Answer", "read_answer", "without_thoughts"]
