"""Multi-turn repair in TRL's own loop: a tool call runs the program, the model reads the output and answers again."""

import json
import os

import pytest
from trl import GRPOConfig, GRPOTrainer

from reflection_trl import execution_reward, load_problems_for_rl, repair_environment
from reflection_trl.languages.execution import refuse_to_run

from .conftest import ADD, SAT, STDIN, fenced


os.environ.setdefault("TRL_EXPERIMENTAL_SILENCE", "1")


def test_the_tool_says_what_the_tests_say(execute):
    (row,) = load_problems_for_rl([SAT])
    environment = repair_environment(execute=execute)()
    assert environment.reset(**row) is None
    assert "assert sat(answer)" in environment.run_tests("def sol():\n    return 3")
    assert environment.run_tests("def sol():\n    return 7") == "All tests pass."
    assert "SyntaxError" in environment.run_tests("def sol(:")
    (row,) = load_problems_for_rl([STDIN])
    environment.reset(**row)
    assert environment.run_tests("import sys\nn = [*map(int, sys.stdin)]\nprint(sum(n) / len(n))") == "All tests pass."
    assert "expected `1.5`, got `7`" in environment.run_tests("print(7)")


def test_a_problem_that_the_tool_cannot_judge_ends_the_training():
    """TRL gives errors of a tool to the model, but not those of `reset`."""
    environment = repair_environment(execute=refuse_to_run)()
    with pytest.raises(ValueError, match="has problems with a final answer"):
        environment.reset(prompt="?", answer=0)
    with pytest.raises(ValueError, match=r"The answers to the problem 'x' cannot be judged: the tests are not Python"):
        environment.reset(prompt="?", problem_id="x", tests="assert (")
    with pytest.raises(ValueError, match="has neither `tests` nor `examples` nor `answer`"):
        environment.reset(prompt="?")


def test_a_rollout_runs_reads_and_repairs(execute, make_model, tokenizer, tmp_path):
    call = json.dumps({"name": "run_tests", "arguments": {"code": "def sol():\n    return 3"}})
    said = [f"<tool_call>\n{call}\n</tool_call>", fenced("def sol():\n    return 7")]
    trainer = GRPOTrainer(
        make_model(),
        reward_funcs=execution_reward(execute=execute),
        environment_factory=repair_environment(execute=execute),
        args=GRPOConfig(
            str(tmp_path),
            per_device_train_batch_size=2,
            num_generations=2,
            max_completion_length=1200,
            max_tool_calling_iterations=2,
            max_steps=1,
            report_to="none",
            use_cpu=True,
            bf16=False,
            activation_checkpointing=False,
            save_strategy="no",
            logging_steps=1,
            log_completions=True,
            num_completions_to_print=0,
        ),
        train_dataset=load_problems_for_rl([SAT, ADD]),
        processing_class=tokenizer,
    )
    prompts, turns = [], iter(said)

    def generate(prompt_ids, images, multimodal_fields, num_generations, has_tool_images=False):
        prompts.append(tokenizer.decode(prompt_ids[0]))
        ids = tokenizer(next(turns), add_special_tokens=False)["input_ids"] + [tokenizer.eos_token_id]
        return [list(ids) for _ in prompt_ids], None

    trainer._generate_single_turn = generate
    trainer.train()
    log = trainer.state.log_history[0]
    assert log["tools/call_frequency"] == 1.0 and log["tools/failure_frequency"] == 0.0
    asked_for = "SAT" if "whose square is 49" in prompts[0] else "ADD"
    assert log["execution/pass_rate"] == (1.0 if asked_for == "SAT" else 0.0)
    # The tool's description comes with the prompt, and its answer before the second turn
    assert "run_tests" in prompts[0] and "output of the tests" in prompts[0]
    assert ("assert sat(answer)" if asked_for == "SAT" else "NameError") in prompts[1]
