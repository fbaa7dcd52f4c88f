"""Defines the settings of a gap measurement."""

from dataclasses import dataclass, field

from ..generation.types import Sampling


@dataclass(frozen=True)
class GapSettings:
    """
    Settings of a gap measurement.

    Args:
        samples (`int`, *optional*, defaults to `4`):
            Number of samples per request in each of the two contexts.
        rows (`int`, *optional*, defaults to `250`):
            Number of reflection rows to evaluate, chosen at random from the dataset.
        token_rows (`int`, *optional*, defaults to `64`):
            Number of rows for which the predictions of each answer token are compared, with the model in this process.
            0 disables this.
        sampling ([`~reflection_trl.generation.Sampling`], *optional*, defaults to `Sampling(temperature=0.7, top_p=0.95, max_tokens=1024)`):
            Sampling settings of each answer.
        seed (`int`, *optional*, defaults to `0`):
            Seed of the choice of rows and of all samples.

    Raises:
        ValueError: If a number is out of range, or several samples would be identical.
    """

    samples: int = 4
    rows: int = 250
    token_rows: int = 64
    sampling: Sampling = field(default_factory=lambda: Sampling(temperature=0.7, top_p=0.95, max_tokens=1024))
    seed: int = 0

    def __post_init__(self) -> None:
        for name, least in (("samples", 1), ("rows", 1), ("token_rows", 0)):
            if getattr(self, name) < least:
                raise ValueError(f"`{name}` must be at least {least}, got {getattr(self, name)}.")
        if self.samples > 1 and self.sampling.temperature == 0:
            raise ValueError(
                f"{self.samples} samples at temperature 0 are all the same: set `temperature`, such as 0.7."
            )
