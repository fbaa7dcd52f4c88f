"""Handles streams that give the processes of a run different numbers of batches.

Each process reads its own shards, which may contain different numbers of usable rows. If one process runs out, the
others would wait for it forever at the next communication. Here all processes learn of it, and end the epoch together
([`StreamSteps`]) or continue with a batch that does not count ([`EvenBatches`]).
"""

import itertools
import math
import os
from collections.abc import Iterable, Iterator
from typing import Any

import torch
from accelerate import Accelerator
from transformers import TrainerState
from transformers.trainer import TRAINER_STATE_NAME
from transformers.utils import logging


logger = logging.get_logger(__name__)


class Exchange:
    """
    Exchanges values between the processes of a run through their hosts, without waiting for the GPUs.

    Args:
        accelerator ([`~accelerate.Accelerator`]):
            Connects the processes.
    """

    def __init__(self, accelerator: Accelerator):
        self.is_main_process = accelerator.is_main_process
        self._several = accelerator.num_processes > 1 and torch.distributed.is_initialized()
        self._group: Any = None

    def gather(self, value: Any) -> list[Any]:
        """
        Returns the values of all processes. All of them must call this.

        Args:
            value (`Any`):
                Value of this process.
        """
        if not self._several:
            return [value]
        if self._group is None:
            self._group = torch.distributed.new_group(backend="gloo")
        values = [None] * torch.distributed.get_world_size()
        torch.distributed.all_gather_object(values, value, group=self._group)
        return values

    def broadcast(self, value: Any, source: int) -> Any:
        """
        Returns the value of one process to all, after a [`~Exchange.gather`].

        Args:
            value (`Any`):
                Value of this process.
            source (`int`):
                Index of the process whose value is returned.
        """
        values = [value]
        torch.distributed.broadcast_object_list(values, src=source, group=self._group)
        return values[0]


class StreamSteps:
    """
    Reads the batches of each optimizer step from a stream, synchronized over all processes.

    An epoch ends for all processes when one of them has fewer batches left than a step needs. The gradients of a
    shorter step would be added to those of the next epoch's first step, and other processes would wait for it.

    Args:
        exchange ([`Exchange`]):
            Connects the processes.
    """

    def __init__(self, exchange: Exchange):
        self._exchange = exchange
        self._ended: Iterator[Any] | None = None

    def take(self, batches: Iterator[Any], count: int, is_first: bool) -> list[Any]:
        """
        Returns the batches of one step, or none if the epoch has ended.

        Args:
            batches (`Iterator`):
                This process's batches of the epoch.
            count (`int`):
                Number of batches of a step.
            is_first (`bool`):
                Whether the training has made no step yet.

        Raises:
            ValueError: If the stream is too short for a first step, in all processes or in one of them.
        """
        if batches is self._ended:
            return []
        taken = list(itertools.islice(batches, count))
        counts = self._exchange.gather(len(taken))
        if min(counts) == count:
            return taken
        self._ended = batches
        if is_first and any(counts):
            self._refuse(counts, count)
        if any(counts) and self._exchange.is_main_process:
            logger.warning_once(
                f"An epoch of the stream has ended with batches left over, too few for a step of {count} on each of {len(counts)} "
                f"processes; they are skipped in each epoch. To train on all rows, give each process the same number of batches."
            )
        return []

    @staticmethod
    def _refuse(counts: list[int], count: int) -> None:
        if min(counts) == 0:
            raise ValueError(
                f"The stream has no usable row for process {counts.index(0)} of {len(counts)}, but has some for others, so no step is "
                f"possible; give it at least as many shards as there are processes, with usable rows in each, or train on a `Dataset`."
            )
        raise ValueError(
            f"An epoch of the stream has {min(counts)} batches for a process, but a step takes `gradient_accumulation_steps`={count}; set "
            f"that to at most {min(counts)}, or lower `per_device_train_batch_size`."
        )


def find_position(checkpoint: str | os.PathLike[str], accumulation_steps: int) -> tuple[int, int]:
    """
    Returns where in a stream a checkpoint was written. The Trainer takes a stream, whose length it does not know, for one epoch as long
    as the training, and would skip all batches of the training in the first epoch.

    Args:
        checkpoint (`str` or `Path`):
            Folder of the checkpoint.
        accumulation_steps (`int`):
            Batches of a step.

    Returns:
        `tuple[int, int]`: Finished epochs, and batches taken in the next one.
    """
    state = TrainerState.load_from_json(os.path.join(checkpoint, TRAINER_STATE_NAME))
    if not state.epoch:
        return 0, 0
    # An epoch counts as the share of all planned batches that it has taken, so that after a step it is above a whole number, and equal
    # to the next one if nothing is left of the plan
    finished = math.ceil(state.epoch) - 1
    return finished, round((state.epoch - finished) * state.max_steps * accumulation_steps)


class EvenBatches:
    """
    Iterates over the evaluation batches of a stream, with the same number for each process. A process that has run out
    repeats a batch, which must not be counted.

    Args:
        batches (`Iterable`):
            This process's batches.
        exchange ([`Exchange`]):
            Connects the processes, each of which must read to the end.
    """

    def __init__(self, batches: Iterable[Any], exchange: Exchange):
        self.batches = batches
        self.is_repeated = False
        self._exchange = exchange

    def __getattr__(self, name: str) -> Any:
        return getattr(self.batches, name)

    def __iter__(self) -> Iterator[Any]:
        iterator, last = iter(self.batches), None
        while True:
            batch = next(iterator, None)
            states = self._exchange.gather((batch is not None, batch is not None or last is not None))
            if not any(has_batch for has_batch, _ in states):
                return
            if not all(has_any for _, has_any in states):
                # A process without any batch takes one of another process
                source = next(number for number, (has_batch, _) in enumerate(states) if has_batch)
                sent = self._exchange.broadcast(batch, source)
                last = sent if last is None else last
            self.is_repeated = batch is None
            last = batch if batch is not None else last
            yield last
