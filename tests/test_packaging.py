"""What is released: the wheel is the package and works outside the checkout, the sdist holds what its texts name."""

import ast
import importlib.metadata
import os
import re
import subprocess
import sys
import sysconfig
import tarfile
import tomllib
import zipfile
from pathlib import Path
from shutil import copytree

import pytest
from packaging.requirements import Requirement


ROOT = Path(__file__).parents[1]
PACKAGE = ROOT / "reflection_trl"
PROJECT = tomllib.loads((ROOT / "pyproject.toml").read_text(encoding="utf-8"))["project"]
LOCAL_FOLDERS = {"build", "dist", "models", "mutants", "out", "runs", "site"}  # of .gitignore
LINK = re.compile(r"\]\((?!\w+:)([^)#\s]+)")
# Imported where a user has them, and never required
OPTIONAL = {"deepspeed", "vllm", "wandb"}

# What a user of the wheel does first, and what is imported from where
FIRST_STEPS = """
import json, sys

import reflection_trl
from conftest import make_tokenizer, rows_of_both_types, tiny_config, trl_template
from datasets import Dataset
from reflection_trl import ReflectionDistillConfig, ReflectionDistillTrainer
from reflection_trl.viewers import browse, tokens
from transformers import AutoModelForCausalLM

tokenizer = make_tokenizer(
    ["<|endoftext|>", "<|im_start|>", "<|im_end|>"], trl_template("qwen2_5"), eos_token="<|im_end|>", pad_token="<|endoftext|>"
)
rows = rows_of_both_types()
trainer = ReflectionDistillTrainer(
    model=AutoModelForCausalLM.from_config(tiny_config()),
    args=ReflectionDistillConfig(
        output_dir="out", max_steps=2, logging_steps=1, bf16=False, use_cpu=True, report_to="none", disable_tqdm=True
    ),
    train_dataset=Dataset.from_list(rows),
    processing_class=tokenizer,
)
trainer.train()
trainer.save_model()
trainer.create_model_card()
with open("rows.jsonl", "w") as file:
    file.writelines(json.dumps(row) + "\\n" for row in rows)
assert not tokens.main(["rows.jsonl", "--tokenizer", "out", "--html", "show.html"])
assert not browse.main(["rows.jsonl"])
print(reflection_trl.__file__)
"""


def run_python(code, folder, *path):
    """What `code` prints in a new interpreter that finds modules in `path` first."""
    environment = {**os.environ, "PYTHONPATH": os.pathsep.join(map(str, path)), "PYTHONDONTWRITEBYTECODE": "1"}
    done = subprocess.run([sys.executable, "-c", code], cwd=folder, env=environment, capture_output=True, text=True)
    assert done.returncode == 0, done.stderr
    return done.stdout


def build(kind, tree, folder):
    """What `python -m build` makes, without the environment of its own that it would download."""
    code = f"import setuptools.build_meta as backend; print(backend.build_{kind}({str(folder)!r}))"
    return folder / run_python(code, tree).splitlines()[-1]


@pytest.fixture(scope="module")
def sdist(tmp_path_factory):
    """The unpacked sdist of this tree."""
    pytest.importorskip("setuptools", minversion="77")
    folder = tmp_path_factory.mktemp("sdist")

    def left_out(parent, names):
        at_root = Path(parent) == ROOT
        return [
            name
            for name in names
            if name == "__pycache__" or (at_root and (name in LOCAL_FOLDERS or name.startswith(".") or ".egg" in name))
        ]

    with tarfile.open(build("sdist", copytree(ROOT, folder / "tree", ignore=left_out), folder)) as archive:
        # Python 3.11 has the filter from 3.11.4 on; 3.12 warns without
        archive.extractall(folder, **({"filter": "data"} if hasattr(tarfile, "data_filter") else {}))
    (unpacked,) = folder.glob("reflection_trl-*/")
    return unpacked


