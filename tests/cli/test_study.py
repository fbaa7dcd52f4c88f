"""The study: which runs it makes, that it resumes where it stopped, and that its tables say what came out."""

import asyncio
import contextlib
import json
import re
import subprocess
import zlib
from pathlib import Path
from types import SimpleNamespace

import pytest
import yaml
from builder.conftest import RunsHere
from pyarrow.parquet import read_table

from reflection_trl.checking import compare_answers
from reflection_trl.cli import study, train
from reflection_trl.cli.study import report, runs, stages, training
from reflection_trl.cli.study.arguments import parse, read_arms
from reflection_trl.cli.study.runs import ANSWERED, Run, best_rate, best_rates, final_runs, search_runs
from reflection_trl.evaluation import EvaluationRun, Outcome, Score
from reflection_trl.generation.types import Completion
from reflection_trl.problems import load_problems
from reflection_trl.sequences import validate_row


RECIPES = Path(__file__).parents[2] / "recipes"


ARMS = sorted((RECIPES / "study" / "arms").glob("*.yaml"))
NUMBERS = range(6)


def write_lines(file, rows):
    file.write_text("".join(json.dumps(row) + "\n" for row in rows))


def problem(number):
    name = f"add_{number}"
    return {"id": name, "instruction": f"Write `{name}(x)`.", "tests": f"assert {name}(1) == {1 + number}"}


@pytest.fixture
def place(tmp_path, monkeypatch):
    """A study of two arms, whose training and models are stand-ins: `distill` at the higher rate solves most."""
    monkeypatch.chdir(tmp_path)
    (tmp_path / "base-model").mkdir()
    write_lines(tmp_path / "held-out.jsonl", [problem(number) for number in NUMBERS])
    write_lines(tmp_path / "bench.jsonl", [problem(number + 10) for number in NUMBERS])
    turns = ["Do it.", "```python\nx\n```", "Write it.", "```python\ny\n```"]
    messages = [{"role": ("user", "assistant")[place % 2], "content": text} for place, text in enumerate(turns)]
    write_lines(tmp_path / "rows.jsonl", [{"type": "reflection", "messages": messages}] * 3)
    config = {
        "model_name_or_path": "base-model",
        "dataset_name": "rows.jsonl",
        "held_out": "held-out.jsonl",
        "arms": {
            "sft": {"config": str(RECIPES / "study" / "arms" / "sft.yaml"), "data": "answers"},
            "distill": {"config": str(RECIPES / "study" / "arms" / "distill.yaml")},
        },
        "learning_rates": [1e-6, 1e-5],
        "seeds": [0, 1],
        "benchmarks": ["problems:bench.jsonl"],
        "samples_per_task": 3,
        "held_out_samples": 2,
        "output_dir": "out",
        "backend": "transformers",
        "train": {"max_steps": 1},
    }
    (tmp_path / "study.yaml").write_text(yaml.safe_dump(config, sort_keys=False))
    commands = []

    def run_train(command, **_):
        commands.append(command)
        model = Path(command[command.index("--output_dir") + 1])
        model.mkdir(parents=True, exist_ok=True)
        (model / "model.safetensors").write_text("weights")
        (model / "learning_rate").write_text(command[command.index("--learning_rate") + 1])
        return SimpleNamespace(returncode=0)

    def share(model):
        """How much of the problems a model solves, in thirds."""
        if model == "base-model":
            return 1
        return 1 + ("distill" in model) + (Path(model, "learning_rate").read_text() == "1e-05")

    opened, loaded = [], []

    @contextlib.asynccontextmanager
    async def open_generator(arguments):
        model = arguments.model_name_or_path
        opened.append(model)

        async def generate(prompt, sampling, model=model):
            name, number = re.search(r"`(add_(\d+))\(", prompt[-1]["content"]).groups()
            right = zlib.crc32(name.encode()) % 3 < share(model)
            return Completion(f"```python\ndef {name}(x):\n    return x + {number if right else 99}\n```")

        if arguments.backend == "vllm":
            generate = Engine(model, generate)
        yield generate

    class Engine:
        """Goes on with other models, as long as they are none of an arm with another shape."""

        def __init__(self, model, generate):
            self.model, self.generate = model, generate

        def can_load(self, model):
            return "wider" not in model

        async def load_weights(self, model):
            loaded.append(model)
            self.model = model

        async def __call__(self, prompt, sampling):
            return await self.generate(prompt, sampling, self.model)

    @contextlib.asynccontextmanager
    async def executor(languages, workers, limits):
        yield RunsHere()

    monkeypatch.setattr(training, "subprocess", SimpleNamespace(run=run_train, STDOUT=None))
    monkeypatch.setattr("reflection_trl.generation.open_generator", open_generator)
    monkeypatch.setattr("reflection_trl.evaluation.run._require_chat_template", lambda *_: None)
    # Programs run in this process, as they do for builds: each of many judgments would open a sandbox twice
    monkeypatch.setattr("reflection_trl.evaluation.run._require_isolation", lambda *_: None)
    monkeypatch.setattr("reflection_trl.evaluation.run.Executor", executor)
    return SimpleNamespace(commands=commands, opened=opened, loaded=loaded)


