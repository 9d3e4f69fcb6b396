"""How long a group's members exchange their results: measured between stretches of another model's computing.

A sum begins when its last member arrives, and lasts until all members have the result, for which threads of
several processes have to be woken. It is measured after stretches of several lengths, as it depends on them.
"""

from __future__ import annotations

import json
from collections.abc import Sequence
from dataclasses import dataclass
from itertools import chain, cycle
from typing import Any

import numpy as np

from edgesim.measure.real.in_context import CONTEXT, PATIENCE_S
from edgesim.measure.real.members import Members, Stretches
from edgesim.measure.real.worker_pool import Crew, Order, Worker
from edgesim.measure.trimmed_mean import typical
from edgesim.model.architecture import Architecture

__all__ = ["SHORT_CONTEXT", "ExchangePoint", "Exchanges", "GroupTimes", "Slowdown", "SumContext"]

SHORT_CONTEXT: dict[str, Any] = {
    **CONTEXT,
    "hidden_size": 192,
    "intermediate_size": 512,
    "num_hidden_layers": 8,
    "num_attention_heads": 6,
    "num_key_value_heads": 6,
    "vocab_size": 2048,
}
"""A model of 4 M parameters: half a block's shard takes less than a millisecond in a decoding step."""

_N_PROMPT = 32
_FURTHER_PROMPTS = 4  # so that there are nearly as many of them as of decoding steps
_N_RESTS = 500  # more than the sums of most runs, so that few are repeated
_SEED = 5


@dataclass(frozen=True, slots=True)
class ExchangePoint:
    """A measured exchange: from the arrival of the last member until all have left.

    Attributes
    ----------
    stretch_s
        How long members compute in half a block; the stretch before a pass's first sum is left out.
    """

    stretch_s: float
    exchange_s: float


@dataclass(frozen=True, slots=True)
class Slowdown:
    """A measured ratio: how long members compute behind sums over how long behind what stands in their place.

    Attributes
    ----------
    stretch_s
        The latter, in half a block of a decoding step.
    """

    stretch_s: float
    ratio: float


@dataclass(frozen=True, slots=True)
class Exchanges:
    """Measured exchanges, and by what factor a member computes longer behind one."""

    points: tuple[ExchangePoint, ...]
    slowdowns: tuple[Slowdown, ...]

    def after(self, stretch_s: float) -> float:
        """Return the time of an exchange after a stretch of computing [s].

        Interpolated between the measured stretches, and constant beyond them. Sizes are left aside: those of
        prompts are larger, up to 115 kB as measured, and so are their stretches.
        """
        found = sorted((each.stretch_s, each.exchange_s) for each in self.points)
        stretches_s, exchanges_s = zip(*found, strict=True)
        return float(np.interp(stretch_s, stretches_s, exchanges_s))

    def slowdown(self, stretch_s: float) -> float:
        """Return the factor by which a stretch is longer behind a sum, interpolated likewise."""
        found = sorted((each.stretch_s, each.ratio) for each in self.slowdowns)
        stretches_s, ratios = zip(*found, strict=True)
        return float(np.interp(stretch_s, stretches_s, ratios))

    @classmethod
    def of(cls, contexts: Sequence[SumContext], fastest: int) -> Exchanges:
        """Combine measurements between stretches of several models.

        Parameters
        ----------
        fastest
            As for :func:`edgesim.measure.trimmed_mean.typical`.
        """
        points = tuple(chain.from_iterable(each.points(fastest) for each in contexts))
        return cls(points, tuple(each.slowdown(fastest) for each in contexts))


@dataclass(frozen=True, slots=True)
class GroupTimes:
    """What a group computes between sums, and how long it exchanges.

    Attributes
    ----------
    prompt, step
        Stretches of the group's own model, in a prompt and in a decoding step.
    first_stretch_s
        Embedding and first attention of a prompt until the last member has computed them [s], behind decoding
        steps and a sleep.
    """

    prompt: Stretches
    step: Stretches
    exchanges: Exchanges
    first_stretch_s: float

    @property
    def prompt_sum_s(self) -> float:
        """A sum of a prompt, with the wait for the slowest member [s]."""
        return self._sum_s(self.prompt)

    @property
    def step_sum_s(self) -> float:
        """A sum of a decoding step, with the wait for the slowest member [s]."""
        return self._sum_s(self.step)

    def _sum_s(self, of: Stretches) -> float:
        return of.late_s + self.exchanges.after(of.mean_s * self.exchanges.slowdown(of.mean_s))


