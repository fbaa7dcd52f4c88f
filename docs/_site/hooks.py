"""What the site needs beyond MkDocs: equations as MathML, and the files of the repository that pages link to.

Pages link to other files of the repository by relative paths, which work on GitHub. Here each such file, and each that those
link to, becomes a page of its own in `repository/`.
"""

import posixpath
import re
from html import unescape
from pathlib import Path

from latex2mathml.converter import convert
from mkdocs.plugins import get_plugin_logger
from mkdocs.structure.files import File


logger = get_plugin_logger("repository")

ROOT = Path(__file__).parents[2]
LINK = re.compile(r"(?P<before>\]\()(?!\w+:|#)(?P<path>[^)#\s]+)(?P<anchor>#[^)\s]*)?(?=\))")
EQUATION = re.compile(r'<(div|span) class="arithmatex">\s*\\(?P<open>[\[(])(?P<latex>.*?)\\[\])]</\1>', re.DOTALL)
LANGUAGES = {".py": "python", ".yaml": "yaml", ".json": "json", ".jinja": "jinja", ".sh": "bash"}

_pages: dict[str, str] = {}  # where pages and files of the repository are found in the site, and the other way round


def on_files(files, config):
    """Adds the files of the repository that pages link to."""
    _pages.clear()
    open_pages = [file.src_uri for file in files if file.src_uri.endswith(".md")]
    _pages.update({page: f"docs/{page}" for page in open_pages})
    while open_pages:
        page = open_pages.pop()
        source = _pages[page]
        if not _is_page(source):
            continue
        for match in LINK.finditer((ROOT / source).read_text(encoding="utf-8")):
            target = _target(source, match["path"])
            if target.startswith("docs/") or not (ROOT / target).is_file() or _uri(target) in _pages:
                continue
            _pages[_uri(target)] = target
            open_pages.append(_uri(target))
            files.append(File.generated(config, _uri(target), content=_content(target)))
    return files


def on_page_markdown(markdown, page, config, files):
    """Converts links to files of the repository to links to their pages, and sets the link to edit the page."""
    source = _pages[page.file.src_uri]
    edit_url = (config.extra["edit_url"] or "").rstrip("/")
    page.edit_url = f"{edit_url}/{source}" if edit_url else None
    if not _is_page(source):
        return markdown

    def turn(match):
        target = _target(source, match["path"])
        if not (ROOT / target).exists():
            logger.warning(f"{source} links to {match['path']}, which does not exist")
        uri = target.removeprefix("docs/") if target.startswith("docs/") else _uri(target)
        return match["before"] + posixpath.relpath(uri, posixpath.dirname(page.file.src_uri)) + (match["anchor"] or "")

    return LINK.sub(turn, markdown)


def on_page_content(html, page, config, files):
    """Turns LaTeX into MathML, which browsers show without any script."""
    return EQUATION.sub(lambda match: _math(unescape(match["latex"]), match["open"] == "["), html)


def _is_page(target):
    return target.endswith(".md") and "/templates/" not in target


def _target(source, path):
    target = posixpath.normpath(posixpath.join(posixpath.dirname(source), path))
    return f"{target}/README.md" if (ROOT / target).is_dir() else target


def _uri(target):
    return f"repository/{target}" if target.endswith(".md") else f"repository/{target}.md"


def _content(target):
    text = (ROOT / target).read_text(encoding="utf-8")
    if _is_page(target):
        return text
    fence = "`" * (3 + max((len(run) for run in re.findall(r"`{3,}", text)), default=0))
    return f"# {target}\n\n{fence}{LANGUAGES.get(Path(target).suffix, 'text')}\n{text}\n{fence}\n"


def _math(latex, display):
    math = convert(latex, display="block" if display else "inline")
    # Limits of sums belong beneath them, and few machines have a font with a brace that stretches
    math = re.sub(r"<msub>(<mo>&#x02211;</mo>)(.*?)</msub>", r"<munder>\1\2</munder>", math) if display else math
    return re.sub(r"<munder>(<mrow>.*?</mrow>)<mo>&#x23DF;</mo></munder>", r'<mrow class="braced">\1</mrow>', math)