def main(*argv):
    return study.main(["--config", "study.yaml", *map(str, argv)])


def test_a_study_from_beginning_to_end(place, capsys):
    commands, opened = place.commands, place.opened
    assert main() == 0
    # Two arms with two rates each, then another seed each at the best rate; the base model is only asked
    assert len(commands) == 6 and len(opened) == 5 + 5
    assert [command[command.index("--seed") + 1] for command in commands] == ["0"] * 4 + ["1"] * 2
    for command in commands[4:]:
        assert command[command.index("--learning_rate") + 1] == "1e-05"
    rows = {
        command[command.index("--dataset_name") + 1] for command in commands if "out/runs/sft" in " ".join(command)
    }
    assert rows == {"out/answers.jsonl"}
    answers = [json.loads(line) for line in Path("out/answers.jsonl").read_text().splitlines()]
    assert [row["type"] for row in answers] == ["generation"] * 3
    assert [turn["content"] for turn in answers[0]["messages"]] == ["Write it.", "```python\ny\n```"]
    assert "--max_steps" in commands[0]
    assert not list(Path("out").rglob("*.safetensors"))  # once its answers are there, a model is no longer needed
    shown = capsys.readouterr().out
    assert "| `distill` | 2 |" in shown and "Against `sft`" in shown
    assert re.search(r"\| `base` \| (\d+\.\d \[.*?\]) \| \1 \|", shown)
    record = json.loads(Path("out/study.json").read_text())["plans"]["sampled"]
    assert record["distill"]["mean_of_the_extended"] == [1.0, 1.0]
    assert max(record["base"]["mean_of_the_extended"] + record["sft"]["mean_of_the_extended"]) < 1
    assert Path("out/sampled.png").exists()
    # Again: nothing is trained, asked or judged anew
    results = Path("out/runs/sft/1e-05/0/greedy/results.json")
    before = results.stat().st_mtime_ns
    assert main() == 0
    assert len(commands) == 6 and len(opened) == 10 and results.stat().st_mtime_ns == before


def test_one_engine_answers_for_all_models_of_one_shape(place):
    settings = yaml.safe_load(Path("study.yaml").read_text())
    settings["arms"] = {"wider": settings["arms"]["sft"], **settings["arms"]}
    settings |= {"learning_rates": [1e-5], "seeds": [0], "samples_per_task": 2}
    Path("study.yaml").write_text(yaml.safe_dump(settings, sort_keys=False))
    assert main("--backend", "vllm", "--reference", "sft") == 0
    assert place.opened == ["base-model", "out/runs/wider/1e-05/0/model"]
    assert place.loaded == ["out/runs/sft/1e-05/0/model", "out/runs/distill/1e-05/0/model"]
    record = json.loads(Path("out/study.json").read_text())["plans"]["greedy"]
    assert record["distill"]["mean_of_the_extended"] == [1.0] > record["sft"]["mean_of_the_extended"]


