"""The command `online`: recipes parse, a run leaves model, rollouts, curves and a summary, wrong input ends in a sentence."""

import importlib.util
import json
import re
import shutil
from pathlib import Path

import pytest
import torch
import yaml
from conftest import tiny_config
from transformers import AutoModelForCausalLM

from reflection_trl.cli import plot_training, quickstart
from reflection_trl.cli.online import check, load_data, main, parse
from reflection_trl.sandbox import SandboxError


ROOT = Path(__file__).parents[2]
CONFIGS = sorted((ROOT / "recipes").glob("*/online.yaml"))
PROBLEMS = [
    {"id": f"p/{i}", "instruction": f"Write `f{i}`.", "tests": f"assert f{i}() == {i}", "entry_point": f"f{i}"}
    for i in range(4)
]


@pytest.fixture(scope="module")
def recipe(tmp_path_factory, tokenizer):
    folder = tmp_path_factory.mktemp("online")
    torch.manual_seed(0)
    AutoModelForCausalLM.from_config(tiny_config(), dtype=torch.float32).save_pretrained(folder / "model")
    tokenizer.save_pretrained(folder / "model")
    (folder / "problems.jsonl").write_text("".join(json.dumps(row) + "\n" for row in PROBLEMS))
    settings = {
        "model_name_or_path": str(folder / "model"),
        "problems": [str(folder / "problems.jsonl")],
        "eval_problems": [str(folder / "problems.jsonl")],
        "decontaminate_against": ["none"],
        "system_prompt": "Write code.",
        "output_dir": str(folder / "out"),
        "per_device_train_batch_size": 4,
        "per_device_eval_batch_size": 4,
        "num_generations": 2,
        "max_completion_length": 6,
        "max_steps": 2,
        "eval_strategy": "steps",
        "eval_steps": 1,
        "save_strategy": "steps",
        "save_steps": 1,
        "report_to": "none",
        "use_cpu": True,
        "bf16": False,
        "activation_checkpointing": False,
        "disable_tqdm": True,
    }
    (folder / "online.yaml").write_text(yaml.safe_dump(settings))
    return folder


@pytest.mark.filterwarnings("error::FutureWarning")  # no option that a later release removes
@pytest.mark.parametrize("config", CONFIGS, ids=lambda file: file.parent.name)
def test_recipes_parse_and_name_files_that_are_there(config, monkeypatch):
    monkeypatch.chdir(ROOT)
    online, training, model = parse(["--config", str(config), "--use_cpu", "true", "--bf16", "false"])
    assert model.model_name_or_path and training.output_dir == f"out/{config.parent.name}-online"
    for file in [*online.problems, *online.eval_problems]:
        assert Path(file).exists()


def test_there_is_a_recipe_for_each_promised_model():
    promised = {"qwen2.5-coder-0.5b", "qwen2.5-coder-1.5b", "qwen2.5-coder-7b", "smollm2-135m"}
    assert {file.parent.name for file in CONFIGS} == promised


def test_the_small_recipe_holds_out_problems_of_its_family():
    """Each problem states a function, its tests are those of this function, and the quickstart asks one that is held out."""
    folder = ROOT / "recipes" / "smollm2-135m"
    problems, held_out = (
        [json.loads(line) for line in (folder / f"online-{name}.jsonl").read_text().splitlines()]
        for name in ("problems", "held-out")
    )
    asked = {row["instruction"] for row in problems}
    assert len(asked) == len(problems) and not asked & {row["instruction"] for row in held_out}
    assert quickstart.PROMPT in {row["instruction"] for row in held_out}
    for row in [*problems, *held_out]:
        factor, word, shift = re.search(r"returns (\d) times x (plus|minus) (\d)\.", row["instruction"]).groups()
        code = f"def f(x): return {factor} * x {'+' if word == 'plus' else '-'} {shift}\n"
        exec(code + row["tests"], {})
        with pytest.raises(AssertionError):
            exec(f"def f(x): return {factor} * x\n" + row["tests"], {})


