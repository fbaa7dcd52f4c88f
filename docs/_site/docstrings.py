"""Docstrings as transformers and TRL write them, for the API reference: a Griffe extension that makes them Markdown.

Sections (`Args:`, `Returns:`, ...) become headings and definition lists, `[`Name`]` and `[`~package.Name`]` become links where
the reference holds that name. A name of this package that does not exist is a warning, and so ends a strict build.
"""

import re
from textwrap import dedent, indent

import griffe


logger = griffe.get_logger("mkdocs.plugins.docstrings")

PACKAGE = "reflection_trl"
SECTION = re.compile(r"^(Args|Parameters|Attributes|Returns|Yields|Raises|Examples?):$")
ENTRY = re.compile(r"^(?P<name>\*{0,2}\w+(?:, \w+)*)(?: \((?P<type>.+?)\))?:(?: (?P<text>.*))?$")
RETURNED = re.compile(r"^(?P<type>(?:\[?`[^`]+`\]?|\*optional\*|of shape|or|, | )+): (?P<text>.*)$")
CALLOUT = re.compile(r"^( *)> \[!(?P<kind>\w+)\]\n(?P<body>(?:\1>.*(?:\n|\Z))+)", re.MULTILINE)
REFERENCE = re.compile(r"\[`(?P<short>~?)(?P<name>[\w.]+)`\](?![(\[])")


class HuggingFaceDocstrings(griffe.Extension):
    """Rewrites each docstring of the package as it is read."""

    def on_package(self, *, pkg: griffe.Module, **kwargs) -> None:
        self._rewrite(pkg, pkg, set())

    def _rewrite(self, obj: griffe.Object, package: griffe.Module, seen: set[str]) -> None:
        if obj.docstring is not None:
            obj.docstring.value = to_markdown(obj.docstring.value, lambda name: _find(name, obj, package))
        if obj.is_attribute and isinstance(obj.value, griffe.ExprCall):
            for argument in obj.value.arguments:  # of `field`: a signature shows what the factory gives
                if getattr(argument, "name", None) == "default_factory" and isinstance(
                    argument.value, griffe.ExprLambda
                ):
                    obj.value = argument.value.body
        for member in obj.members.values():
            if not member.is_alias and member.path not in seen:
                seen.add(member.path)
                self._rewrite(member, package, seen)


def to_markdown(docstring: str, find=lambda name: None) -> str:
    """
    A docstring as Markdown.

    Args:
        docstring (`str`):
            As transformers' documentation builder reads it.
        find (`Callable`, *optional*):
            From a name in `[`...`]` to its full path, or `None` for names of other packages.

    Returns:
        `str`: Markdown with definition lists.
    """
    parts, section, body = [], None, []
    for line in [*CALLOUT.sub(_callout, docstring).splitlines(), "Returns:"]:  # the last one closes what is open
        starts = SECTION.match(line)
        if starts or (section and line and not line.startswith(" ")):
            parts.append(_section(section, dedent("\n".join(body)).strip("\n")) if section else "\n".join(body))
            section, body = (starts[1], []) if starts else (None, [line])
        else:
            body.append(line)
    # Markdown of GitHub's kind lets a list follow a sentence directly
    text = re.sub(r"^( *)(?![- ])(.+)\n(?=\1- )", r"\1\2\n\n", "\n\n".join(parts), flags=re.MULTILINE)
    return REFERENCE.sub(lambda match: _link(match, find), text)


def _section(name: str, body: str) -> str:
    if name.startswith("Example"):
        return f"**{name}**\n\n{body}"
    if name in ("Returns", "Yields"):
        lines = body.splitlines()
        entry = RETURNED.match(lines[0])
        if entry:
            rest = dedent("\n".join(lines[1:]))
            body = f"{entry['type']}\n:   {indent(entry['text'] + chr(10) + rest, '    ').strip()}"
        return f"**{name}**\n\n{body}"
    parts = []
    for line in body.splitlines():
        if line.startswith("> "):
            parts.append(f"\n*{line[2:]}*\n")  # a group of parameters
        elif (
            name == "Raises" and not line.startswith(" ") and (entry := re.match(r"^(\[?`?[\w.~]+`?\]?): (.*)$", line))
        ):
            error = entry[1] if "`" in entry[1] else f"`{entry[1]}`"
            parts.append(f"\n{error}\n:   {entry[2]}")
        elif entry := ENTRY.match(line):
            about = f" ({entry['type']})" if entry["type"] else ""
            parts.append(f"\n`{entry['name']}`{about}\n:   {entry['text'] or ''}")
        else:
            parts.append(line)
    heading = "Parameters" if name == "Args" else name
    # The first line of a definition may stand on the one after its term
    return f"**{heading}**\n" + re.sub(r"\n:   \n +", "\n:   ", "\n".join(parts))


def _callout(match: re.Match[str]) -> str:
    body = re.sub(r"^ *> ?", "", match["body"], flags=re.MULTILINE)
    return indent(f"!!! {match['kind'].lower()}\n\n{indent(body, '    ')}", match[1])


def _link(match: re.Match[str], find) -> str:
    name, path = match["name"], find(match["name"])
    shown = name.rpartition(".")[2] if match["short"] else name
    # Optional: a name that no page shows stays as it is
    return f'<autoref identifier="{path}" optional><code>{shown}</code></autoref>' if path else f"`{shown}`"


def _find(name: str, obj: griffe.Object, package: griffe.Module) -> str | None:
    first, _, rest = name.partition(".")
    try:
        if first == PACKAGE:
            return package[rest].path if rest else PACKAGE
        module = obj if obj.is_module else obj.module
        if obj.is_class and first in obj.members and not rest:
            return obj[first].path
        named = module.members.get(first) or next(iter(_everywhere(package, first)), None)
        if named is not None:
            named = named.final_target if named.is_alias else named
            return named[rest].path if rest else named.path
    except (KeyError, griffe.AliasResolutionError):
        pass
    if first == PACKAGE or not rest:
        logger.warning(f"{obj.path}: the docstring refers to `{name}`, which does not exist")
    return None


def _everywhere(module: griffe.Module, name: str):
    """The functions and classes of this name in a package."""
    if name in module.members and not module.members[name].is_alias:
        yield module.members[name]
    for child in module.modules.values():
        if not child.is_alias:
            yield from _everywhere(child, name)