@pytest.fixture(scope="module")
def wheel(sdist, tmp_path_factory):
    """The folder that a wheel, made from the sdist, is installed as."""
    folder = tmp_path_factory.mktemp("wheel")
    with zipfile.ZipFile(build("wheel", sdist, folder)) as archive:
        archive.extractall(folder / "site-packages")
    return folder / "site-packages"


def files(folder):
    return {
        str(path.relative_to(folder))
        for path in folder.rglob("*")
        if path.is_file() and "__pycache__" not in path.parts
    }


def test_the_wheel_is_the_package(wheel):
    (about,) = wheel.glob("*.dist-info")
    scripts = {f"recipes/{path.name}" for path in (ROOT / "recipes").glob("*.py")}
    added = {f"{folder}/{name}" for folder in ("recipes", "metrics") for name in files(ROOT / folder)} - scripts
    assert "recipes/smollm2-135m/distill.yaml" in added and "metrics/pass_at_k/pass_at_k.py" in added
    assert files(wheel / "reflection_trl") == files(PACKAGE) | added
    assert {path.name for path in wheel.iterdir()} == {"reflection_trl", about.name}
    assert (about / "licenses" / "LICENSE").read_text() == (ROOT / "LICENSE").read_text()


def test_the_sdist_holds_what_its_texts_name(sdist):
    texts = [*sdist.glob("*.md"), *sdist.glob("docs/*.md"), *sdist.glob("recipes/**/*.md")]
    assert len(texts) > 15
    for text in texts:
        for link in LINK.findall(text.read_text(encoding="utf-8")):
            target = text.parent / link
            assert target.exists() or "*" in link, f"{text.relative_to(sdist)} links to {link}"
    assert files(sdist / "tests") == files(ROOT / "tests")
    assert files(sdist / "recipes") == files(ROOT / "recipes")


@pytest.fixture(scope="module")
def installed(sdist, tmp_path_factory):
    """The folder of the programs of a fresh environment that has the wheel and, of this one, all but the package."""
    folder = tmp_path_factory.mktemp("installed")
    subprocess.run([sys.executable, "-m", "venv", "--without-pip", folder / "venv"], check=True)
    (site_packages,) = (folder / "venv" / "lib").glob("python*/site-packages")
    # A path alone: .pth files in that folder, which would bring the checkout, are not read
    (site_packages / "requirements.pth").write_text(sysconfig.get_path("purelib") + "\n")
    wheel = build("wheel", sdist, folder)
    python = folder / "venv" / "bin" / "python"
    subprocess.run([python, "-m", "pip", "install", "--quiet", "--no-index", "--no-deps", wheel], check=True)
    return python.parent


def test_quickstart_from_the_wheel_alone(installed, tmp_path):
    """What `make quickstart` does in a clone, with one step of training."""
    environment = {name: value for name, value in os.environ.items() if name != "PYTHONPATH"}
    # The package index as pip finds it, but no model hub
    command = [
        installed / "reflection-trl",
        "quickstart",
        "--max_steps",
        "1",
        "--eval_strategy",
        "no",
        "--eval_on_start",
        "false",
        "--per_device_train_batch_size",
        "8",
    ]
    done = subprocess.run(command, cwd=tmp_path, env=environment, capture_output=True, text=True)
    assert done.returncode == 0, done.stdout + done.stderr
    assert "The tuned model is in out/smollm2-135m-online" in done.stdout
    assert (tmp_path / "out/smollm2-135m-online/training_curves.png").is_file()
    assert (tmp_path / "out/smollm2-135m-online/adapter_model.safetensors").is_file()
    assert len((tmp_path / "out/smollm2-135m-online/rollouts/step-000000.jsonl").read_text().splitlines()) == 8


@pytest.mark.parametrize("extra", ["build", "evaluation", "recipes"])
def test_extras_whose_commands_run_programs_bring_the_sandbox(extra):
    """The environment of these tests has the sandbox's packages anyway, so that the test above works without them."""
    assert "reflection-trl[sandbox]" in PROJECT["optional-dependencies"][extra]


