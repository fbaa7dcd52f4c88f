"""Dynamic sampling against a slow reference: which groups are replaced, with what, and what is trained on."""

import copy
import json
import math
from statistics import mean

import pytest
import torch

from reflection_trl import OnlineReflectionDistillConfig, OnlineReflectionDistillTrainer, load_problems_for_rl
from reflection_trl.online.dynamic_sampling import rewards_differ
from reflection_trl.problems import Problem

from .scripted import PROBLEMS, SETTINGS, ScriptedJudge, make_trainer, outcome, scripted_reward, solve_rates


GROUP = 4
EASY = [Problem(f"easy-{i}", f"Easy {i}?", tests="a") for i in range(3)]
HARD = [Problem(f"hard-{i}", f"Hard {i}?", tests="a") for i in range(3)]
MIXED = [Problem(f"mixed-{i}", f"Mixed {i}?", tests="a") for i in range(4)]


class Policy:
    """Generates by script: all answers of an easy problem are right, none of a hard one, and some of a mixed one."""

    def __init__(self, trainer):
        self.trainer, self.rounds, self.logprobs = trainer, [], []
        trainer._generate_single_turn = self

    def __call__(self, prompt_ids, images, multimodal_fields, num_generations):
        tokenizer = self.trainer._tokenizer
        prompts = tokenizer.batch_decode(prompt_ids)
        letters = [
            "a"
            if prompt.startswith("Easy") or (prompt.startswith("Mixed") and number % GROUP < 1 + number % 3)
            else "b"
            for number, prompt in enumerate(prompts)
        ]
        step = self.trainer.state.global_step
        groups = list(zip(prompts, letters, strict=True))
        self.rounds.append((step, [groups[i : i + GROUP] for i in range(0, len(groups), GROUP)]))
        ids = [[tokenizer(letter)["input_ids"][0], tokenizer.eos_token_id] for letter in letters]
        return ids, None


def train(guesser, tokenizer, folder, problems, scripted=Policy, **settings):
    settings = SETTINGS | {"num_generations": GROUP, "per_device_train_batch_size": 2 * GROUP, "beta": 0.0} | settings
    trainer = OnlineReflectionDistillTrainer(
        copy.deepcopy(guesser),
        reward_funcs=scripted_reward(),
        args=OnlineReflectionDistillConfig(str(folder), **settings),
        train_dataset=load_problems_for_rl(problems, conversational=False),
        processing_class=tokenizer,
    )
    policy = scripted(trainer)
    trainer.train()
    return trainer, policy


def read_groups(folder, step):
    rows = [json.loads(line) for line in (folder / "rollouts" / f"step-{step:06d}.jsonl").read_text().splitlines()]
    pairs = [(row["messages"][0]["content"], row["messages"][1]["content"]) for row in rows]
    return [pairs[i : i + GROUP] for i in range(0, len(pairs), GROUP)]


def varies(group):
    return len({letter for _, letter in group}) == 2


def fails(group):
    return any(letter == "b" for _, letter in group)


def solve_rate(groups):
    return mean(letter == "a" for group in groups for _, letter in group)


def select(rounds, has_signal):
    """The reference: the groups of the first round, each one without a signal replaced by the next one with a signal."""
    batch, *others = rounds
    batch, later = list(batch), [group for groups in others for group in groups if has_signal(group)]
    for number, group in enumerate(batch):
        if not has_signal(group) and later:
            batch[number] = later.pop(0)
    return batch


def batches_of(rounds, has_signal, size, limit):
    """Splits rounds into the generation batches of each step: each takes rounds until no group is missing."""
    batches, steps = [], []
    for step, groups in rounds:
        if not batches or len(batches[-1]) > limit or all(map(has_signal, select(batches[-1], has_signal))):
            assert len(groups) == size
            batches.append([])
            steps.append(step)
        assert steps[-1] == step
        batches[-1].append(groups)
    return batches, steps