class SumContext:
    """A model in shards at the workers of a group, which runs with sums and with sleeps in their place.

    Parameters
    ----------
    workers
        Joined into a group.
    config
        The model's config.
    name
        Its name at the workers; another for each.
    """

    def __init__(self, crew: Crew, workers: Sequence[Worker], config: dict[str, Any], name: str) -> None:
        self._crew, self._workers, self._name = crew, workers, name
        architecture = Architecture.from_config(config, name=name, dtype="float32")
        self._n_sums = 2 * architecture.n_blocks
        drawn = np.random.default_rng(_SEED).integers(architecture.vocab_size, size=_N_PROMPT)
        self._prompt: list[int] = drawn.tolist()
        of = {"do": "hold", "as": name, "config": json.dumps(config), "name": name, "seed": _SEED}
        everything = {"blocks": [0, architecture.n_blocks]}
        n_members = len(workers)
        crew.ask(
            [(w, {**of, **everything, "shard": [rank, n_members]}) for rank, w in enumerate(workers)],
            timeout_s=PATIENCE_S,
        )
        self.begin()

    def begin(self) -> None:
        """Discard earlier measurements."""
        self._random = np.random.default_rng(_SEED)
        self._behind = {way: Members(self._n_sums) for way in ("sums", "rests")}
        self._prompts_s: list[float] = []  # of exchanges, the mean of a pass each
        self._steps_s: list[float] = []
        self._waits_s: list[float] = []
        # What runs first finds colder caches; rests are as long as sums before them.
        self._orders = cycle([("sums", "rests"), ("rests", "sums")])

    def turn(self, n_out: int) -> None:
        """Run the group once with sums and once with sleeps in their place, and further prompts with sums.

        Parameters
        ----------
        n_out
            Tokens generated, at least two; of further prompts, one.
        """
        for way in next(self._orders):
            self._run(way, n_out)
        for _ in range(_FURTHER_PROMPTS):
            self._run("sums", 1)

    def _run(self, way: str, n_out: int) -> None:
        rests_s = self.rests_s() if way == "rests" else []
        order: Order = {"do": "together", "model": self._name, "sums": way == "sums", "rests_s": rests_s}
        order = {**order, "prompt": self._prompt, "n_out": n_out}
        asked = [(worker, order) for worker in self._workers]
        answers = self._crew.ask(asked, timeout_s=PATIENCE_S)
        self._behind[way].add(answers)
        if way == "sums":
            self._add_sums(np.array([answer["sums_s"] for answer in answers]))

    def _add_sums(self, instants_s: Any) -> None:
        """Store the instants at which members entered and left sums [member, sum, 2]."""
        entered_s, left_s = instants_s[:, :, 0], instants_s[:, :, 1]
        lasted_s = left_s.max(axis=0) - entered_s.max(axis=0)
        prompt_s, *steps_s = lasted_s.reshape(-1, self._n_sums).mean(axis=1).tolist()
        self._prompts_s.append(prompt_s)
        self._steps_s += steps_s
        self._waits_s += (left_s - entered_s)[:, self._n_sums :].ravel().tolist()

    def rests_s(self) -> list[float]:
        """Draw sleeps as long as members waited in the sums of decoding steps so far.

        They differ by a factor of ten, and a process loses less by a short and a long sleep than by two of
        their mean. At least one turn must have been made, of which the first begins with sums.
        """
        drawn_s: list[float] = self._random.choice(self._waits_s, _N_RESTS).tolist()
        return drawn_s

    def points(self, fastest: int) -> tuple[ExchangePoint, ExchangePoint]:
        """Return the typical exchange of a prompt and of a decoding step, after at least one turn.

        Parameters
        ----------
        fastest
            As for :func:`edgesim.measure.trimmed_mean.typical`.
        """
        prompt, step = self._behind["sums"].times(fastest)
        return (
            ExchangePoint(prompt.mean_s, float(typical(self._prompts_s, fastest))),
            ExchangePoint(step.mean_s, float(typical(self._steps_s, fastest))),
        )

    def slowdown(self, fastest: int) -> Slowdown:
        """Return by what factor a member computes longer behind a sum, in decoding; it can be below one.

        Parameters
        ----------
        fastest
            As for :func:`edgesim.measure.trimmed_mean.typical`.
        """
        _, behind_sums = self._behind["sums"].times(fastest)
        _, behind_rests = self._behind["rests"].times(fastest)
        return Slowdown(behind_rests.mean_s, behind_sums.mean_s / behind_rests.mean_s)
