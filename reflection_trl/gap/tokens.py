"""How the predictions of each token of the rows' answers differ between the two contexts, apart for content and for style."""

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
from ..python_code import parse_python
from ..rendering import VISIBLE, ChatTemplateRenderer, UnrenderableRow, encode
from ..sequences import split_blocks


# Comments of the other languages, and of Python that does not parse
_REMARK = re.compile(r"(?:#|//)[^\n]*|/\*.*?\*/|\"{3}.*?\"{3}|'{3}.*?'{3}", re.DOTALL)


@dataclass
class TokenGroup:
    """
    Means over some tokens of the answers, in nats.

    Args:
        tokens (`int`):
            How many.
        teacher_loss (`float`):
            Negative log-likelihood of the token after the sequence.
        student_loss (`float`):
            The same after the request alone.
        divergence (`float`):
            KL divergence of the student's prediction from the teacher's.
        teacher_entropy (`float`):
            Of the teacher's prediction.
        student_entropy (`float`):
            Of the student's.
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
    How the predictions of the answers' tokens differ.

    Args:
        rows (`int`):
            Rows of which the answers are.
        content ([`TokenGroup`]):
            Tokens of code.
        style ([`TokenGroup`]):
            The others: prose, fences, comments, docstrings, white space and the end.
    """

    rows: int
    content: TokenGroup = field(default_factory=TokenGroup)
    style: TokenGroup = field(default_factory=TokenGroup)

    @property
    def style_share(self) -> float:
        """Share of the whole divergence that falls on style."""
        style, content = (group.tokens * group.divergence for group in (self.style, self.content))
        return style / (style + content) if style + content else 0.0

    def table(self) -> str:
        """In Markdown."""
        lines = [
            "| tokens of the answers | number | teacher's loss | student's loss | divergence | teacher's entropy | student's entropy |",
            "|---|---|---|---|---|---|---|",
        ]
        for name, group in (("content (code)", self.content), ("style (all else)", self.style)):
            values = (
                group.teacher_loss, group.student_loss, group.divergence, group.teacher_entropy, group.student_entropy,
            )  # fmt: skip
            lines.append(f"| {name} | {group.tokens:,} | " + " | ".join(f"{value:.3f}" for value in values) + " |")
        return "\n".join([*lines, "", f"Of the divergence, {self.style_share:.0%} falls on style ({self.rows} rows)."])


def measure_tokens(
    rows: Sequence[dict[str, Any]], generation: GenerationArguments, model: Any = None, tokenizer: Any = None
) -> TokenGap:
    """
    Compares the predictions of each token of the rows' answers, after the row's sequence and after its request alone.

    Args:
        rows (`Sequence[dict]`):
            Reflection rows.
        generation ([`~reflection_trl.generation.GenerationArguments`]):
            Which model; it is loaded by transformers.
        model ([`~transformers.PreTrainedModel`], *optional*):
            In place of the one that would be loaded.
        tokenizer ([`~transformers.PreTrainedTokenizerBase`], *optional*):
            Likewise.

    Returns:
        [`TokenGap`]

    Raises:
        ValueError: If the chat template can express none of the rows.
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
        raise ValueError(f"The chat template can express none of the rows: {refused}.")
    return TokenGap(used, _group(sums[True]), _group(sums[False]))


def content_tokens(answer: str, starts: np.ndarray, ends: np.ndarray, language: str = "python") -> np.ndarray:
    """
    Which tokens of an answer are content: they hold a character of code that is neither space nor a comment or docstring.

    Args:
        answer (`str`):
            The answer.
        starts, ends (`np.ndarray`, shape `(tokens,)`):
            Characters that each token comes from.
        language (`str`, *optional*, defaults to `"python"`):
            Of its code.

    Returns:
        `np.ndarray`: Of booleans, shape `(tokens,)`.
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
    lines = np.concatenate([[0], np.cumsum([len(line) for line in code.splitlines(keepends=True)])])
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
    """Returns token ids of both prompts and of the answer, and which tokens of the answer are content."""
    columns, rendering = renderer.tokenize(row), renderer.render(row)
    ids, start = columns["input_ids"], columns["answer_start"]
    _, starts, ends = encode(rendering, renderer.tokenizer)
    answer = row["messages"][-1]["content"].strip()  # as much of it as every template writes
    first = max(rendering.answer_start, rendering.text.find(answer, rendering.answer_start))
    starts, ends = (np.clip(places[start:] - first, 0, len(answer)) for places in (starts, ends))
    prompt = [
        token for token, block in zip(ids[:start], columns["block_ids"][:start], strict=True) if block == VISIBLE
    ]
    content = content_tokens(answer, starts, ends, row.get("language") or "python")
    return {"teacher": ids[:start], "student": prompt, "answer": ids[start:]}, content


def _compare(model: Any, columns: dict[str, list[int]]) -> np.ndarray:
    """Both losses, the divergence and both entropies of each token of the answer, shape `(tokens, 5)`."""
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
    """Of the predictions of the answer's tokens, shape `(tokens, vocabulary)`."""
    import torch

    ids = torch.cat([torch.tensor(prompt, dtype=answer.dtype, device=answer.device), answer])[None]
    # Else the whole prompt's predictions would be held too
    few = "logits_to_keep" in inspect.signature(model.forward).parameters
    logits = model(ids, **({"logits_to_keep": len(answer) + 1} if few else {})).logits[0]
    return logits[-len(answer) - 1 : -1].float().log_softmax(-1)


def _load(generation: GenerationArguments) -> tuple[Any, Any]:
    import torch
    from transformers import AutoModelForCausalLM, AutoTokenizer

    options: dict[str, Any] = {"revision": generation.model_revision} if generation.model_revision else {}
    tokenizer = AutoTokenizer.from_pretrained(generation.model, **options)
    model = AutoModelForCausalLM.from_pretrained(generation.model, dtype=generation.dtype, **options)
    device = "cuda" if torch.cuda.is_available() else "cpu"
    return model.to(device).eval(), tokenizer  # type: ignore[arg-type] # `to` is wrapped


def _group(sums: np.ndarray) -> TokenGroup:
    count = int(sums[0])
    return TokenGroup(count, *(float(value) / count for value in sums[1:])) if count else TokenGroup()