@pytest.mark.parametrize(
    ("settings", "size"),
    [
        ({"distillation_weight": 0.0}, 2),
        ({"distillation_weight": 0.5}, 2),
        ({"distillation_weight": 1.0}, 2),
        ({"distillation_weight": 0.0, "gradient_accumulation_steps": 2}, 4),
        ({"distillation_weight": 0.0, "gradient_accumulation_steps": 2, "steps_per_generation": 1}, 2),
        ({"distillation_weight": 0.0, "steps_per_generation": 2}, 4),
        ({"distillation_weight": 0.0, "num_iterations": 2}, 2),
    ],
    ids=lambda value: "-".join(f"{k}{v}" for k, v in value.items()) if isinstance(value, dict) else "",
)
def test_groups_are_replaced_as_in_the_reference(guesser, tokenizer, tmp_path, settings, size):
    limit, steps = 2, 4
    trainer, policy = train(
        guesser,
        tokenizer,
        tmp_path,
        [*EASY, *HARD, *MIXED],
        max_steps=steps,
        dynamic_sampling_rounds=limit,
        **settings,
    )
    # A group in which all answers fail has a signal if the teacher reads their feedback
    has_signal = fails if settings["distillation_weight"] else varies
    batches, of_step = batches_of(policy.rounds, has_signal, size, limit)
    assert any(len(batch) > 1 for batch in batches)
    expected = [select(batch, has_signal) for batch in batches]
    written = [
        group
        for step in range(steps)
        if (tmp_path / "rollouts" / f"step-{step:06d}.jsonl").exists()
        for group in read_groups(tmp_path, step)
    ]
    assert written == [group for batch in expected for group in batch]
    for batch in batches:
        groups, used = list(batch[0]), {group[0][0] for group in batch[0]}
        for candidates in batch[1:]:
            # As many as are missing, of prompts that this batch did not have
            assert len(candidates) == sum(not has_signal(group) for group in groups)
            assert not used & {group[0][0] for group in candidates} or len(used) == 10
            used |= {group[0][0] for group in candidates}
            groups = select([groups, candidates], has_signal)
    logs = {e["step"] - 1: e for e in trainer.state.log_history if "dynamic_sampling/rounds" in e}
    assert sorted(logs) == sorted(set(of_step))
    for step, entry in logs.items():
        mine = [i for i, other in enumerate(of_step) if other == step]
        sampled = [sum(map(len, batches[i])) for i in mine]
        kept = [sum(map(has_signal, expected[i])) for i in mine]
        assert entry["dynamic_sampling/rounds"] == mean(len(batches[i]) - 1 for i in mine)
        assert entry["dynamic_sampling/sampled_groups"] == mean(sampled)
        assert entry["dynamic_sampling/kept_groups"] == mean(kept)
        assert entry["dynamic_sampling/discarded_tokens"] == mean(2 * GROUP * (number - size) for number in sampled)
        assert entry["groups/with_signal"] == mean(number / size for number in kept)
        # The reward is that of the batch, the solve rate that of the prompts as they come
        assert entry["reward"] == pytest.approx(mean(solve_rate(expected[i]) for i in mine))
        assert entry["execution/pass_rate"] == pytest.approx(mean(solve_rate(batches[i][0]) for i in mine))
    prompt_tokens = sum(len(tokenizer(p)["input_ids"]) for _, groups in policy.rounds for g in groups for p, _ in g)
    answers = sum(len(groups) for _, groups in policy.rounds) * GROUP
    assert trainer.state.num_input_tokens_seen == prompt_tokens + 2 * answers


class Replay(Policy):
    """Generates the given answers, in turn."""

    answers: list[str]

    def __call__(self, prompt_ids, images, multimodal_fields, num_generations):
        tokenizer = self.trainer._tokenizer
        letters, self.answers[:] = self.answers[: len(prompt_ids)], self.answers[len(prompt_ids) :]
        return [[tokenizer(letter)["input_ids"][0], tokenizer.eos_token_id] for letter in letters], None


NONE = float("nan")


