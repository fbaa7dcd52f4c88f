"""Copies recipes and metrics into the wheel, where `reflection_trl.files.packaged` finds them; all else is in pyproject.toml."""

from pathlib import Path

from setuptools import setup
from setuptools.command.build_py import build_py


FOLDERS = ("recipes", "metrics")


class BuildWithRecipes(build_py):
    """Builds the package with the repository's recipes and metrics in it, except the scripts, which the command replaces."""

    def run(self) -> None:
        super().run()
        if self.editable_mode:  # a clone has them beside the package
            return
        for folder in FOLDERS:
            for file in sorted(Path(folder).rglob("*")):
                is_script = file.parent == Path("recipes") and file.suffix == ".py"
                if file.is_file() and not is_script and "__pycache__" not in file.parts:
                    target = Path(self.build_lib, "reflection_trl", file)
                    self.mkpath(str(target.parent))
                    self.copy_file(str(file), str(target))


setup(cmdclass={"build_py": BuildWithRecipes})
