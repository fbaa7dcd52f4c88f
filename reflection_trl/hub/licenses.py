"""Checks license names of the Hub (https://huggingface.co/docs/hub/repositories-licenses)."""

import difflib
from collections.abc import Iterable


LICENSES = frozenset((
    "apache-2.0", "mit", "openrail", "bigscience-openrail-m", "creativeml-openrail-m", "bigscience-bloom-rail-1.0",
    "bigcode-openrail-m", "afl-3.0", "artistic-2.0", "bsl-1.0", "bsd", "bsd-2-clause", "bsd-3-clause",
    "bsd-3-clause-clear", "c-uda", "cc", "cc0-1.0", "cc-by-2.0", "cc-by-2.5", "cc-by-3.0", "cc-by-4.0",
    "cc-by-sa-3.0", "cc-by-sa-4.0", "cc-by-nc-2.0", "cc-by-nc-3.0", "cc-by-nc-4.0", "cc-by-nd-4.0",
    "cc-by-nc-nd-3.0", "cc-by-nc-nd-4.0", "cc-by-nc-sa-2.0", "cc-by-nc-sa-3.0", "cc-by-nc-sa-4.0",
    "cdla-sharing-1.0", "cdla-permissive-1.0", "cdla-permissive-2.0", "wtfpl", "ecl-2.0", "epl-1.0", "epl-2.0",
    "etalab-2.0", "eupl-1.1", "eupl-1.2", "agpl-3.0", "gfdl", "gpl", "gpl-2.0", "gpl-3.0", "lgpl", "lgpl-2.1",
    "lgpl-3.0", "isc", "h-research", "intel-research", "lppl-1.3c", "ms-pl", "apple-ascl", "apple-amlr", "mpl-2.0",
    "odc-by", "odbl", "openmdw-1.0", "openrail++", "osl-3.0", "postgresql", "ofl-1.1", "ncsa", "unlicense", "zlib",
    "pddl", "lgpl-lr", "deepfloyd-if-license", "fair-noncommercial-research-license", "llama2", "llama3", "llama3.1",
    "llama3.2", "llama3.3", "llama4", "grok2-community", "gemma", "unknown", "other",
))  # fmt: skip


def check_license(license: str) -> None:
    """
    Checks that the Hub knows a license.

    Raises:
        ValueError: If it does not. The Hub would reject the card.
    """
    if license not in LICENSES:
        near = difflib.get_close_matches(license.lower(), sorted(LICENSES), n=1)
        fix = f"did you mean {near[0]!r}?" if near else "give one that it knows, such as 'apache-2.0', or 'other'."
        raise ValueError(f"The Hub does not know the license {license!r}; {fix}")


def common_license(licenses: Iterable[str]) -> str | list[str] | None:
    """Returns the licenses of a dataset's sources for the card's metadata; `None` if one is unknown."""
    names = sorted({license.lower() for license in licenses})
    if not names or "unknown" in names or not LICENSES.issuperset(names):
        return None
    return names[0] if len(names) == 1 else names
