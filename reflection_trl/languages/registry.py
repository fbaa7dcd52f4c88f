"""Lists all programming languages by name."""

from ..quoting import quote
from .bash import Bash
from .cpp import Cpp
from .csharp import CSharp
from .java import Java
from .javascript import JavaScript, TypeScript
from .language import Language
from .php import PHP
from .python import Python
from .rust import Rust
from .swift import Swift


LANGUAGES: dict[str, Language] = {
    language.name: language
    for language in (Python(), Cpp(), Java(), JavaScript(), TypeScript(), Rust(), PHP(), Bash(), CSharp(), Swift())
}
_ALIASES = {fence: language.name for language in LANGUAGES.values() for fence in language.fences}


def get_language(name: str) -> Language:
    """
    Returns the language of a name, an alias or a file extension, such as `"c++"`, `"js"` or `"sh"`.

    Args:
        name (`str`):
            Name, in any case.

    Raises:
        ValueError: If there is no such language. The message lists the existing ones.
    """
    known = name.strip().lower()
    known = _ALIASES.get(known, known)
    if known not in LANGUAGES:
        raise ValueError(f"Unknown language {quote(name)}: use one of {', '.join(LANGUAGES)}.")
    return LANGUAGES[known]