def test_what_another_process_is_at_is_left_to_it(place, monkeypatch):
    """Another process trains one model, and ends when this one has nothing left to do but wait."""
    monkeypatch.setattr(stages, "POLL_SECONDS", 0.01)
    arguments = parse(["--config", "study.yaml"])
    taken = search_runs(arguments)[1]
    with contextlib.ExitStack() as other:
        assert other.enter_context(taken.claimed())
        waited = []

        def wait(seconds):
            waited.append(len(place.commands))
            other.close()

        monkeypatch.setattr(stages.time, "sleep", wait)
        assert main("--stages", "search") == 0
    # It ended without having trained it: then this one does
    assert waited[0] == 3 and len(place.commands) == 4
    assert str(taken.folder) not in " ".join(place.commands[0]) and str(taken.folder) in " ".join(place.commands[3])


def test_a_model_whose_weights_are_gone_is_trained_anew(place):
    assert main("--stages", "search") == 0
    for weights in Path("out").rglob("*.safetensors"):
        weights.unlink()
    assert main("--stages", "train") == 0
    assert len(place.commands) == 4 + 4


def test_checkpoints_of_an_interrupted_training_are_removed_before_it_starts_again(place, monkeypatch):
    left = Path("out/runs/distill/1e-06/0/model/checkpoint-1")
    left.mkdir(parents=True)
    assert main("--stages", "search") == 0
    assert (left.parent / "model.safetensors").exists() and not left.exists()


def change(**fields):
    settings = yaml.safe_load(Path("study.yaml").read_text())
    Path("study.yaml").write_text(yaml.safe_dump({**settings, **fields}, sort_keys=False))


def test_a_study_takes_further_seeds_and_rates(place):
    assert main() == 0
    change(seeds=[0, 1, 2], learning_rates=[1e-6, 1e-5, 1e-4])
    assert main() == 0
    # A third rate of each arm, which solves less, and a third seed
    assert len(place.commands) == 6 + 2 + 2
    assert len(json.loads(Path("out/study.json").read_text())["plans"]["greedy"]["sft"]["mean_of_the_extended"]) == 3


@pytest.mark.parametrize(
    ("fields", "said"),
    [
        ({"train": {"max_steps": 2}}, "out/runs/sft/1e-06/0 was made with `max_steps` = 1, not 2: "),
        ({"samples_per_task": 4}, "out/base/sampled was made with `samples` = 3, not 4"),
        (
            {"benchmarks": ["problems:bench.jsonl", "problems:held-out.jsonl"]},
            "`benchmarks` = problems:bench.jsonl, not",
        ),
        ({"max_tokens": 99}, "`max_tokens` = 1024, not 99"),
    ],
)
def test_old_models_and_answers_do_not_pass_for_those_of_other_settings(place, capsys, fields, said):
    assert main() == 0
    change(**fields)
    assert main() == 1
    reported = capsys.readouterr().err
    assert re.search(said, reported) and "give another `output_dir`, or remove" in reported
    assert len(place.commands) == 6


def test_an_arms_settings_count_and_not_its_comments(place, capsys):
    text, config = (RECIPES / "study" / "arms" / "sft.yaml").read_text(), Path("mine.yaml")
    config.write_text(text)
    change(arms={"sft": {"config": "mine.yaml", "data": "answers"}})
    assert main() == 0
    config.write_text(f"# as before\n{text}")
    assert main() == 0
    config.write_text(f"{text}\nweight_decay: 0.5\n")
    assert main() == 1
    assert "was made with `weight_decay` = None, not 0.5: " in capsys.readouterr().err


