"""The site builds without a warning, and every link of its pages arrives, here and on GitHub."""

import os
import re
from html.parser import HTMLParser
from pathlib import Path
from types import SimpleNamespace
from urllib.parse import unquote, urlsplit

import pytest

from .conftest import ROOT
from .test_snippets import PAGES, RECIPE_PAGES


pytest.importorskip("mkdocs")
OTHER_PAGES = (
    "CHANGELOG.md",
    "CONTRIBUTING.md",
    "SECURITY.md",
    "dataset_cards/README.md",
    "metrics/pass_at_k/README.md",
)
LINK = re.compile(r"\]\((?!\w+:)([^)#\s]*)(#[^)\s]*)?\)")


class Page(HTMLParser):
    """What a page links to, loads, and can be linked to."""

    def __init__(self, file):
        super().__init__()
        self.file = file
        self.links, self.loads, self.ids, self.text = [], [], {""}, []
        html = file.read_text(encoding="utf-8")
        self.prose = re.sub(r"<pre>.*?</pre>", "", html, flags=re.DOTALL)
        self.feed(html)

    def handle_starttag(self, tag, attributes):
        attributes = dict(attributes)
        self.ids |= {attributes.get("id", ""), attributes.get("name", "")}
        self.links += [attributes["href"]] if tag == "a" and "href" in attributes else []
        self.loads += [
            attributes[key] for key in ("src", "href") if tag in ("img", "link", "script") and key in attributes
        ]

    def handle_data(self, data):
        self.text.append(data)


@pytest.fixture(scope="module")
def site(tmp_path_factory):
    from mkdocs.commands.build import build
    from mkdocs.config import load_config

    folder = tmp_path_factory.mktemp("site")
    config = load_config(str(ROOT / "mkdocs.yml"), site_dir=str(folder), strict=True)
    config.plugins.on_startup(command="build", dirty=False)
    build(config)  # raises where there was a warning
    return {file.relative_to(folder): Page(file) for file in folder.rglob("*.html") if file.name != "404.html"}


def test_pages_have_search_copy_buttons_and_a_dark_mode(site):
    page = site[Path("start.html")]
    html = page.file.read_text(encoding="utf-8")
    assert (page.file.parent / "search" / "search_index.json").is_file()
    assert 'data-md-component="search"' in html and "content.code.copy" in html
    assert {'data-md-color-scheme="default"', 'data-md-color-scheme="slate"'} <= set(
        re.findall(r'data-md-color-scheme="\w+"', html)
    )
    assert "method.svg" in "".join(site[Path("index.html")].loads)


def test_the_style_sheet_selects_elements_that_exist(site):
    sheet = (ROOT / "docs" / "stylesheets" / "site.css").read_text(encoding="utf-8")
    html = "".join(page.file.read_text(encoding="utf-8") for page in site.values())
    present = {name for names in re.findall(r'class="([^"]*)"', html) for name in names.split()}
    assert not set(re.findall(r"\.([a-z][\w-]*)", sheet)) - present


@pytest.mark.parametrize(
    ("edit_url", "page", "edited"),
    [
        ("", "start.md", None),
        ("https://host/me/name/edit/main/", "start.md", "https://host/me/name/edit/main/docs/start.md"),
        ("https://host/me/name/edit/main", "repository/README.md", "https://host/me/name/edit/main/README.md"),
    ],
)
def test_the_edit_button_leads_to_the_source(monkeypatch, edit_url, page, edited):
    monkeypatch.syspath_prepend(ROOT / "docs" / "_site")
    import hooks

    source = page.removeprefix("repository/") if page.startswith("repository/") else f"docs/{page}"
    monkeypatch.setattr(hooks, "_pages", {page: source})
    shown = SimpleNamespace(file=SimpleNamespace(src_uri=page), edit_url="edit/main/docs/start.md")
    hooks.on_page_markdown("Text.", shown, SimpleNamespace(extra={"edit_url": edit_url}), [])
    assert shown.edit_url == edited


def test_every_link_arrives(site):
    broken = []
    for path, page in site.items():
        for link in page.links:
            url = urlsplit(link)
            if url.scheme:
                continue
            target = Path(os.path.normpath(path.parent / unquote(url.path))) if url.path else path
            if target not in site or unquote(url.fragment) not in site[target].ids:
                broken.append(f"{path}: {link}")
    assert not broken


