r"""Rows of problems with a final answer have no code fences: they are masked and trained on as they are."""

import numpy as np
import pytest
from reference import hidden_by_definition, make_trainer, prepared_rows, reference_loss, step_loss

from reflection_trl.rendering import ChatTemplateRenderer
from reflection_trl.sequences import BLOCK_TYPES, from_typed_blocks, split_blocks, to_typed_blocks
from reflection_trl.training.masking import MASK_STRATEGIES, failed_attempts


def prose_row(number):
    """As the builder makes them: attempt, verdict, repair, verdict, conclusion, request, solution."""
    return {
        "messages": [
            {"role": "user", "content": f"Solve the problem below.\n\nProblem:\nWhat is 3 times {number}?"},
            {"role": "assistant", "content": rf"3 + {number} = \boxed{{{3 + number}}}."},
            {"role": "tool", "content": f"The final answer `{3 + number}` is wrong."},
            {"role": "assistant", "content": rf"It was added, which is wrong. 3 * {number} = \boxed{{{3 * number}}}."},
            {"role": "tool", "content": f"The final answer `{3 * number}` is right."},
            {"role": "assistant", "content": "Adding was the mistake."},
            {"role": "user", "content": rf"What is 3 times {number}? Put the final answer in \boxed{{}}."},
            {"role": "assistant", "content": rf"Three times {number} is \boxed{{{3 * number}}}."},
        ],
        "type": "reflection",
        "answer": str(3 * number),
        "checker": "math",
    }


ROWS = [prose_row(number) for number in range(4, 10)]


def test_blocks_are_text_and_verdicts():
    types = [block.type for turn in ROWS[0]["messages"] for block in split_blocks(turn)]
    assert types == ["text", "text", "execution", "text", "execution", "text", "text", "text"]
    assert from_typed_blocks(to_typed_blocks(ROWS[0])) == ROWS[0]


def test_rendering_finds_the_blocks_that_may_be_hidden(tokenizer):
    columns = ChatTemplateRenderer(tokenizer).tokenize(ROWS[0])
    types = [BLOCK_TYPES[number] for number in columns["block_types"]]
    assert sorted(types) == ["execution", "execution", "text", "text", "text"]
    answer = columns["input_ids"][columns["answer_start"] :]
    assert tokenizer.decode(answer).startswith(ROWS[0]["messages"][-1]["content"])


@pytest.mark.parametrize("strategy", MASK_STRATEGIES)
def test_each_strategy_hides_blocks_and_trains(make_model, tokenizer, tmp_path, strategy):
    trainer = make_trainer(
        make_model(), tokenizer, ROWS, tmp_path, mask_strategy=[strategy], mask_rate_start=0.5, mask_rate_end=0.5,
        max_steps=2, logging_steps=1, save_strategy="no",
    )  # fmt: skip
    before = {name: value.clone() for name, value in trainer.model.named_parameters()}
    trainer.train()
    assert any(not np.array_equal(value.detach(), before[name]) for name, value in trainer.model.named_parameters())
    losses = [entry["loss"] for entry in trainer.state.log_history if "loss" in entry]
    assert len(losses) == 2 and np.isfinite(losses).all()


@pytest.mark.parametrize("rate", [0.0, 0.5, 1.0])
def test_the_loss_is_that_of_the_slow_reference(make_model, tokenizer, tmp_path, rate):
    trainer = make_trainer(make_model(), tokenizer, ROWS, tmp_path, mask_rate_start=rate, mask_rate_end=rate)
    rows = prepared_rows(trainer)
    expected = reference_loss(trainer.model, rows, hidden_by_definition(trainer, rate, 1)).item()
    loss, _ = step_loss(trainer, rows, 1)
    assert loss == pytest.approx(expected, rel=1e-4)


@pytest.mark.parametrize(
    ("blocks", "failed"),
    [
        (["text", "execution", "text", "execution", "text"], [True, False, False, False, False]),
        (["text", "execution", "text"], [False, False, False]),
        (["text", "execution", "text", "execution", "text", "execution"], [True, False, True, False, False, False]),
        (["execution", "text"], [False, False]),
        (["text"], [False]),
    ],
)
def test_solutions_that_another_one_follows_have_failed(blocks, failed):
    assert failed_attempts(np.array([BLOCK_TYPES.index(block) for block in blocks])).tolist() == failed