def test_an_arm_may_differ_from_its_file(place, capsys):
    config = str(RECIPES / "study" / "arms" / "distill.yaml")
    own = {"mask_order": ["code", "text", "execution"], "max_steps": 2}
    arms = {"sft": {"config": config}, "own": {"config": config, "train": own}}
    change(arms=arms)
    assert main() == 0
    command = next(one for one in place.commands if any("/own/" in part for part in one))
    at = command.index("--mask_order")
    assert command[at + 1 : at + 4] == own["mask_order"]
    assert command[command.index("--max_steps") + 1] == "2"  # not the 1 that all arms have
    change(arms=arms | {"own": {"config": config, "train": own | {"max_steps": 3}}})
    assert main() == 1
    assert "was made with `max_steps` = 2, not 3: " in capsys.readouterr().err


@pytest.mark.parametrize(
    ("settings", "message"),
    [
        ({"bta": 0.5}, "error: The arm 'own': Unknown option: `bta`; did you mean `beta`?"),
        ({"mask_order": ["code", "txt"]}, "error: The arm 'own': --mask_order: invalid choice: 'txt'"),
        ({"beta": "half"}, "error: The arm 'own': --beta: invalid float value: 'half'"),
    ],
)
def test_a_wrong_field_of_an_arm_is_reported_before_any_is_trained(place, capsys, settings, message):
    config = str(RECIPES / "study" / "arms" / "distill.yaml")
    change(arms={"sft": {"config": config}, "own": {"config": config, "train": settings}})
    assert main() == 1
    reported = capsys.readouterr().err
    assert reported.startswith(message) and reported.count("\n") == 1
    assert not place.commands


def test_a_misspelt_key_in_the_file_of_an_arm_is_reported_before_any_is_trained(place, capsys):
    Path("mine.yaml").write_text("mask_stratgy: [all]\n")
    change(arms={"sft": {"config": str(ARMS[0])}, "mine": {"config": "mine.yaml"}})
    assert main() == 1
    assert "The arm 'mine': Unknown key in the YAML file: `mask_stratgy`" in capsys.readouterr().err
    assert not place.commands


def test_other_rows_are_not_taken_for_those_of_before(place, capsys):
    arguments = parse(["--config", "study.yaml"])
    file = training.data_file(arguments, arguments.checked_arms[0])
    assert len(Path(file).read_text().splitlines()) == 3
    write_lines(Path("rows.jsonl"), [json.loads(Path("rows.jsonl").read_text().splitlines()[0])] * 2)
    assert len(Path(training.data_file(arguments, arguments.checked_arms[0])).read_text().splitlines()) == 2
    assert main() == 0
    write_lines(Path("rows.jsonl"), [json.loads(Path("rows.jsonl").read_text().splitlines()[0])])
    assert main() == 1 and "was made with `data`" in capsys.readouterr().err


@pytest.mark.parametrize(
    ("file", "content", "message"),
    [
        (
            "base/held_out/drawn",
            "{}",
            "base/held_out has answers of an earlier version, which wrote `drawn` instead of `answers.json`",
        ),
        ("base/held_out/answers.json", '{"seconds": 1}', "answers.json does not tell with which settings"),
        ("runs/distill/1e-05/0/run.json", '{"model"', "run.json does not tell with which settings"),
    ],
)
def test_a_folder_of_unknown_settings_is_not_gone_on_with(place, capsys, file, content, message):
    found = Path("out", file)
    found.parent.mkdir(parents=True)
    found.write_text(content)
    assert main() == 1
    error = capsys.readouterr().err
    assert message in error and "give another `output_dir`" in error and error.count("\n") == 1
    assert not place.commands


