"""
Compares the predictions of each token of the rows' answers between the two contexts, separately for content and style.
"""

import ast
import inspect
import io
import re
import tokenize
from collections import defaultdict
from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Any

import numpy as np

from ..fences import strip_fence
from ..generation import GenerationArguments
from ..generation.loading import load_causal_lm
from ..python_code import parse_python
from ..rendering import VISIBLE, ChatTemplateRenderer, UnrenderableRow, encode
from ..sequences import split_blocks


# Comments of other languages, and of Python that does not parse
_REMARK = re.compile(r"(?:#|//)[^\n]*|/\*.*?\*/|\"{3}.*?\"{3}|'{3}.*?'{3}", re.DOTALL)
# Numbers, operators and LaTeX of a solution in prose
_FORMULA = re.compile(r"\$[^$\n]{1,200}\$|\\[A-Za-z]+|\d[\d.,]*(?<=\d)|[-+*/=^<>{}%]")


@dataclass
class TokenGroup:
    """
    Means over a group of answer tokens, in nats.

    Args:
        tokens (`int`, *optional*, defaults to `0`):
            Number of tokens.
        teacher_loss (`float`, *optional*, defaults to `0.0`):
            Negative log-likelihood of the token after the sequence.
        student_loss (`float`, *optional*, defaults to `0.0`):
            The same after the request alone.
        divergence (`float`, *optional*, defaults to `0.0`):
            KL divergence of the student's prediction from the teacher's.
        teacher_entropy (`float`, *optional*, defaults to `0.0`):
            Entropy of the teacher's prediction.
        student_entropy (`float`, *optional*, defaults to `0.0`):
            Entropy of the student's prediction.
    """

    tokens: int = 0
    teacher_loss: float = 0.0
    student_loss: float = 0.0
    divergence: float = 0.0
    teacher_entropy: float = 0.0
    student_entropy: float = 0.0


@dataclass
class TokenGap:
    """
    Compares the predictions of the answer tokens in both contexts.

    Args:
        rows (`int`):
            Number of rows with these answers.
        content ([`TokenGroup`], *optional*, defaults to `TokenGroup()`):
            Tokens of code.
        style ([`TokenGroup`], *optional*, defaults to `TokenGroup()`):
            All other tokens: prose, fences, comments, docstrings, whitespace and the end token.
    """

    rows: int
    content: TokenGroup = field(default_factory=TokenGroup)
    style: TokenGroup = field(default_factory=TokenGroup)

    @property
    def style_share(self) -> float:
        """Returns the share of the total divergence on style tokens."""
        style, content = (group.tokens * group.divergence for group in (self.style, self.content))
        return style / (style + content) if style + content else 0.0

    def table(self) -> str:
        """Returns a Markdown table."""
        lines = [
            "| tokens of the answers | number | teacher's loss | student's loss | divergence | teacher's entropy | student's entropy |",
            "|---|---|---|---|---|---|---|",
        ]
        for name, group in (("content (code, formulas)", self.content), ("style (all other tokens)", self.style)):
            values = (
                group.teacher_loss, group.student_loss, group.divergence, group.teacher_entropy, group.student_entropy,
            )  # fmt: skip
            lines.append(f"| {name} | {group.tokens:,} | " + " | ".join(f"{value:.3f}" for value in values) + " |")
        return "\n".join(
            [*lines, "", f"{self.style_share:.0%} of the divergence is on style tokens ({self.rows} rows)."]
        )


def measure_tokens(
    rows: Sequence[dict[str, Any]], generation: GenerationArguments, model: Any = None, tokenizer: Any = None
) -> TokenGap:
    """
    Compares the predictions of each token of the rows' answers, after the row's sequence and after its request alone.

    Args:
        rows (`Sequence[dict]`):
            Reflection rows.
        generation ([`~reflection_trl.generation.GenerationArguments`]):
            Model, which is loaded with transformers.
        model ([`~transformers.PreTrainedModel`], *optional*):
            A loaded model in its place.
        tokenizer ([`~transformers.PreTrainedTokenizerBase`], *optional*):
            A loaded tokenizer.

    Returns:
        [`TokenGap`]

    Raises:
        ValueError: If the chat template cannot express any of the rows.
    """
    import torch

    if model is None or tokenizer is None:
        model, tokenizer = _load(generation)
    renderer = ChatTemplateRenderer(tokenizer, chat_template_kwargs=generation.template_variables)
    sums: dict[bool, np.ndarray] = defaultdict(lambda: np.zeros(6))
    used, refused = 0, ""
    with torch.inference_mode():
        for row in rows:
            try:
                columns, content = _columns(row, renderer)
            except UnrenderableRow as error:
                refused = str(error)
                continue
            used += 1
            values = _compare(model, columns)
            for is_content in (True, False):
                chosen = values[content == is_content]
                sums[is_content] += np.concatenate([[len(chosen)], chosen.sum(axis=0)])
    if not used:
        raise ValueError(
            f"The predictions of tokens cannot be compared, because the chat template cannot express any of the rows ({refused}): set "
            f"`token_rows` to 0 to leave the comparison out."
        )
    return TokenGap(used, _group(sums[True]), _group(sums[False]))


def formula_tokens(answer: str, starts: np.ndarray, ends: np.ndarray) -> np.ndarray:
    """
    Returns which tokens of a solution with a final answer are content: numbers, operators and LaTeX.

    Args:
        answer (`str`):
            The solution.
        starts, ends (`np.ndarray`, shape `(tokens,)`):
            Characters of each token.

    Returns:
        `np.ndarray`: Booleans, shape `(tokens,)`.
    """
    is_content = np.zeros(len(answer) + 1, dtype=bool)
    for match in _FORMULA.finditer(answer):
        is_content[match.start() : match.end()] = [not character.isspace() for character in match[0]]
    return np.array([is_content[start:end].any() for start, end in zip(starts, ends, strict=True)], dtype=bool)


