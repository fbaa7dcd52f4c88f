"""Renders the prompts of each step from templates, which the user can replace per language."""

from dataclasses import dataclass
from functools import cache
from pathlib import Path
from typing import Any

from jinja2 import StrictUndefined, Template, TemplateError, TemplateSyntaxError, meta
from jinja2.sandbox import ImmutableSandboxedEnvironment

from ..languages import get_language
from ..quoting import quote_error


# Placeholders that each template must and may contain
_REQUIRED = {
    "reflection": {"instruction"},
    "feedback": {"feedback"},
    "further": {"feedback"},
    "analysis": {"feedback"},
    "conclusion": {"feedback"},
    "request": {"instruction"},
    "answer": {"instruction", "program"},
    "output": {"feedback"},
}
_ALLOWED = {
    "reflection": {"examples", "tests", "asserts", "compute"},
    "feedback": {"instruction", "examples", "further"},
    "further": set(),
    "analysis": {"instruction"},
    "conclusion": {"instruction", "repaired"},
    "request": set(),
    "answer": {"examples"},
    "output": {"instruction"},
}
_COMMON = {"title", "fence", "language"}
SOLUTION = "solution"  # in place of a language, for problems with a final answer
_OWN = Path(__file__).parent / "templates"


@dataclass(frozen=True)
class Prompts:
    """
    Holds the prompts of a rollout, from files `<language>.<name>.jinja`, where `default` applies to every language,
    and `solution` to problems with a final answer.

    | name | use | required | optional |
    |---|---|---|---|
    | `reflection` | first user turn, stored | `instruction` | `examples`, `tests` (whether the problem has any),
    `asserts`, `compute` (whether solutions may compute) |
    | `feedback` | user turn with the output of a failed run; the sequence stores the output alone | `feedback` |
    `instruction`, `examples`, `further` |
    | `further` | output of the problem's own tests, stored | `feedback` | |
    | `analysis` | user turn after a repair without an explanation; the sequence puts the reply before its program |
    `feedback` | `instruction` |
    | `conclusion` | user turn with the output of the last run; likewise | `feedback` | `instruction`, `repaired` |
    | `request` | the one-off request, stored | `instruction` | |
    | `answer` | prompt for the answer to the request | `instruction`, `program` | `examples` |
    | `output` | user turn with the output of a computation (`solution` only); the sequence stores the output alone |
    `feedback` | `instruction` |

    All may contain `language` (`"cpp"`), `title` (`"C++"`) and `fence` (the info string of a code block).

    Args:
        sources (`dict[str, str]`):
            Text of each template, by file name without `.jinja`.
    """

    sources: dict[str, str]

    @classmethod
    def load(cls, directory: str | Path | None = None) -> "Prompts":
        """
        Loads the templates of the package, and those that replace them.

        Args:
            directory (`str` or `Path`, *optional*):
                Folder with templates of the user. Missing ones come from the package.

        Raises:
            ValueError: If the folder is missing, or a file in it has an unknown name, does not parse, or lacks a
            placeholder.
        """
        sources = _read(_OWN)
        if directory is not None:
            own = _read(Path(directory))
            replaced = {name.split(".")[1] for name in own if name.startswith("default.")}
            # A default template of the user applies to all languages, including those with a template in the package,
            # but not to solutions
            kept = {
                name: text
                for name, text in sources.items()
                if name.startswith(f"{SOLUTION}.") or name.split(".")[1] not in replaced
            }
            sources = kept | own
        return cls(sources)

    def of_kind(self, solutions: bool) -> dict[str, str]:
        """
        Returns the templates of one kind of problems.

        Args:
            solutions (`bool`):
                Whether those of problems with a final answer.
        """
        return {name: text for name, text in self.sources.items() if name.startswith(f"{SOLUTION}.") == solutions}

    def render(self, name: str, language: str, **values: Any) -> str:
        """
        Renders a template.

        Args:
            name (`str`):
                Name of the template, such as `"reflection"`.
            language (`str`):
                Language of the problem, or `SOLUTION`. Its own template is used if there is one.
            **values (`Any`):
                Values of the placeholders.
        """
        target = get_language("python" if language == SOLUTION else language)  # computations are in Python
        key = f"{language}.{name}" if f"{language}.{name}" in self.sources else f"default.{name}"
        try:
            text = _compile(self.sources[key]).render(
                language=language, title=target.title, fence=target.fences[0], **values
            )
        except TemplateError as error:
            raise ValueError(f"Template {key}.jinja cannot be filled in: {quote_error(error)}.") from error
        return text.strip()


@cache
def _environment() -> ImmutableSandboxedEnvironment:
    return ImmutableSandboxedEnvironment(undefined=StrictUndefined, trim_blocks=True, lstrip_blocks=True)


@cache
def _compile(source: str) -> Template:
    return _environment().from_string(source)


def _read(directory: Path) -> dict[str, str]:
    if not directory.is_dir():
        raise ValueError(
            f"Template directory {directory} does not exist: give a folder with files such as default.answer.jinja."
        )
    sources = {}
    for path in sorted(directory.glob("*.jinja")):
        parts = path.name.removesuffix(".jinja").split(".")
        if len(parts) != 2 or parts[1] not in _REQUIRED:
            raise ValueError(
                f"Template {path} is not used by any step: rename it to <language>.<name>.jinja or default.<name>.jinja, with "
                f"one of the names {', '.join(_REQUIRED)}."
            )
        sources[".".join(parts)] = _check(path, parts[1])
    if not sources:
        raise ValueError(
            f"Template directory {directory} contains no *.jinja file: add one, such as default.answer.jinja."
        )
    return sources


def _check(path: Path, name: str) -> str:
    try:
        source = path.read_text(encoding="utf-8")
        mentioned = meta.find_undeclared_variables(_environment().parse(source))
    except UnicodeDecodeError as error:
        raise ValueError(
            f"Template {path} is not UTF-8 text ({error.reason} at byte {error.start}): save it as UTF-8."
        ) from None
    except TemplateSyntaxError as error:
        raise ValueError(f"Template {path} is not valid Jinja: line {error.lineno}: {error.message}.") from None
    for missing in sorted(_REQUIRED[name] - mentioned):
        raise ValueError(f"Template {path} lacks the placeholder {{{{ {missing} }}}}: add it.")
    for unknown in sorted(mentioned - _REQUIRED[name] - _ALLOWED[name] - _COMMON):
        known = ", ".join(sorted(_REQUIRED[name] | _ALLOWED[name] | _COMMON))
        raise ValueError(f"Template {path} mentions {{{{ {unknown} }}}}, which has no value: use {known}.")
    return source