def test_a_training_that_outlives_the_study_is_not_begun_again(place, monkeypatch):
    """The study is killed, its training goes on: it still writes the model."""
    arguments = parse(["--config", "study.yaml"])
    taken = search_runs(arguments)[1]
    left = []

    def run_for_long(command, pass_fds, **_):
        left.append(subprocess.Popen(["sleep", "60"], pass_fds=pass_fds))
        raise KeyboardInterrupt

    monkeypatch.setattr(training, "subprocess", SimpleNamespace(run=run_for_long, STDOUT=None))
    with pytest.raises(KeyboardInterrupt), taken.claimed() as lock:
        training.train(arguments, taken, lock)
    with taken.claimed() as lock:
        assert lock is None
    left[0].kill()
    left[0].wait()
    with taken.claimed() as lock:
        assert lock is not None


def test_weights_that_another_process_has_removed_are_not_made_anew(place, monkeypatch):
    """The other one ends between this one's look at what is missing and its look at the weights."""
    arguments = parse(["--config", "study.yaml", "--keep_models"])
    runs = search_runs(arguments)
    stages.make(arguments, "search", runs)
    arguments.keep_models = False
    marks = [run.folder / "held_out" / ANSWERED for run in runs]
    texts = [mark.read_text() for mark in marks]
    marks[-1].unlink()
    claimed = Run.claimed

    def claim(run):
        stages.remove_weights(arguments, runs)
        for mark, text in zip(marks, texts, strict=True):
            mark.write_text(text)
        return claimed(run)

    monkeypatch.setattr(Run, "claimed", claim)
    monkeypatch.setattr(stages, "POLL_SECONDS", 0.01)
    stages.make(arguments, "search", runs)
    assert len(place.commands) == 4


def test_a_report_of_the_reference_alone(place):
    """What there is so far."""
    change(learning_rates=[1e-5], seeds=[0])
    arguments = parse(["--config", "study.yaml"])
    runs = [run for run in final_runs(arguments) if run.arm_name == "sft"]
    stages.make(arguments, "train", runs)
    stages.judge(arguments, "train", runs)
    assert "| `sft` | 1 |" in report.write_report(arguments, [], runs)


def test_a_training_that_fails_is_reported_with_its_log(place, monkeypatch, capsys):
    def fail(command, stdout, **_):
        stdout.write("error: out of memory\n")
        return SimpleNamespace(returncode=1)

    monkeypatch.setattr(training, "subprocess", SimpleNamespace(run=fail, STDOUT=None))
    assert main() == 1
    assert re.search(
        r"error: Training of out/runs/sft/1e-06/0 failed: out of memory \(full log: ", capsys.readouterr().err
    )


@pytest.mark.parametrize(
    ("options", "message"),
    [
        (["--held_out", "nowhere.jsonl"], "`held_out` is 'nowhere.jsonl', which does not exist"),
        (["--held_out", ""], "`held_out` is not set, but the search needs it to select a learning rate"),
        (["--reference", "grpo"], "`reference` is 'grpo': use one of sft, "),
        (["--stages", "fly"], "Unknown stage 'fly'"),
        (["--stages", "report"], "The search of learning rates is not finished"),
        (["--seeds", "0", "1", "0"], "`seeds` holds 0 twice"),
        (["--learning_rates", "1e-5", "0.00001"], "`learning_rates` holds 1e-05 twice"),
    ],
)
def test_wrong_input_is_reported_in_one_sentence(place, capsys, options, message):
    assert main(*options) == 1
    reported = capsys.readouterr().err.strip()
    assert message in reported and reported.count("\n") == 0


@pytest.mark.parametrize(
    ("arms", "message"),
    [
        ("sft.yaml", "set in the YAML file"),
        ({"a": "sft.yaml"}, "The arm 'a' is 'sft.yaml': give it `config`"),
        ({"a": {"config": "missing.yaml"}}, "`config: missing.yaml`, which does not exist"),
        ({"base": {"config": str(ARMS[0])}}, "An arm has the name 'base', which is that of the untrained model"),
        ({"a": {"config": str(ARMS[0]), "data": "all"}}, "use rows or answers"),
        ({"a": {"config": str(ARMS[0]), "train": "beta"}}, "The arm 'a' has `train: 'beta'`: give fields and values"),
    ],
)
def test_wrong_arms_are_reported(arms, message):
    with pytest.raises(ValueError, match=message):
        read_arms(arms)