@pytest.mark.parametrize(
    ("rewards", "weights", "summed", "normalized"),
    [
        ([[1, 0], [0, 0]], [1, 1], True, True),
        ([[1, 1], [1, 1]], [1, 1], False, False),
        ([[0.1, 0.2], [0.3, 0.0]], [1, 1], False, False),  # but for the last bit of the sums
        ([[2, 0], [0, 1]], [1, 2], False, True),
        ([[NONE, NONE], [1, 1], [1, 1]], [1, 1], False, False),
        ([[NONE, 0], [1, 0], [1, 0]], [1, 1], True, False),
        ([[1, 0]], [1, 1], False, False),
    ],
)
def test_a_group_has_a_gradient_where_trls_advantages_differ(rewards, weights, summed, normalized):
    rewards, weights = torch.tensor(rewards, dtype=torch.float32), torch.tensor(weights, dtype=torch.float32)
    assert rewards_differ(rewards, weights, "sum_then_normalize") == summed
    assert rewards_differ(rewards, weights, "normalize_then_sum") == normalized


def test_a_signal_is_counted_as_trl_aggregates_the_rewards(guesser, tokenizer, tmp_path):
    """Two functions that cancel each other, but for their spread: their sum is constant, their normalized sum is not."""

    def passes(completions, **_):
        return [2.0 * (number % 2) for number in range(len(completions))]

    def fails(completions, **_):
        return [1.0 - number % 2 for number in range(len(completions))]

    reward = scripted_reward()
    for aggregation, signal in (("sum_then_normalize", 0.0), ("normalize_then_sum", 1.0)):
        trainer = make_trainer(
            guesser, tokenizer, tmp_path / aggregation, [passes, fails, reward], max_steps=1, distillation_weight=0.0,
            reward_weights=[1.0, 2.0, 0.0], multi_objective_aggregation=aggregation,
        )  # fmt: skip
        trainer.train()
        log = trainer.state.log_history[0]
        assert (log["groups/with_signal"], log["grad_norm"] > 0) == (signal, bool(signal))


@pytest.mark.parametrize(
    "settings",
    [
        {"distillation_weight": 0.0},
        {"distillation_weight": 0.5, "teacher": "live", "show_feedback": False},
        {"distillation_weight": 0.0, "gradient_accumulation_steps": 2},
        {"distillation_weight": 0.0, "scale_rewards": "batch"},
    ],
    ids=str,
)
def test_a_step_is_that_of_a_batch_with_the_selected_groups(guesser, tokenizer, tmp_path, settings):
    problems = [*EASY, *HARD, *MIXED]
    trainer, _ = train(
        guesser, tokenizer, tmp_path / "dynamic", problems, max_steps=3, dynamic_sampling_rounds=8, **settings
    )
    groups = [group for step in range(3) for group in read_groups(tmp_path / "dynamic", step)]
    assert all(map(varies, groups))
    by_prompt = {problem.instruction: problem for problem in problems}
    again = [
        Problem(f"{number}", by_prompt[group[0][0]].instruction, tests="a") for number, group in enumerate(groups)
    ]
    replay = type("Given", (Replay,), {"answers": [letter for group in groups for _, letter in group]})
    reference, _ = train(
        guesser, tokenizer, tmp_path / "given", again, replay, max_steps=3, shuffle_dataset=False, **settings
    )
    assert [group for step in range(3) for group in read_groups(tmp_path / "given", step)] == groups
    for one, other in zip(trainer.state.log_history[:3], reference.state.log_history[:3], strict=True):
        for name in ("loss", "grad_norm", "reward", "reward_std", "frac_reward_zero_std"):
            assert one[name] == pytest.approx(other[name], rel=1e-4, abs=1e-6), name
        assert one["grad_norm"] > 0
    for one, other in zip(trainer.model.parameters(), reference.model.parameters(), strict=True):
        torch.testing.assert_close(one, other)