def test_the_quickstart_trains_online_and_asks_both_models(recipe, monkeypatch, tmp_path, capsys):
    called = []
    for command in (quickstart.embedded_model, quickstart.online, quickstart.answer):
        name = command.__name__.rpartition(".")[2]
        monkeypatch.setattr(command, "main", lambda argv, name=name: called.append((name, argv)) or 0)
    assert quickstart.main(["--model", "m", "--output_dir", str(tmp_path), "--max_steps", "3"]) == 0
    assert [name for name, _ in called] == ["embedded_model", "online", "answer"]
    assert called[1][1] == [
        *["--config", "smollm2-135m/online", "--model_name_or_path", "m", "--output_dir", str(tmp_path)],
        *["--max_steps", "3"],
    ]
    assert called[2][1][:4] == ["m", str(tmp_path), "--prompt", quickstart.PROMPT]
    command, *options = capsys.readouterr().out.splitlines()[-1].rpartition("reflection-trl ")[2].split()
    monkeypatch.chdir(tmp_path)
    (tmp_path / "my").mkdir()
    (tmp_path / "my" / "problems.jsonl").write_text('{"instruction": "Write `f`.", "tests": "assert f() == 1"}')
    for module in ("transformers.training_args", "reflection_trl.training.config"):
        monkeypatch.setattr(f"{module}.is_torch_bf16_gpu_available", lambda: True)
    next_online, next_training, _ = quickstart.online.read_arguments(options)
    assert (command, next_online.problems, next_training.output_dir) == ("online", ["my/problems.jsonl"], "out/mine")
    assert next_online.decontaminate_against == ["humaneval", "mbpp"]  # the recipe's own problems need no such check


def test_a_run_and_its_resumption(recipe, capsys):
    assert main(["--config", str(recipe / "online.yaml")]) == 0, capsys.readouterr().err
    said = capsys.readouterr().out
    assert "Trained 2 steps" in said
    assert re.search(r"solve rate of held-out problems +0\.000 -> 0\.000 +\(steps 1 and 2\)", said)
    out = recipe / "out"
    assert {"model.safetensors", "README.md", "trainer_state.json", "training_curves.png"} <= {
        f.name for f in out.iterdir()
    }
    assert plot_training.main([str(out), "-o", str(recipe / "again.png")]) == 0
    assert (recipe / "again.png").read_bytes() == (out / "training_curves.png").read_bytes()
    assert len(list((out / "rollouts").iterdir())) == 2
    row = json.loads((out / "rollouts" / "step-000000.jsonl").read_text().splitlines()[0])
    assert row["messages"][0] == {"role": "system", "content": "Write code."}
    assert main(["--config", str(recipe / "online.yaml"), "--max_steps", "3", "--resume_from_checkpoint", "true"]) == 0
    assert "Trained 3 steps" in capsys.readouterr().out


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (["--problems"], "expected at least one argument"),
        (["--model_name_or_path", "nothing/here/at-all"], "nothing/here/at-all"),
        (["--problems", "no-such.jsonl"], "no-such.jsonl"),
        (["--program_timeout", "0"], "`program_timeout` must be above 0, got 0.0."),
        (["--credit", "half"], "invalid choice: 'half'"),
        (["--num_generations", "1"], "`num_generations` is 1"),
        (["--distilation_weight", "1"], "did you mean `distillation_weight`?"),
        (["--length_weight", "-1"], "`length_weight` must not be negative"),
        (["--report_to", "wandb"], "`report_to` names 'wandb', which is not installed; run `pip install wandb`"),
        (["--push_to_hub", "true"], "`push_to_hub` needs a Hub token; run `hf auth login`"),
        (["--output_dir", "/dev/null/out"], "but '/dev/null' is no folder; set another"),
        (["--model_name_or_path", "nobody/nothing"], "The model 'nobody/nothing' cannot be loaded"),
        (["--model_name_or_path", "{folder}/damaged"], "damaged' are damaged, or a git-lfs pointer"),
        (
            ["--model_name_or_path", "{folder}/base"],
            "base' has no chat template to write prompts with; use an instruct model.",
        ),
        (
            ["--use_peft", "true", "--lora_target_modules", "none"],
            "`lora_target_modules` is 'none': Target modules none not found",
        ),
    ],
)
def test_wrong_input_is_one_sentence_and_leaves_nothing(recipe, tmp_path, capsys, monkeypatch, arguments, message):
    monkeypatch.chdir(tmp_path)
    monkeypatch.delenv("HF_TOKEN", raising=False)
    monkeypatch.setattr("huggingface_hub.constants.HF_HUB_OFFLINE", True)
    for name in ("damaged", "base"):
        shutil.copytree(recipe / "model", recipe / name, dirs_exist_ok=True)
    (recipe / "damaged" / "model.safetensors").write_text("version https://git-lfs.github.com/spec/v1")
    (recipe / "base" / "chat_template.jinja").unlink()
    arguments = [argument.format(folder=recipe) for argument in arguments]
    out = tmp_path / "out"
    assert main(["--config", str(recipe / "online.yaml"), "--output_dir", str(out), *arguments]) == 1, arguments
    error = capsys.readouterr().err.strip().splitlines()[-1]
    assert error.startswith("error: ") and message in error
    assert not out.exists()


