"""Environment for a decision of a strategy in a scenario."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping, Sequence
from os import PathLike
from typing import Any

import numpy as np

from edgesim.errors import InputError
from edgesim.gym.event_loop_env import EventLoopEnv
from edgesim.gym.rewards import Reward
from edgesim.runner import Prepared, prepare
from edgesim.scenario.load import load, parse
from edgesim.scenario.schema.scenario import Scenario
from edgesim.strategy import Placement, Strategy
from edgesim.units import is_finite_number
from edgesim.world.world import World

__all__ = ["DecisionEnv"]

Vary = Callable[[World, np.random.Generator], World]
Ranges = Mapping[str, tuple[float, float] | tuple[float, float, str]]


class DecisionEnv(EventLoopEnv):
    """Environment for a decision that a strategy requests (:meth:`edgesim.engine.cluster.Cluster.ask`).

    The scenario is prepared once: profiles, timings, fleet and placement are the same in all episodes, and
    each episode is another replication. With `randomise` it is prepared again for each episode, which takes
    tens of milliseconds; `vary` changes the prepared world without preparing it again.

    Parameters
    ----------
    scenario
        A scenario, a scenario file, or the name of a shipped one; or a prepared scenario.
    strategy
        Label of one of its strategies.
    decision, reward, options
        As for :class:`~edgesim.gym.event_loop_env.EventLoopEnv`.
    randomise
        Ranges by path, as for ``--set``, from which values are drawn uniformly for each episode, with their
        unit, if any: ``{"topology.links[0].wired.rate": (1, 50, "Mbit/s")}``.
    vary
        Function that returns a modified world, given an episode's world and a generator, for changes that
        cannot be expressed as paths.

    Raises
    ------
    InputError
        If the scenario cannot be run, no strategy has that label, or it never requests the decision.

    Not modelled: a strategy whose placement depends on the replication. Requests of other replications that
    are longer than the measured range end an episode with an error (give lengths a ``max``).
    """

    def __init__(
        self,
        scenario: Scenario | Prepared | str | PathLike[str],
        *,
        strategy: str,
        decision: str,
        reward: Reward,
        randomise: Ranges | None = None,
        vary: Vary | None = None,
        **options: Any,
    ) -> None:
        for path, drawn in (randomise or {}).items():
            _check_range(path, drawn)
        if not isinstance(scenario, Prepared):
            known = scenario if isinstance(scenario, Scenario) else load(scenario)
            scenario = prepare(known, only=(strategy,), finds_policies=False)
        source = _Replications(scenario, strategy, randomise or {}, vary)
        super().__init__(source, decision=decision, reward=reward, **options)


def _check_range(path: str, drawn: Any) -> None:
    is_range = isinstance(drawn, Sequence) and len(drawn) in (2, 3) and all(map(is_finite_number, drawn[:2]))
    if not is_range or not drawn[0] <= drawn[1] or not all(isinstance(unit, str) for unit in drawn[2:]):
        raise InputError(
            f"randomise: {path!r} has the range {drawn!r}; expected (low, high) or (low, high, unit), finite "
            "and low no higher than high"
        )


class _Replications:
    """Source of episodes: replications of a scenario that is prepared once."""

    def __init__(self, prepared: Prepared, label: str, ranges: Ranges, vary: Vary | None) -> None:
        self._prepared, self._label, self._ranges, self._vary = prepared, label, ranges, vary

    def episode(self, replication: int, rng: np.random.Generator) -> tuple[World, Strategy, Placement]:
        prepared = self._redrawn(rng) if self._ranges else self._prepared
        world = prepared.world(replication)
        if self._vary is not None:
            world = self._vary(world, rng)
        return world, prepared.strategies[self._label], prepared.placements[self._label]

    def _redrawn(self, rng: np.random.Generator) -> Prepared:
        origin = self._prepared.scenario.origin
        drawn = parse(origin.text, name=origin.name, folder=origin.folder, overrides=self._overrides(rng))
        return prepare(drawn, only=(self._label,), finds_policies=False)

    def _overrides(self, rng: np.random.Generator) -> Iterable[str]:
        for path, (low, high, *unit) in self._ranges.items():
            yield f"{path}={float(rng.uniform(low, high))!r} {''.join(unit)}".rstrip()
