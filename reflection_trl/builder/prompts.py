"""What the model is asked at each step: templates that a directory of the user's may replace, one language at a time."""

from dataclasses import dataclass
from functools import cache
from pathlib import Path
from typing import Any

from jinja2 import StrictUndefined, Template, TemplateError, TemplateSyntaxError, meta
from jinja2.sandbox import ImmutableSandboxedEnvironment

from ..languages import get_language


# What each template must and may mention
_REQUIRED = {
    "reflection": {"instruction"},
    "feedback": {"feedback"},
    "further": {"feedback"},
    "analysis": {"feedback"},
    "conclusion": {"feedback"},
    "request": {"instruction"},
    "answer": {"instruction", "program"},
}
_ALLOWED = {
    "reflection": {"examples", "tests", "asserts"},
    "feedback": {"instruction", "examples", "further"},
    "further": set(),
    "analysis": {"instruction"},
    "conclusion": {"instruction", "repaired"},
    "request": set(),
    "answer": {"examples"},
}
_COMMON = {"title", "fence", "language"}
_OWN = Path(__file__).parent / "templates"


@dataclass(frozen=True)
class Prompts:
    """
    The prompts of a rollout, read from files `<language>.<name>.jinja`, where `default` stands for every language.

    | name | who sees it | must mention | may mention |
    |---|---|---|---|
    | `reflection` | first user turn, stored | `instruction` | `examples`, `tests` (whether the problem has any), `asserts` |
    | `feedback` | user turn with the output of a failed run; the sequence stores the output alone | `feedback` | `instruction`, `examples`, `further` |
    | `further` | output of the problem's own tests, stored | `feedback` | |
    | `analysis` | user turn after a repair that came without a word; the sequence puts the reply before its program | `feedback` | `instruction` |
    | `conclusion` | user turn with the output of the last run; likewise | `feedback` | `instruction`, `repaired` |
    | `request` | the one-off request, stored | `instruction` | |
    | `answer` | what the model is asked to answer it from | `instruction`, `program` | `examples` |

    All may mention `language` (`"cpp"`), `title` (`"C++"`) and `fence` (the name that opens a code block).

    Args:
        sources (`dict[str, str]`):
            Text of each template, by file name without `.jinja`.
    """

    sources: dict[str, str]

    @classmethod
    def load(cls, directory: str | Path | None = None) -> "Prompts":
        """
        Reads the templates that come with the package, and those that replace them.

        Args:
            directory (`str` or `Path`, *optional*):
                Directory with templates of the user's. What it lacks is taken from the package.

        Raises:
            ValueError: If the directory is missing, or a file in it has an unknown name, does not parse, or lacks a placeholder.
        """
        sources = _read(_OWN)
        if directory is not None:
            own = _read(Path(directory))
            replaced = {name.split(".")[1] for name in own if name.startswith("default.")}
            # A default of the user's counts for all languages, those that the package words differently included
            sources = {name: text for name, text in sources.items() if name.split(".")[1] not in replaced} | own
        return cls(sources)

    def render(self, name: str, language: str, **values: Any) -> str:
        """
        Fills in a template.

        Args:
            name (`str`):
                Such as `"reflection"`.
            language (`str`):
                Language of the problem; its own template counts where there is one.
            values: what the template mentions.
        """
        spoken = get_language(language)
        key = f"{language}.{name}" if f"{language}.{name}" in self.sources else f"default.{name}"
        try:
            text = _compile(self.sources[key]).render(
                language=language, title=spoken.title, fence=spoken.fences[0], **values
            )
        except TemplateError as error:
            raise ValueError(f"Template {key}.jinja cannot be filled in: {error}.") from error
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
            f"Template directory {directory} does not exist: name one that holds files such as default.answer.jinja."
        )
    sources = {}
    for path in sorted(directory.glob("*.jinja")):
        parts = path.name.removesuffix(".jinja").split(".")
        if len(parts) != 2 or parts[1] not in _REQUIRED:
            raise ValueError(
                f"Template {path} has no place in a rollout: call it <language>.<name>.jinja or default.<name>.jinja, with "
                f"one of the names {', '.join(_REQUIRED)}."
            )
        sources[".".join(parts)] = _check(path, parts[1])
    if not sources:
        raise ValueError(
            f"Template directory {directory} holds no file that ends in .jinja, such as default.answer.jinja."
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
        raise ValueError(f"Template {path} does not parse: line {error.lineno}: {error.message}.") from None
    for missing in sorted(_REQUIRED[name] - mentioned):
        raise ValueError(f"Template {path} lacks the placeholder {{{{ {missing} }}}}.")
    for unknown in sorted(mentioned - _REQUIRED[name] - _ALLOWED[name] - _COMMON):
        known = ", ".join(sorted(_REQUIRED[name] | _ALLOWED[name] | _COMMON))
        raise ValueError(f"Template {path} mentions {{{{ {unknown} }}}}, which nothing fills in: use {known}.")
    return source
