"""Loads HumanEval+ and MBPP+ from evalplus: the tasks, their file and its checksum."""

import importlib
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from ..quoting import quote_error


@dataclass(frozen=True)
class EvalPlusData:
    """
    Represents one of evalplus's two datasets, with the original tasks, their inputs and those that the `+` adds.

    Args:
        name (`str`):
            Name on evalplus's command line.
        title (`str`):
            Its name, which the ids of its tasks begin with.
        function (`str`):
            Name in evalplus's functions, such as `"human_eval"`.
    """

    name: str
    title: str
    function: str

    @property
    def variable(self) -> str:
        """Returns the environment variable that names a file to read instead of downloading one."""
        return f"{self.title.upper()}_OVERRIDE_PATH"

    def read(self) -> dict[str, dict[str, Any]]:
        """
        Reads the tasks by their ids.

        Raises:
            ValueError: If evalplus is not installed, or the tasks are neither on this machine nor available from the network.
        """
        module = self._module()
        override = getattr(module, self.variable)
        read: Callable[[], dict[str, dict[str, Any]]] = getattr(module, f"get_{self.function}_plus")
        try:
            return read()
        except Exception as error:  # whatever the download library, a cut file or an incomplete one raises
            reason = quote_error(error)
            raise ValueError(
                f"{self.title}+ cannot be read from {override!r}: {reason}."
                if override
                else f"{self.title}+ is not in evalplus's cache and cannot be downloaded ({reason}); with no network, get its "
                f"file (jsonl) elsewhere and set {self.variable} to its path."
            ) from error

    def file(self) -> Path:
        """Returns the file from which evalplus reads the tasks. [`EvalPlusData.read`] ensures that it exists."""
        ready: Callable[[], str] = getattr(self._module(), f"_ready_{self.function}_plus_path")
        return Path(ready()).resolve()

    def checksum(self) -> str:
        """Returns the checksum of the file, by which evalplus names the expected outputs in its cache."""
        checksum: Callable[[], str] = getattr(self._module(), f"get_{self.function}_plus_hash")
        return checksum()

    def _module(self) -> Any:
        try:
            return importlib.import_module(f"evalplus.data.{self.name}")
        except ImportError as error:
            raise ValueError(f"{self.title} needs evalplus: run `pip install evalplus`.") from error


EVALPLUS = {
    data.name: data
    for data in (EvalPlusData("humaneval", "HumanEval", "human_eval"), EvalPlusData("mbpp", "MBPP", "mbpp"))
}
