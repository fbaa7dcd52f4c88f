"""A Hub of its own for each test, and the environment in which other processes find it."""

import os
import subprocess
import sys
from pathlib import Path

import datasets
import huggingface_hub
import pytest
from packaging.version import Version

from .server import HubServer, User


TOKEN = "hf_ThisIsTheTokenOfAnnaWhoMayWrite0001"
READ_TOKEN = "hf_ThisIsTheTokenOfAnnaWhoMayRead00002"
BEN_TOKEN = "hf_ThisIsTheTokenOfBenWhoMayWrite00003"
ROOT = Path(__file__).parents[2]


def needs_huggingface_hub(version, why):
    """Leaves a test out where an older release of `huggingface_hub` stands in its way."""
    return pytest.mark.skipif(Version(huggingface_hub.__version__) < Version(version), reason=why)


cards_are_checked_here = needs_huggingface_hub("2.2", "before 2.2 cards are validated at huggingface.co alone")


@pytest.fixture
def hub():
    server = HubServer(
        {
            TOKEN: User("anna", organizations=("team",)),
            READ_TOKEN: User("anna", organizations=("team",), role="read"),
            BEN_TOKEN: User("ben"),
        }
    )
    yield server
    server.close()


@pytest.fixture
def environment(hub, tmp_path):
    """The environment of a process that finds the Hub, with a cache and a token of its own."""
    inherited = {name: value for name, value in os.environ.items() if not name.startswith(("HF_", "HUGGING_FACE_"))}
    return inherited | {
        "HF_ENDPOINT": hub.endpoint,
        "HF_HOME": str(tmp_path / "hf_home"),
        "HF_TOKEN": TOKEN,
        "HF_HUB_DISABLE_XET": "1",
        "HF_HUB_DISABLE_TELEMETRY": "1",
        "HF_HUB_DISABLE_PROGRESS_BARS": "1",
        "TOKENIZERS_PARALLELISM": "false",
        "CUDA_VISIBLE_DEVICES": "",
        "PYTHONPATH": os.pathsep.join([str(ROOT), str(ROOT / "tests")]),
    }


@pytest.fixture
def run_python(environment, tmp_path):
    """Runs a script in a fresh process; what it prints comes back."""

    def run(script, *arguments, **variables):
        done = subprocess.run(
            [sys.executable, "-c", script, *map(str, arguments)],
            env=environment | variables,
            cwd=tmp_path,
            capture_output=True,
            text=True,
            timeout=300,
            check=False,
        )
        assert done.returncode == 0, done.stderr[-4000:]
        return done.stdout

    return run


@pytest.fixture
def client(hub, environment, monkeypatch, tmp_path):
    """The client libraries of this process, brought to the Hub: they have read the environment long ago."""
    from huggingface_hub import constants
    from huggingface_hub.utils import close_session

    for name, value in {
        "ENDPOINT": hub.endpoint,
        "HUGGINGFACE_CO_URL_TEMPLATE": hub.endpoint + "/{repo_id}/resolve/{revision}/{filename}",
        "HF_HUB_OFFLINE": False,
        "HF_HUB_DISABLE_XET": True,
        "HF_HOME": environment["HF_HOME"],
        "HF_HUB_CACHE": str(Path(environment["HF_HOME"]) / "hub"),
        "HF_TOKEN_PATH": str(Path(environment["HF_HOME"]) / "token"),
    }.items():
        monkeypatch.setattr(constants, name, value)
    for name, value in {
        "HF_ENDPOINT": hub.endpoint,
        "HF_HUB_OFFLINE": False,
        "HF_DATASETS_CACHE": Path(environment["HF_HOME"]) / "datasets",
    }.items():
        monkeypatch.setattr(datasets.config, name, value)
    monkeypatch.setenv("HF_TOKEN", TOKEN)
    # The client waits ever longer between its own attempts
    monkeypatch.setattr("huggingface_hub.utils._http.time.sleep", lambda seconds: None)
    monkeypatch.setattr("huggingface_hub.hf_api.api.endpoint", hub.endpoint)
    monkeypatch.setattr("transformers.utils.hub._hf_api", None)
    close_session()
    yield hub
    close_session()
