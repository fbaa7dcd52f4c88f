"""How the checks use names is read once, at a depth where that cannot fail."""

import ast

import pytest

from reflection_trl.sandbox.guest.usage import Usage


CHECKS = "assert gcd(4, 2) == 2\nassert isclose(area(2.0), 3.1)\nassert isinstance(make(), stack)"


def test_what_names_mean():
    usage = Usage(CHECKS)
    assert not usage.means_helper("gcd", None) and usage.means_helper("isclose", None)
    assert usage.tests_class("stack") and not usage.tests_class("make")
    assert not usage.means_module("area") and Usage("json.loads").means_module("json")


@pytest.mark.parametrize(("names", "parses"), [(["area", "make"], 0), (["area", "gcd"], 1), (["json"], 1), ([], 0)])
def test_checks_are_parsed_only_for_names_that_python_has_too(
    names: list[str], parses: int, monkeypatch: pytest.MonkeyPatch
):
    parsed = []
    monkeypatch.setattr(ast, "parse", lambda source, parse=ast.parse: parsed.append(source) or parse(source))
    Usage(CHECKS).prepare(names)
    assert len(parsed) == parses


def test_a_name_means_the_same_deep_in_a_recursion(monkeypatch: pytest.MonkeyPatch):
    """An answer could otherwise have the first look at its `gcd` taken where the checks cannot be parsed, and get Python's."""
    usage = Usage(CHECKS)
    usage.prepare(["gcd"])

    def parse(source: str) -> None:
        raise RecursionError

    monkeypatch.setattr(ast, "parse", parse)
    assert not usage.means_helper("gcd", None)
    assert Usage(CHECKS).means_helper("gcd", None)