def test_without_any_signal_the_rounds_end_and_the_batch_stays(guesser, tokenizer, tmp_path):
    trainer, policy = train(
        guesser, tokenizer, tmp_path, HARD, max_steps=2, dynamic_sampling_rounds=3, distillation_weight=0.0
    )
    assert [len(groups) for _, groups in policy.rounds] == [
        2
    ] * 8  # more than the three problems allow without repetition
    for step in range(2):
        assert read_groups(tmp_path, step) == policy.rounds[4 * step][1]
        log = trainer.state.log_history[step]
        assert (log["dynamic_sampling/rounds"], log["dynamic_sampling/kept_groups"], log["grad_norm"]) == (3, 0, 0)
        assert log["dynamic_sampling/sampled_groups"] == 8
    for one, other in zip(trainer.model.parameters(), guesser.parameters(), strict=True):
        assert torch.equal(one, other)


def test_truncated_answers_that_are_masked_have_no_signal(guesser, tokenizer, tmp_path):
    class Truncated(Policy):
        def __call__(self, prompt_ids, *others, **settings):
            ids, logprobs = super().__call__(prompt_ids, *others, **settings)
            prompts = self.trainer._tokenizer.batch_decode(prompt_ids)
            return [
                i[:1] if p.startswith("Mixed 0") or p.startswith("Hard") else i
                for p, i in zip(prompts, ids, strict=True)
            ], logprobs

    for weight in (0.0, 0.5):
        trainer, _ = train(
            guesser,
            tokenizer,
            tmp_path / str(weight),
            [MIXED[0], MIXED[1], HARD[0]],
            Truncated,
            max_steps=1,
            dynamic_sampling_rounds=8,
            mask_truncated_completions=True,
            distillation_weight=weight,
        )
        assert [group[0][0] for group in read_groups(tmp_path / str(weight), 0)] == ["Mixed 1?"] * 2
        assert trainer.state.log_history[0]["groups/with_signal"] == 1
        # The metric applies the same rule
        counted, _ = train(
            guesser,
            tokenizer,
            tmp_path / f"{weight}-off",
            [MIXED[0], HARD[0]],
            Truncated,
            max_steps=1,
            mask_truncated_completions=True,
            distillation_weight=weight,
        )
        assert counted.state.log_history[0]["groups/with_signal"] == 0


def test_log_probabilities_of_the_sampler_stay_with_their_tokens(guesser, tokenizer, tmp_path):
    outputs = []

    class Scored(Policy):
        def __init__(self, trainer):
            super().__init__(trainer)
            self.calls = 0
            make = trainer._generate_and_score_completions
            trainer._generate_and_score_completions = lambda inputs: outputs.append(make(inputs)) or outputs[-1]

        def __call__(self, prompt_ids, *others, **settings):
            ids, _ = super().__call__(prompt_ids, *others, **settings)
            self.calls += 1
            return ids, [[-100.0 * self.calls - number, -float(i[0])] for number, i in enumerate(ids)]

    train(
        guesser,
        tokenizer,
        tmp_path,
        [EASY[0], EASY[1], *MIXED],
        Scored,
        max_steps=4,
        dynamic_sampling_rounds=4,
        distillation_weight=0.0,
    )
    for output in outputs:
        # The second number names the token, the first is that of the call and place
        scored = output["sampling_per_token_logps"]
        assert torch.equal(-scored[:, 1], output["completion_ids"][:, 0].float())
        assert len(set(scored[:, 0].tolist())) == len(scored)


def test_the_tables_of_completions_show_the_batch(guesser, tokenizer, tmp_path):
    shown = []

    class Watched(Policy):
        def __init__(self, trainer):
            super().__init__(trainer)
            make = trainer._generate_and_score_completions

            def record(inputs):
                output = make(inputs)
                logs = trainer._logs
                shown.append(
                    [
                        list(zip(logs["prompt"], logs["completion"], strict=True))[-2 * GROUP :],
                        list(logs["extra"]["outcome"])[-2 * GROUP :],
                    ]
                )
                return output

            trainer._generate_and_score_completions = record

    train(
        guesser,
        tokenizer,
        tmp_path,
        [*EASY, *MIXED],
        Watched,
        max_steps=3,
        dynamic_sampling_rounds=2,
        distillation_weight=0.0,
    )
    for step, (pairs, outcomes) in enumerate(shown):
        assert pairs == [pair for group in read_groups(tmp_path, step) for pair in group]
        assert outcomes == ["passed" if letter == "a" else "assertion" for _, letter in pairs]


