"""What a programming problem is."""

from dataclasses import dataclass


@dataclass(frozen=True)
class Example:
    """
    One run of a whole program: what it reads and what it must print.

    Args:
        stdin (`str`): standard input.
        stdout (`str`): the expected standard output; compared line by line without trailing white space, see
            [`~reflection_trl.problems.judge.compare_output`].
    """

    stdin: str
    stdout: str


@dataclass(frozen=True)
class Problem:
    """
    A programming problem, with or without tests.

    Args:
        id (`str`):
            Name that is unique in its set, such as `"mbpp/602"`.
        instruction (`str`):
            The request, as a user would put it. Everything that an answer needs to know stands here, the names that the
            tests call included.
        language (`str`, *optional*, defaults to `"python"`):
            Language of the answer: a name of [`reflection_trl.languages.LANGUAGES`].
        tests (`str`, *optional*, defaults to `""`):
            Code that, placed behind an answer, ends normally when the answer is right. Empty where there are none.
        examples (`tuple[Example]`, *optional*):
            Runs of the whole program, for problems that read standard input and print.
        entry_point (`str`, *optional*):
            Name of the function or class under test.
        reference (`str`, *optional*):
            A right answer (code). Never shown to the model; it tells wrong asserts from wrong code.
        source (`str`, *optional*, defaults to `""`):
            The data set that it comes from.
        license (`str`, *optional*, defaults to `""`):
            SPDX identifier of the license of the problem.
        tolerance (`float`, *optional*):
            Absolute or relative error that numbers in the output of `examples` may have; by default the one that the
            instruction states, see [`~reflection_trl.problems.judge.compare_output`].
    """

    id: str
    instruction: str
    language: str = "python"
    tests: str = ""
    examples: tuple[Example, ...] = ()
    entry_point: str | None = None
    reference: str | None = None
    source: str = ""
    license: str = ""
    tolerance: float | None = None

    @property
    def has_tests(self) -> bool:
        """Whether anything of the problem's own can judge an answer."""
        return bool(self.tests or self.examples)