def test_an_arm_may_have_rows_of_its_own(tmp_path):
    write_lines(tmp_path / "own.jsonl", [])
    (arm,) = read_arms({"own": {"config": str(ARMS[0]), "data": str(tmp_path / "own.jsonl")}})
    assert training.data_file(SimpleNamespace(dataset_name="rows.jsonl"), arm) == str(tmp_path / "own.jsonl")


@pytest.mark.parametrize("file", ARMS, ids=lambda file: file.stem)
def test_every_arm_is_a_file_of_the_training_recipe(file):
    argv = [
        "--config",
        str(file),
        "--model_name_or_path",
        "m",
        "--dataset_name",
        "d",
        "--bf16",
        "false",
        "--use_cpu",
        "true",
    ]
    _, settings, *_ = train.parse(argv)
    assert settings.num_train_epochs == 2


@pytest.mark.parametrize("file", sorted((RECIPES / "study").glob("qwen*.yaml")), ids=lambda file: file.stem)
def test_every_study_parses(file, tmp_path, monkeypatch):
    monkeypatch.chdir(RECIPES.parent)
    arguments = parse(["--config", str(file), "--output_dir", str(tmp_path)])
    assert arguments.reference == "sft" and arguments.seeds[0] == 0
    for arm in arguments.checked_arms:
        # As a run of the study would be started, fields of the arm's own included
        argv = training.training_command(arguments, runs.run_of(arguments, arm, 5e-6, 0))
        _, settings, *_ = train.parse([*argv[argv.index("--config") :], "--bf16", "false", "--use_cpu", "true"])
        for name, value in arm.train.items():
            assert getattr(settings, name) == value
    names = [arm.name for arm in arguments.checked_arms]
    if file.stem in ("qwen2.5-coder-0.5b", "qwen2.5-coder-1.5b"):
        assert names == ["sft", "sft-reflection", "distill-all", "distill"] and len(arguments.seeds) >= 3
    if file.stem.endswith("ablations"):
        changed = [arm for arm in arguments.checked_arms if arm.config.endswith("distill.yaml") and arm.train]
        assert len(changed) == 10 and all(len(arm.train) == 1 for arm in changed)


def test_rows_of_the_study():
    folder = RECIPES / "study"
    rows = read_table(folder / "rows.parquet").to_pylist()
    statistics = json.loads((folder / "rows-statistics.json").read_text())
    assert len(rows) == statistics["rows"] == 900
    assert sum(row["repaired"] for row in rows) == statistics["repaired"] == len(rows) / 2
    assert len({(row["problem_id"], row["sample"]) for row in rows}) == len(rows)
    for row in rows:
        validate_row(row)
        kinds = [record["kind"] for record in row["feedback"]]
        assert kinds[-1] == "none" and "none" not in kinds[:-1]
    problems = {one.id: one for one in load_problems(folder / "problems.parquet")}
    held_out = {one.id: one for one in load_problems(folder / "held-out.jsonl")}
    assert (len(problems), len(held_out)) == (682, 108) and not problems.keys() & held_out.keys()
    assert {row["problem_id"] for row in rows} <= problems.keys()
    assert all(row["license"] == problems[row["problem_id"]].license in ("MIT", "CC-BY-4.0") for row in rows)
    instructions = {one.instruction for one in held_out.values()}
    assert not any(row["messages"][-2]["content"] in instructions for row in rows)


def test_a_single_learning_rate_needs_no_held_out_problems(place):
    study = parse(["--config", "study.yaml", "--held_out", "", "--learning_rates", "1e-5"])
    assert not search_runs(study) and best_rates(study) == {arm.name: 1e-5 for arm in study.checked_arms}


