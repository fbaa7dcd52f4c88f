"""How a gap is measured."""

from dataclasses import dataclass, field

from ..generation.types import Sampling


@dataclass(frozen=True)
class GapSettings:
    """
    How a gap is measured.

    Args:
        draws (`int`, *optional*, defaults to `4`):
            Answers to each request in each of the two contexts.
        rows (`int`, *optional*, defaults to `250`):
            Reflection rows that are looked at, chosen at random where the dataset has more.
        token_rows (`int`, *optional*, defaults to `64`):
            Rows of which the predictions of each token of the answer are compared, by the model in this process. With 0 they are not.
        sampling ([`~reflection_trl.generation.Sampling`], *optional*):
            How each answer is drawn.
        seed (`int`, *optional*, defaults to `0`):
            Of the choice of rows, and of all draws.

    Raises:
        ValueError: If a number is out of its range, or several draws would all be the same.
    """

    draws: int = 4
    rows: int = 250
    token_rows: int = 64
    sampling: Sampling = field(default_factory=lambda: Sampling(temperature=0.7, top_p=0.95, max_tokens=1024))
    seed: int = 0

    def __post_init__(self) -> None:
        for name, least in (("draws", 1), ("rows", 1), ("token_rows", 0)):
            if getattr(self, name) < least:
                raise ValueError(f"`{name}` must be at least {least}, got {getattr(self, name)}.")
        if self.draws > 1 and self.sampling.temperature == 0:
            raise ValueError(f"{self.draws} draws at temperature 0 are all the same: set `temperature`, such as 0.7.")