def content_tokens(answer: str, starts: np.ndarray, ends: np.ndarray, language: str = "python") -> np.ndarray:
    """
    Selects the content tokens of an answer: those with a character of code that is not whitespace, a comment or a
    docstring.

    Args:
        answer (`str`):
            The answer.
        starts, ends (`np.ndarray`, shape `(tokens,)`):
            Character span of each token.
        language (`str`, *optional*, defaults to `"python"`):
            Language of its code.

    Returns:
        `np.ndarray` of bool, shape `(tokens,)`: True for content tokens.
    """
    is_content = np.zeros(len(answer) + 1, dtype=bool)
    for block in split_blocks({"role": "assistant", "content": answer}):
        if block.type != "code":
            continue
        segment = answer[block.start : block.end]
        code = strip_fence(segment)
        first = block.start + (segment.index("\n") + 1 if code != segment else 0)
        is_content[first : first + len(code)] = [not character.isspace() for character in code]
        for start, end in _remarks(code, language):
            is_content[first + start : first + end] = False
    return np.array([is_content[start:end].any() for start, end in zip(starts, ends, strict=True)], dtype=bool)


def _remarks(code: str, language: str) -> list[tuple[int, int]]:
    """Returns the spans of comments and docstrings."""
    tree = parse_python(code) if language == "python" else None
    if tree is None:
        return [match.span() for match in _REMARK.finditer(code)]
    # The lines of `tokenize`, which form feeds and U+2028 do not end as they do in `str.splitlines`
    lines = np.concatenate([[0], np.cumsum([len(line) + 1 for line in code.split("\n")])])
    docstrings = {
        (node.body[0].lineno, node.body[0].col_offset)
        for node in ast.walk(tree)
        if isinstance(node, (ast.Module, ast.FunctionDef, ast.AsyncFunctionDef, ast.ClassDef))
        and node.body
        and ast.get_docstring(node) is not None
    }
    return [
        (int(lines[token.start[0] - 1]) + token.start[1], int(lines[token.end[0] - 1]) + token.end[1])
        for token in tokenize.generate_tokens(io.StringIO(code).readline)
        if token.type == tokenize.COMMENT or (token.type == tokenize.STRING and token.start in docstrings)
    ]


def _columns(row: dict[str, Any], renderer: ChatTemplateRenderer) -> tuple[dict[str, list[int]], np.ndarray]:
    """Returns the token ids of both prompts and of the answer, and which answer tokens are content."""
    columns, rendering = renderer.tokenize(row), renderer.render(row)
    ids, start = columns["input_ids"], columns["answer_start"]
    _, starts, ends = encode(rendering, renderer.tokenizer)
    answer = row["messages"][-1]["content"].strip()  # the part that every template writes
    first = max(rendering.answer_start, rendering.text.find(answer, rendering.answer_start))
    starts, ends = (np.clip(places[start:] - first, 0, len(answer)) for places in (starts, ends))
    prompt = [
        token for token, block in zip(ids[:start], columns["block_ids"][:start], strict=True) if block == VISIBLE
    ]
    if row.get("checker"):
        content = formula_tokens(answer, starts, ends)
    else:
        content = content_tokens(answer, starts, ends, row.get("language") or "python")
    return {"teacher": ids[:start], "student": prompt, "answer": ids[start:]}, content


def _compare(model: Any, columns: dict[str, list[int]]) -> np.ndarray:
    """Returns both losses, the divergence and both entropies of each answer token, shape `(tokens, 5)`."""
    import torch

    answer = torch.tensor(columns["answer"], device=model.device)
    teacher, student = (_log_probabilities(model, columns[name], answer) for name in ("teacher", "student"))
    chosen = answer[:, None]
    values = (
        -teacher.gather(1, chosen)[:, 0],
        -student.gather(1, chosen)[:, 0],
        (teacher.exp() * (teacher - student)).sum(1),
        -(teacher.exp() * teacher).sum(1),
        -(student.exp() * student).sum(1),
    )
    return torch.stack(values, dim=1).double().cpu().numpy()


def _log_probabilities(model: Any, prompt: list[int], answer: Any) -> Any:
    """Returns the log-probabilities of the predictions of the answer tokens, shape `(tokens, vocabulary)`."""
    import torch

    ids = torch.cat([torch.tensor(prompt, dtype=answer.dtype, device=answer.device), answer])[None]
    # Otherwise the predictions of the whole prompt would be kept too
    few = "logits_to_keep" in inspect.signature(model.forward).parameters
    logits = model(ids, **({"logits_to_keep": len(answer) + 1} if few else {})).logits[0]
    return logits[-len(answer) - 1 : -1].float().log_softmax(-1)


def _load(generation: GenerationArguments) -> tuple[Any, Any]:
    import torch
    from transformers import AutoTokenizer

    options: dict[str, Any] = {"revision": generation.model_revision} if generation.model_revision else {}
    tokenizer = AutoTokenizer.from_pretrained(generation.model, **options)
    device = "cuda" if torch.cuda.is_available() else "cpu"
    model = load_causal_lm(generation.model, dtype=generation.dtype, device_map=device, **options)
    return model.eval(), tokenizer


def _group(sums: np.ndarray) -> TokenGroup:
    count = int(sums[0])
    return TokenGroup(count, *(float(value) / count for value in sums[1:])) if count else TokenGroup()