def test_rows_of_the_study_on_gsm8k():
    """All final answers are correct, and the rows of SFT on the request alone have the same requests."""
    rows = read_table(RECIPES / "study" / "gsm8k-rows.parquet").to_pylist()
    alone = read_table(RECIPES / "study" / "gsm8k-request-rows.parquet").to_pylist()
    assert (len(rows), sum(row["repaired"] for row in rows), len(alone)) == (768, 76, 692)

    async def right(row):
        return (await compare_answers(row["messages"][-1]["content"], row["answer"])).passed

    async def count():
        return [await right(row) for row in rows + alone]

    assert all(asyncio.run(count()))
    requests = {row["problem_id"]: row["messages"][-2] for row in rows}
    assert len(requests) == len(rows)
    for row in rows:
        validate_row(row)
        assert (row["type"], row["license"], row["checker"]) == ("reflection", "MIT", "math")
    assert all(row["messages"][0] == requests[row["problem_id"]] and len(row["messages"]) == 2 for row in alone)


def test_mixed_rows_of_the_study():
    """All rows of the study, and as many requests with the answer alone."""
    folder = RECIPES / "study"
    mixed = read_table(folder / "mixed.parquet").to_pylist()
    rows = {json.dumps(row["messages"]) for row in read_table(folder / "rows.parquet").to_pylist()}
    plain = [row for row in mixed if row["type"] == "generation"]
    assert {json.dumps(row["messages"]) for row in mixed if row["type"] == "reflection"} == rows
    assert len(plain) == len(rows) == len({row["messages"][-1]["content"] for row in plain}) == 900
    problems = {one.id: one for one in load_problems(folder / "problems.parquet")}
    for row in plain:
        request, answer = row["messages"]
        problem = problems[row["problem_id"]]
        assert (request["role"], answer["role"]) == ("user", "assistant")
        assert (request["content"], row["license"]) == (problem.instruction, problem.license)


def test_arms_differ_in_nothing_but_the_method():
    settings = {file.stem: yaml.safe_load(file.read_text()) for file in ARMS}
    method = ("mask_strategy", "mask_order", "distillation_weight")
    rest = [{name: value for name, value in one.items() if name not in method} for one in settings.values()]
    assert len(rest) == 4 and all(one == rest[0] for one in rest)


def run_of(**marks):
    """A run with one answer to each task: `1` is a right one."""
    return EvaluationRun(
        "m",
        [
            Score(
                name.replace("_plus", "+"),
                [Outcome(f"{name}/{task}", 0, mark == "1") for task, mark in enumerate(text)],
            )
            for name, text in marks.items()
        ],
    )


def test_runs_that_were_judged_on_different_benchmarks_are_named():
    runs = [run_of(humaneval="11", java="10"), run_of(humaneval="11")]
    with pytest.raises(ValueError, match="has no score of java"):
        report.rates_table({"distill": runs})


def test_of_rates_that_solve_as_many_problems_the_lowest_is_taken():
    assert best_rate({2e-5: 0.2, 5e-6: 0.2, 2e-6: 0.1}) == 5e-6
    assert best_rate({2e-6: 0.1, 2e-5: 0.2}) == 2e-5


def test_the_mean_is_over_the_extended_tests():
    runs = [
        run_of(humaneval="11", humaneval_plus="10", mbpp="1111", mbpp_plus="1110"),
        run_of(humaneval="11", humaneval_plus="11", mbpp="1111", mbpp_plus="1110"),
    ]
    assert report.means(runs) == [(1 / 2 + 3 / 4) / 2, (1 + 3 / 4) / 2]
    assert report.over_seeds([0.625, 0.875]) == "75.0 ± 17.7"
    base = [run_of(humaneval="11", humaneval_plus="00", mbpp="1111", mbpp_plus="0000")]
    found = report.comparisons(runs, base)["mean of the extended"]
    assert (found.tasks, found.difference) == (6, (3 / 4 + 3 / 4) / 2)