IMPOSSIBLE = [Problem(f"impossible-{i}", f"Impossible {i}?", tests="z") for i in range(6)]


def test_it_learns_where_most_problems_teach_nothing(guesser, tokenizer, tmp_path):
    """In as many steps, more than twice as many groups teach something about the two problems of eight that can be solved."""

    def run(folder, **settings):
        settings = {"max_steps": 30, "distillation_weight": 0.0, "learning_rate": 2e-3} | settings
        trainer = make_trainer(guesser, tokenizer, folder, **settings)
        trainer.train_dataset = load_problems_for_rl([*PROBLEMS, *IMPOSSIBLE], conversational=False)
        trainer.train()
        logs = [entry for entry in trainer.state.log_history if "reward" in entry]
        return mean(solve_rates(trainer.model, tokenizer)), mean(log["groups/with_signal"] for log in logs)

    assert mean(solve_rates(guesser, tokenizer)) < 0.2
    rate, signal = run(tmp_path / "dynamic", dynamic_sampling_rounds=4)
    _, signal_without = run(tmp_path / "without")
    assert rate > 0.4 and signal > 2 * signal_without


def test_a_resumed_training_is_the_uninterrupted_one(guesser, tokenizer, tmp_path):
    settings = {
        "distillation_weight": 0.0,
        "dynamic_sampling_rounds": 2,
        "gradient_accumulation_steps": 2,
        "steps_per_generation": 1,
        "save_strategy": "steps",
        "save_steps": 2,
        "max_steps": 4,
    }
    problems = load_problems_for_rl([*PROBLEMS, *IMPOSSIBLE], conversational=False)
    whole = make_trainer(guesser, tokenizer, tmp_path, **settings)
    whole.train_dataset = problems
    whole.train()
    assert any(entry.get("dynamic_sampling/rounds") for entry in whole.state.log_history[2:])
    rollouts = {file.name: file.read_text() for file in (tmp_path / "rollouts").iterdir()}
    resumed = make_trainer(guesser, tokenizer, tmp_path, **settings)
    resumed.train_dataset = problems
    resumed.train(resume_from_checkpoint=str(tmp_path / "checkpoint-2"))
    assert {file.name: file.read_text() for file in (tmp_path / "rollouts").iterdir()} == rollouts
    for (name, one), other in zip(whole.model.named_parameters(), resumed.model.parameters(), strict=True):
        assert torch.equal(one, other), name
    assert whole.state.num_input_tokens_seen == resumed.state.num_input_tokens_seen
    names = [name for name in whole.state.log_history[-2] if "time" not in name]
    for one, other in zip(whole.state.log_history[2:4], resumed.state.log_history[2:4], strict=True):
        for name in names:
            assert one[name] == other[name] or (math.isnan(one[name]) and math.isnan(other[name])), name


def test_evaluation_is_sampled_once(guesser, tokenizer, tmp_path):
    judge = ScriptedJudge()
    reward = scripted_reward()
    reward.judge = judge
    trainer = OnlineReflectionDistillTrainer(
        copy.deepcopy(guesser),
        reward_funcs=reward,
        args=OnlineReflectionDistillConfig(
            str(tmp_path), **SETTINGS, per_device_eval_batch_size=8, dynamic_sampling_rounds=3, distillation_weight=0.0
        ),
        train_dataset=load_problems_for_rl(PROBLEMS, conversational=False),
        eval_dataset=load_problems_for_rl(IMPOSSIBLE[:2], conversational=False),
        processing_class=tokenizer,
    )
    metrics = trainer.evaluate()
    assert judge.calls == 2 and metrics["eval_execution/pass_rate"] == outcome("z", "a").score
    assert not any("dynamic_sampling" in name for name in metrics)
