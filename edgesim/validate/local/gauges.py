"""Measured profiles of a model in worker processes, visit by visit."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from enum import StrEnum
from pathlib import Path

from edgesim.measure.grid import Grid
from edgesim.measure.real.worker_pool import Answer, Order, Worker
from edgesim.model.profile import Profile
from edgesim.validate.local.prediction import stage_blocks
from edgesim.validate.local.settings import Extent
from edgesim.validate.local.shapes import ModelShape

__all__ = ["Company", "Gauges"]

Ask = Callable[[Sequence[tuple[Worker, Order]]], list[Answer]]


class Company(StrEnum):
    """What is measured, and beside which other processes."""

    WHOLE = "whole"
    """All of the model in one process, while the others are idle."""
    ALONE = "alone"
    """As much as the largest stage has in each process, one after the other, while the others are idle.

    Beside rings with one sample prompts are timed behind a sleep, and beside other rings without.
    """
    AT_ONCE = "at once"
    """The same in two processes at the same time."""


@dataclass(frozen=True, slots=True)
class Gauges:
    """Measurements of profiles in progress, in any number of the ways of :class:`Company`.

    Parameters
    ----------
    ask
        Gives orders to workers, all at the same time, and returns their answers.
    workers
        Of the stages of a ring, one for each.
    folder
        Folder for files exchanged between the processes.
    """

    ask: Ask
    shape: ModelShape
    extent: Extent
    workers: Sequence[Worker]
    folder: Path

    def begin(self, company: Company, *, fastest: int, seed: int) -> None:
        """Start a measurement, which builds modules; an earlier one is discarded."""
        n_prompt, last = self.extent.n_prompt, self.extent.n_prompt + self.extent.n_out
        grid = Grid(
            batches=(1,),
            prompts=(n_prompt,),
            contexts=(n_prompt, last),
            held_out_prompts=(),
            held_out_contexts=((n_prompt + last) // 2,),
        )
        order = {
            **self.shape.order(),
            "do": "gauge",
            "as": company.value,
            "grid": {key: list(values) for key, values in grid.facts().items()},
            "fastest": fastest,
            "seed": seed,
        }
        if company is not Company.WHOLE:
            (_, order["most_blocks"]), *_ = stage_blocks(self.shape.architecture.n_blocks, len(self.workers))
        self._do(company, order)

    def round(self, company: Company, *, rest_s: float = 0.0) -> None:
        """Measure every pass once more, and in every fourth call what needs fewer repeats.

        Parameters
        ----------
        rest_s
            How long processes sleep before a prompt [s].
        """
        self._do(company, {"do": "round", "gauge": company.value, "rest_s": rest_s})

    def prompt(self, company: Company) -> None:
        """Measure a prompt once more."""
        self._do(company, {"do": "prompt", "gauge": company.value})

    def profiles(self, company: Company) -> list[Profile]:
        """Return the profiles, one of each process, and end the measurement."""
        files = [self.folder / f"gauge-{number}.parquet" for number, _ in enumerate(self._of(company))]
        order = {"do": "profile", "gauge": company.value}
        self._do(company, *({**order, "file": str(file)} for file in files))
        return [Profile.load(file) for file in files]

    def _of(self, company: Company) -> Sequence[Worker]:
        n_workers = {Company.WHOLE: 1, Company.ALONE: len(self.workers), Company.AT_ONCE: 2}
        return self.workers[: n_workers[company]]

    def _do(self, company: Company, *orders: Order) -> None:
        """Give each process its order, or all of them the same."""
        workers = self._of(company)
        given = list(zip(workers, orders if len(orders) > 1 else orders * len(workers), strict=True))
        if company is Company.AT_ONCE:
            self.ask(given)
        else:
            for each in given:
                self.ask([each])
