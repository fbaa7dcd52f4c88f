"""Finds texts that share a run of words with the tasks of a benchmark. Builder and evaluation use the same rule.

Text and code are split into words in the same way (see `words`), so that a translated or renamed copy of a task is
found by its prose, and a solution by its code. A single common n-gram is enough if it is distinctive: three of its
words are rare among the tasks ("write a python function to find the sum of", `for i in range(len(s))` and `[1, 2, 3,
4]` are common). Without a distinctive n-gram, as in short tasks, the text must contain more than half of the n-grams
of one text of the task. A text of a task that is shorter than an n-gram must be a complete paragraph.
"""

import itertools
import re
from collections import Counter
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from pathlib import PurePath

from .problem import Problem
from .words import ngrams, words


_TASK = re.compile(r"(humaneval|mbpp)[\W_]*(\d+)")
_HUMANEVAL = frozenset(
    ["humaneval", "humanevalplus", "openaihumaneval"]
)  # "puzzles/human_eval", "openai/openai_humaneval"
_BLANK_LINES = re.compile(r"\n\s*\n")


@dataclass(frozen=True)
class Overlap:
    """
    Represents an overlap of a text with a task.

    Args:
        name (`str`):
            Name of the task, such as `"HumanEval/0"`.
        ngram (`str`, *optional*, defaults to `""`):
            The common words; empty if the task is recognized by its name alone.
    """

    name: str
    ngram: str = ""


class NgramIndex:
    """
    Indexes the word n-grams of a benchmark's tasks.

    ```python
    >>> from reflection_trl.evaluation.benchmark_texts import benchmark_texts
    >>> from reflection_trl.problems import NgramIndex

    >>> index = NgramIndex.from_texts(benchmark_texts(["humaneval", "mbpp"]))
    >>> index.overlaps(text)
    [Overlap(name='HumanEval/0', ngram='are any two numbers closer to each other than given')]
    ```

    Args:
        texts (`list[tuple[str, str]]`):
            Name of a task and one of its texts, for all texts.
        n (`int`, *optional*, defaults to `10`):
            Number of words of an n-gram.

    Raises:
        ValueError: If `n` is below 4.
    """

    def __init__(self, texts: Iterable[tuple[str, str]], *, n: int = 10):
        if n < 4:
            raise ValueError(f"`n` must be at least 4, got {n}: shorter n-grams are not distinctive.")
        self.n = n
        parts = [(name, words(text)) for name, text in texts]
        self.tasks = {task_key(name): name for name, _ in reversed(parts)}
        self._rare = _rare_words(parts)
        self._parts = [(name, set(self._ngrams(tokens))) for name, tokens in parts]
        self._holders: dict[tuple[str, ...], list[int]] = {}
        for number, (_, grams) in enumerate(self._parts):
            for gram in grams:
                self._holders.setdefault(gram, []).append(number)

    @classmethod
    def from_texts(cls, texts: Mapping[str, str | Iterable[str]], *, n: int = 10) -> "NgramIndex":
        """
        Indexes the texts of a benchmark.

        Args:
            texts (`Mapping[str, str | Iterable[str]]`):
                Text or texts (prompt, solution) by the name of the task.
            n (`int`, *optional*, defaults to `10`):
                Number of words of an n-gram.

        Returns:
            [`NgramIndex`]
        """
        parts = ((name, [text] if isinstance(text, str) else text) for name, text in texts.items())
        return cls([(name, part) for name, several in parts for part in several], n=n)

    def overlaps(self, text: str) -> list[Overlap]:
        """
        Returns the tasks that a text overlaps with.

        Args:
            text (`str`):
                One text or piece of code. Check unrelated pieces one by one.

        Returns:
            `list[Overlap]`: One per task, with a common n-gram.
        """
        tokens = words(text)
        paragraphs = map(words, _BLANK_LINES.split(text))
        grams = dict.fromkeys([*self._ngrams(tokens), *(tuple(p) for p in paragraphs if len(p) < self.n)])
        shared: dict[int, list[tuple[str, ...]]] = {}
        for gram in grams:
            for number in self._holders.get(gram, ()):
                shared.setdefault(number, []).append(gram)
        found: dict[str, Overlap] = {}
        for number, common in sorted(shared.items()):
            name, all_grams = self._parts[number]
            telling = next((gram for gram in common if self._tells(gram)), None)
            if telling or len(common) > len(all_grams) / 2:
                found.setdefault(name, Overlap(name, " ".join(telling or common[0])))
        return list(found.values())

    def _ngrams(self, tokens: list[str]) -> list[tuple[str, ...]]:
        """Returns the distinctive n-grams, or a shorter text as a whole if it is more than half as long."""
        grams = ngrams(tokens, self.n) if len(tokens) > self.n / 2 else []
        return [gram for gram in grams if not _counts_up(gram)]

    def _tells(self, gram: tuple[str, ...]) -> bool:
        return len(self._rare.intersection(gram)) >= 3


def _counts_up(gram: tuple[str, ...]) -> bool:
    return all(map(str.isdecimal, gram)) and all(int(b) - int(a) == 1 for a, b in itertools.pairwise(gram))


def _rare_words(parts: list[tuple[str, list[str]]]) -> set[str]:
    """Returns words, without numbers and letters, that at most one task in twenty uses."""
    vocabularies: dict[str, set[str]] = {}
    for name, tokens in parts:
        vocabularies.setdefault(task_key(name), set()).update(tokens)
    frequency = Counter(itertools.chain.from_iterable(vocabularies.values()))
    limit = max(3, len(vocabularies) / 20)
    return {word for word, tasks in frequency.items() if tasks <= limit and len(word) > 1 and word.isalpha()}


def task_key(name: str) -> str:
    """Returns one key for a task and its translations: `"HumanEval/23"` and MultiPL-E's `"HumanEval_23_strlen"`."""
    match = _TASK.match(name.lower())
    return f"{match[1]}/{match[2]}" if match else name


def find_contamination(problem: Problem, index: NgramIndex) -> Overlap | None:
    """
    Returns the benchmark task that a problem is equal to, or overlaps with.

    A problem is contaminated if its instruction, reference or tests share an n-gram with a task, if its id is that of
    a task (`"mbpp/2"`), or if its source says that it was made from the benchmark.

    Args:
        problem ([`Problem`]):
            The problem.
        index ([`NgramIndex`]):
            Index of the benchmarks.

    Returns:
        [`Overlap`], *optional*: The first overlap.
    """
    key = task_key(problem.id)
    if key in index.tasks:
        return Overlap(index.tasks[key])
    origin = re.sub("[^a-z]", "", PurePath(problem.source).stem.lower())
    if origin in _HUMANEVAL and any(task.startswith("humaneval/") for task in index.tasks):
        return Overlap("HumanEval")
    examples = (f"{example.stdin}\n{example.stdout}" for example in problem.examples)
    for text in (problem.instruction, problem.reference, problem.tests, *examples, "\n".join(problem.choices)):
        if text and (overlaps := index.overlaps(text)):
            return overlaps[0]
    return None