def test_too_little_memory_says_which_settings_take_less(recipe, tmp_path, capsys, monkeypatch):
    def fail(*args, **kwargs):
        raise torch.OutOfMemoryError("CUDA out of memory.")

    monkeypatch.setattr("reflection_trl.OnlineReflectionDistillTrainer._compute_loss", fail)
    assert main(["--config", str(recipe / "online.yaml"), "--output_dir", str(tmp_path / "out")]) == 1
    error = capsys.readouterr().err.strip().splitlines()[-1]
    assert "Out of GPU memory at step 1" in error and "lower `max_completion_length`, or set `use_peft: true`" in error


def test_the_limit_is_that_of_the_problems_to_train_on(recipe):
    arguments, *_ = parse(["--config", str(recipe / "online.yaml"), "--limit", "2"])
    train, held_out = load_data(arguments)
    assert (len(train), len(held_out)) == (2, 4)


def test_sources_of_problems_have_options_of_their_own(recipe, tmp_path):
    """As in `build`: the columns of other people's files can be named, and equal ids are distinguished."""
    rows = [{"id": "p/0", "task": f"Write `g{i}`.", "asserts": f"assert g{i}() == {i}"} for i in range(2)]
    for row, name in zip(rows, "ab", strict=True):
        (tmp_path / f"{name}.jsonl").write_text(json.dumps(row) + "\n")
    sources = [
        {"path": str(tmp_path / f"{name}.jsonl"), "columns": {"instruction": "task", "tests": "asserts", "id": "id"}}
        for name in "ab"
    ]
    settings = yaml.safe_load((recipe / "online.yaml").read_text())
    (tmp_path / "online.yaml").write_text(
        yaml.safe_dump({**settings, "problems": sources, "eval_problems": sources[:1]})
    )
    parsed = parse(["--config", str(tmp_path / "online.yaml")])
    check(*parsed)
    train, held_out = load_data(parsed[0])
    assert [prompt[-1]["content"] for prompt in train["prompt"]] == ["Write `g0`.", "Write `g1`."]
    assert train["problem_id"][:] == ["p/0", f"{tmp_path}/b.jsonl:p/0"]
    assert held_out["tests"][:] == ["assert g0() == 0"]


@pytest.mark.parametrize(
    ("sources", "message"),
    [
        ({"problems": [{"path": "a.jsonl", "colums": {}}]}, "did you mean `columns`?"),
        ({"eval_problems": [{"columns": {}}]}, "Each of `eval_problems` needs a `path`: give one to {'columns': {}}"),
        ({"problems": [{"path": "no-such.jsonl"}]}, "'no-such.jsonl' cannot be read"),
    ],
)
def test_wrong_sources_of_problems(recipe, tmp_path, sources, message):
    settings = yaml.safe_load((recipe / "online.yaml").read_text())
    (tmp_path / "online.yaml").write_text(yaml.safe_dump({**settings, **sources}))
    with pytest.raises(ValueError, match=re.escape(message)):
        check(*parse(["--config", str(tmp_path / "online.yaml")]))


def test_held_out_problems_and_their_evaluation_belong_together(recipe, caplog):
    parsed = parse(["--config", str(recipe / "online.yaml"), "--eval_strategy", "no"])
    check(*parsed)
    assert "`eval_problems` are not used: set `eval_strategy` or `eval_on_start`" in caplog.text
    parsed[0].eval_problems = []
    check(*parsed)
    parsed[1].eval_on_start = True
    with pytest.raises(ValueError, match="Evaluation needs `eval_problems`"):
        check(*parsed)


def test_what_is_missing_is_named(recipe, capsys):
    cpu = ["--use_cpu", "true", "--bf16", "false"]
    assert main(cpu) == 1
    assert "No model specified" in capsys.readouterr().err
    assert main(["--model_name_or_path", str(recipe / "model"), *cpu]) == 1
    assert "No problems specified" in capsys.readouterr().err