def test_nothing_is_loaded_from_elsewhere(site):
    assert not [f"{path}: {url}" for path, page in site.items() for url in page.loads if urlsplit(url).scheme != ""]


def test_public_names_are_in_the_reference(site):
    import reflection_trl

    shown = {name for path, page in site.items() if path.parts[0] == "reference" for name in page.ids}
    missing = [n for n in reflection_trl.__all__ if n.isidentifier() and not any(i.endswith(f".{n}") for i in shown)]
    assert not missing


def test_lists_are_lists(site):
    """The site's Markdown wants an empty line before a list, GitHub's does not."""
    assert not [str(path) for path, page in site.items() if re.search(r"[^\s]\n- \S", page.prose)]


def test_equations_are_markup(site):
    text = (ROOT / "docs" / "method.md").read_text(encoding="utf-8")
    assert "$$" in text
    assert "\\frac" not in "".join(site[Path("method.html")].text)


@pytest.mark.parametrize(
    "page",
    [*PAGES, *RECIPE_PAGES, *(ROOT / name for name in OTHER_PAGES)],
    ids=lambda page: str(page.relative_to(ROOT)),
)
def test_links_arrive_on_github(page):
    """GitHub makes anchors of headings in its own way, and shows files of the repository where they are."""
    for path, anchor in LINK.findall(page.read_text(encoding="utf-8")):
        target = (page.parent / path).resolve() if path else page
        assert target.exists(), f"{page.name}: {path}"
        if anchor:
            headings = re.findall(r"^#+ (.*)$", target.read_text(encoding="utf-8"), re.MULTILINE)
            anchors = [re.sub(r"[^\w\- ]", "", heading.lower()).replace(" ", "-") for heading in headings]
            assert anchor[1:] in anchors, f"{page.name}: {path}{anchor}"


def test_docstrings_become_markdown(monkeypatch):
    monkeypatch.syspath_prepend(ROOT / "docs" / "_site")
    from docstrings import to_markdown

    paths = {"Row": "package.Row"}
    text = to_markdown(
        "Does it. Two kinds:\n"
        "- one\n- two\n\n"
        "Args:\n"
        "    rows (`list[Row]`, *optional*, defaults to `[]`):\n"
        "        Rows, see [`Row`].\n\n"
        "        - A list within.\n"
        "    where: what [`~other.Name`] calls it.\n\n"
        "Returns:\n"
        "    `str`: The text,\n"
        "    on two lines.\n\n"
        "Raises:\n"
        "    ValueError: If not.\n\n"
        "> [!NOTE]\n> Mind:\n> - this\n",
        paths.get,
    )
    assert "Two kinds:\n\n- one" in text
    assert (
        '`rows` (`list[Row]`, *optional*, defaults to `[]`)\n:   Rows, see <autoref identifier="package.Row" optional>'
        in text
    )
    assert "\n    - A list within." in text
    assert "`where`\n:   what `Name` calls it." in text
    assert "**Returns**\n\n`str`\n:   The text,\n    on two lines." in text
    assert "`ValueError`\n:   If not." in text
    assert "!!! note\n\n    Mind:\n\n    - this" in text


def test_readme_has_the_figures_of_the_performance_page():
    page = (ROOT / "docs" / "performance.md").read_text()
    rows = re.findall(r"^\| ([\w-]+) \| \d+ \| ([\d,]+) \|", page, re.MULTILINE)
    measured = dict(reversed(rows))  # the first table of the page counts
    (line,) = [line for line in (ROOT / "README.md").read_text().splitlines() if line.startswith("| tokens/s")]
    *cells, sdft_cell = line.split("|")[2:6]
    ours, published, sft = (re.findall(r"\d+,\d+", cell) for cell in cells)
    assert ours == [measured["ours"], measured["ours-compiled"]]
    assert (published, sft) == ([measured["published"]], [measured["sft"], measured["sft-compiled"]])
    sdft, ours_beside_it = re.search(
        r"reached ([\d,]+) tokens/s on an H100 \(80 GB\), where `ours` reached ([\d,]+)", page
    ).groups()
    assert f" {int(sdft.replace(',', '')) / int(ours_beside_it.replace(',', '')):.2f} times ours" in sdft_cell
