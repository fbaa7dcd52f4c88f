"""Finds the files that come with the package: recipes, accelerate configurations, sample rows and the metric."""

from collections.abc import Iterable
from pathlib import Path
from typing import Any


_PACKAGE = Path(__file__).parents[1]


def packaged(name: str) -> Path | None:
    """
    Returns the path of a file or folder of the package, in a clone or in an installed wheel.

    Args:
        name (`str`):
            Name as in the repository, such as `"recipes/smollm2-135m/distill.yaml"` or `"metrics/pass_at_k"`.

    Returns:
        `Path` or `None`: The path; `None` if the package has no such file.

    Example:

    ```python
    >>> from datasets import load_dataset
    >>> from reflection_trl.files.packaged import packaged

    >>> rows = load_dataset("parquet", data_files=str(packaged("recipes/data/reflection-sample.parquet")))
    ```
    """
    parts = Path(name).parts
    if not parts or parts[0] not in ("recipes", "metrics") or ".." in parts:
        return None
    # In a wheel both folders are inside the package, in a clone beside it
    for root in (_PACKAGE, _PACKAGE.parent):
        if (root / name).exists():
            return root / name
    return None


def find_recipe(name: str) -> Path | None:
    """
    Returns the path of a recipe's YAML file.

    Args:
        name (`str`):
            A file of the user, or the name of a recipe with or without `recipes/` and `.yaml`, such as
            `"qwen2.5-coder-1.5b/distill"`. The user's file takes precedence.

    Returns:
        `Path` or `None`: The file; `None` if there is none.
    """
    if Path(name).is_file():
        return Path(name)
    for candidate in (name, f"{name}.yaml", f"recipes/{name}", f"recipes/{name}.yaml"):
        path = packaged(candidate)
        if path is not None and path.suffix in (".yaml", ".yml") and path.is_file():
            return path
    return None


def recipe_names() -> list[str]:
    """Returns the names that [`find_recipe`] accepts, such as `"smollm2-135m/distill.yaml"`, in order."""
    root = packaged("recipes")
    return [] if root is None else sorted(str(path.relative_to(root)) for path in root.rglob("*.yaml"))


def resolve_packaged(value: Any) -> Any:
    """
    Replaces names of packaged files with their paths, in a setting or a structure of settings.

    Args:
        value (`Any`):
            Value of a setting. The function looks at each value in lists and dicts. A string that names a file in the
            working directory is unchanged.

    Returns:
        `Any`: The same structure with paths that are valid from any working directory.
    """
    if isinstance(value, dict):
        return {key: resolve_packaged(item) for key, item in value.items()}
    if isinstance(value, list):
        return [resolve_packaged(item) for item in value]
    if isinstance(value, str) and value.startswith(("recipes/", "metrics/")) and not Path(value).exists():
        return str(packaged(value) or value)
    return value


def resolve_arguments(argv: Iterable[str]) -> list[str]:
    """
    Replaces names of packaged files with their paths in a command line, also behind `--option=`.

    Args:
        argv (`Iterable[str]`):
            Arguments of a command.

    Returns:
        `list[str]`: The arguments with paths that are valid from any working directory.
    """
    resolved = []
    for arg in argv:
        option, equals, value = arg.partition("=") if arg.startswith("-") else ("", "", arg)
        resolved.append(f"{option}{equals}{resolve_packaged(value)}")
    return resolved