def test_help_names_the_second_turn_for_failed_answers(capsys):
    assert main(["--help"]) == 0
    assert "\n    --repair_failed  " in capsys.readouterr().out


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (["--promt", "Hello"], "Unknown option: `promt`; did you mean `prompt`?"),
        (["--max_step", "3"], "Unknown option: `max_step`; did you mean `max_steps`?"),
        (["--max_steps", "three"], "invalid int value: 'three'"),
        (["--teacher", "nobody"], "invalid choice: 'nobody'"),
        (["--limit", "0"], "`limit` must be at least 1, got 0"),
        (["--problems", "no-such.jsonl"], "no-such.jsonl"),
        (["--resume_from_checkpoint", "true"], "There is no complete checkpoint"),
        (["--model-name-or-path=mine"], "use `--model`"),
        (["--config", "qwen2.5-coder-0.5b/online"], "use `reflection-trl online --config RECIPE`"),
    ],
)
def test_the_quickstart_checks_all_options_before_its_first_step(monkeypatch, capsys, tmp_path, arguments, message):
    monkeypatch.chdir(tmp_path)
    monkeypatch.setattr(quickstart, "step", lambda title, *_: pytest.fail(f"began {title}"))
    assert quickstart.main(arguments) == 1
    error = capsys.readouterr().err
    assert error.startswith("error: ") and message in error and error.count("\n") == 1
    assert not list(tmp_path.iterdir())


def test_a_machine_without_isolation_is_one_sentence(recipe, monkeypatch, capsys, tmp_path):
    monkeypatch.setattr("reflection_trl.sandbox.sandbox.candidates", lambda *_: [])
    assert main(["--config", str(recipe / "online.yaml"), "--output_dir", str(tmp_path / "out")]) == 1
    error = capsys.readouterr().err.splitlines()[-1]
    assert error.startswith("error: No isolation mechanism works on this machine") and "pip install" in error
    assert not (tmp_path / "out").exists()


def test_a_sandbox_that_fails_during_training_is_one_sentence(recipe, monkeypatch, capsys, tmp_path):
    def fail(*_):
        raise SandboxError("The sandbox could not run any of 2 programs.")

    monkeypatch.setattr("reflection_trl.online.judging.AnswerJudge.judge", fail)
    assert main(["--config", str(recipe / "online.yaml"), "--output_dir", str(tmp_path / "out")]) == 1
    assert capsys.readouterr().err.splitlines()[-1] == "error: The sandbox could not run any of 2 programs."


@pytest.mark.parametrize(
    ("missing", "message"),
    [
        ({"gguf"}, 'The quickstart needs gguf: run `pip install "reflection-trl[recipes]"`'),
        ({"gguf", "matplotlib"}, "The quickstart needs gguf and matplotlib: run `pip install"),
        ({"sandbox"}, "No isolation mechanism works on this machine"),
    ],
)
def test_the_quickstart_checks_its_requirements_before_its_first_step(monkeypatch, capsys, tmp_path, missing, message):
    find_spec = importlib.util.find_spec
    monkeypatch.setattr(importlib.util, "find_spec", lambda name, *rest: None if name in missing else find_spec(name))
    monkeypatch.setattr(quickstart, "step", lambda title, *_: pytest.fail(f"began {title}"))
    if "sandbox" in missing:
        monkeypatch.setattr("reflection_trl.sandbox.sandbox.candidates", lambda *_: [])
    monkeypatch.chdir(tmp_path)
    assert quickstart.main([]) == 1
    error = capsys.readouterr().err
    assert error.startswith("error: ") and message in error and error.count("\n") == 1
    assert not list(tmp_path.iterdir())


def test_a_quickstart_that_fails_prints_one_error(monkeypatch, capsys, tmp_path):
    monkeypatch.chdir(tmp_path)
    monkeypatch.setattr(quickstart.embedded_model, "main", lambda argv: 0)
    with pytest.raises(SystemExit) as ended:
        quickstart.main(["--model", "models/none", "--output_dir", "out"])
    assert ended.value.code == 1
    error = capsys.readouterr().err
    assert error.startswith("error: The model folder 'models/none' does not exist") and error.count("\n") == 1