def test_the_command_of_the_wheel_finds_what_comes_with_it(installed, tmp_path):
    code = "import reflection_trl.files.packaged as p; print(p.packaged('metrics/pass_at_k'), p.find_recipe('study/build'))"
    environment = {name: value for name, value in os.environ.items() if name != "PYTHONPATH"}
    done = subprocess.run(
        [installed / "python", "-c", code], cwd=tmp_path, env=environment, capture_output=True, text=True, check=True
    )
    assert all(f"{installed.parent}/" in path for path in done.stdout.split()), done.stdout


@pytest.mark.slow
def test_works_outside_the_checkout(wheel, tmp_path):
    shown = run_python(FIRST_STEPS, tmp_path, wheel, ROOT / "tests")
    assert shown.splitlines()[-1] == str(wheel / "reflection_trl" / "__init__.py")
    assert {"model.safetensors", "README.md", "config.json"} <= files(tmp_path / "out")
    for page in ("show.html", "rows.html"):
        text = (tmp_path / page).read_text(encoding="utf-8")
        assert "f0" in text and "</html>" in text


def requirements(extra=None):
    """Names of the distributions that the package, or one of its extras, requires by itself."""
    texts = PROJECT["dependencies"] if extra is None else PROJECT["optional-dependencies"][extra]
    found = [Requirement(text) for text in texts]
    names = {requirement.name.lower() for requirement in found if requirement.name != PROJECT["name"]}
    inner = [name for requirement in found if requirement.name == PROJECT["name"] for name in requirement.extras]
    return names.union(*map(requirements, inner))


def imported(path):
    tree = ast.parse(path.read_text(encoding="utf-8"))
    typing_only = [n for n in ast.walk(tree) if isinstance(n, ast.If) and "TYPE_CHECKING" in ast.dump(n.test)]
    skipped = {id(inner) for node in typing_only for part in node.body for inner in ast.walk(part)}
    for node in ast.walk(tree):
        if id(node) not in skipped and isinstance(node, ast.Import):
            yield from (alias.name.partition(".")[0] for alias in node.names)
        elif id(node) not in skipped and isinstance(node, ast.ImportFrom) and node.level == 0:
            yield node.module.partition(".")[0]


def test_what_is_imported_is_required():
    """What comes only with another package's requirements leaves when they change."""
    extras = [
        extra for extra in PROJECT["optional-dependencies"] if extra not in ("docs", "test", "mutation", "release")
    ]
    required = requirements().union(*map(requirements, extras))
    providers = importlib.metadata.packages_distributions()
    for path in sorted(PACKAGE.rglob("*.py")):
        for module in set(imported(path)) - sys.stdlib_module_names - OPTIONAL - {PACKAGE.name}:
            names = {name.lower().replace("_", "-") for name in providers.get(module, [module])}
            assert names & required, (
                f"{path.relative_to(ROOT)} imports {module}, which pyproject.toml does not require"
            )


@pytest.mark.slow
def test_extras_are_extra():
    """All but the runs on many machines imports without any extra."""
    code = f"""
import importlib, pkgutil, sys

class Missing:
    def find_spec(self, name, path=None, target=None):
        if name in {sorted(extra_modules())}:
            raise ModuleNotFoundError(f"No module named {{name!r}}", name=name)

sys.meta_path.insert(0, Missing())
import reflection_trl

for module in pkgutil.walk_packages(reflection_trl.__path__, "reflection_trl."):
    if module.name not in ("reflection_trl.builder.distributed",):
        importlib.import_module(module.name)
"""
    run_python(code, ROOT)


def extra_modules():
    """Modules that only extras require, of those that the package imports."""
    extra = set().union(*map(requirements, PROJECT["optional-dependencies"])) - requirements()
    providers = importlib.metadata.packages_distributions()
    names = {name for path in PACKAGE.rglob("*.py") for name in imported(path)}
    return {name for name in names if extra & {found.lower().replace("_", "-") for found in providers.get(name, ())}}
