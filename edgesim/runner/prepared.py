"""A prepared study, with profiles and placements, as it is simulated."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import ClassVar, Self

from edgesim.model.profile import Profile, Timing
from edgesim.planning.policies.training import Training
from edgesim.planning.splitting.policy import Policy
from edgesim.scenario.build import build_world
from edgesim.scenario.measured_quality import Quality
from edgesim.scenario.study import Study
from edgesim.scenario.timings import Profiles, timings
from edgesim.strategy import Placement, Strategy
from edgesim.workload.requests import Extent
from edgesim.world.world import World

__all__ = ["Lesson", "Prepared", "RunFinished", "Trainer"]


@dataclass(eq=False)
class _Cache:
    """Cache of values derived from a study's parts."""

    timings: dict[str, Timing] | None = None
    world: World | None = None  # of the replication requested last

    def __reduce__(self) -> tuple[type[_Cache], tuple[()]]:
        return _Cache, ()


@dataclass(frozen=True, eq=False, kw_only=True)
class Prepared(Study):
    """A study that is ready to run: its profiles are available, and every strategy is placed on the fleet.

    ``dataclasses.replace`` changes any part, and :func:`edgesim.runner.run` simulates the changed study;
    ``run.json`` lists changed parts as ``edited``.

    Parameters
    ----------
    profiles
        Measured compute times: the profile from which devices are scaled, and profiles measured on devices.
    longest
        Largest number and lengths of the requests in a replication.
    placements
        Placement of each strategy, by label.
    remarks
        Remarks on the valid scenario, for the user.
    policies
        Files of the policies of strategies that need training, by label.
    """

    profiles: Profiles
    longest: Extent
    placements: Mapping[str, Placement] = field(default_factory=dict)
    remarks: tuple[str, ...] = ()
    policies: Mapping[str, Path] = field(default_factory=dict)
    _made: _Cache = field(default_factory=_Cache, init=False, repr=False)

    STANDS_FOR: ClassVar[tuple[str, ...]] = (*Study.STANDS_FOR, "profile", "profiles")

    @property
    def profile(self) -> Profile | None:
        """Profile from which devices are scaled; None with analytic times, or if nothing is scaled."""
        return self.profiles.base

    @property
    def timings(self) -> Mapping[str, Timing]:
        """Timing of the model on each device kind in use."""
        if self._made.timings is None:
            self._made.timings = timings(self, self.profiles)
        return self._made.timings

    def with_parameters(self, index: int, of: int) -> Prepared:
        """Return a copy in which kinds with a runtime use set `index` of `of` sets of fitted parameters.

        Placements are unchanged: strategies decide by the centre of the fitted parameters.
        """
        changed = replace(self)
        changed._made.timings = timings(self, self.profiles, draw=(index, of))
        return changed

    @property
    def answers(self) -> Quality:
        """Measured answers that the placements use."""
        return self.quality.needed_by(
            [rule for placed in self.placements.values() for rule in placed.exit_rules]
        )

    def planning_world(self) -> World:
        """Return the world of the first replication, with all that planners can use."""
        made = self._made
        if made.world is None or made.world.replication != 0:
            made.world = build_world(self, 0, self.timings)
        return made.world

    def world(self, replication: int) -> World:
        """Return the world of a replication; the last one is cached for the next strategy.

        The channels' cached values are thus shared by all strategies.
        """
        made = self._made
        if made.world is None or made.world.replication != replication:
            made.world = build_world(self, replication, self.timings)
        if made.world.paths is not None and self.answers.paths is None:
            made.world = replace(made.world, paths=None)
        return made.world

    def replaced(
        self,
        strategies: Mapping[str, Strategy] | None = None,
        placements: Mapping[str, Placement] | None = None,
        policies: Mapping[str, Path] | None = None,
    ) -> Prepared:
        """Return a copy with other strategies, placements or policies, keeping cached timings and world."""
        changed = replace(
            self,
            strategies=self.strategies if strategies is None else strategies,
            placements=self.placements if placements is None else placements,
            policies=self.policies if policies is None else policies,
        )
        return changed._sharing_cache(self)

    def marked(self, *names: str) -> Self:
        """Return a copy that records parts, as :meth:`Study.marked` does, and keeps cached values."""
        return super().marked(*names)._sharing_cache(self)

    def _sharing_cache(self, same: Prepared) -> Self:
        """Take over the cached values of a study whose parts are the same."""
        self._made.timings, self._made.world = same._made.timings, same._made.world
        return self


@dataclass(frozen=True, eq=False)
class Lesson:
    """The training of one strategy's policy.

    Attributes
    ----------
    prepared
        Study with only this strategy, and with the seed, horizon and replications of training.
    label
        Label of the strategy.
    training
        Decisions to learn, with training parameters.
    digest
        Digest of everything that the policy depends on, stored in its record as ``trained_on``.
    """

    prepared: Prepared
    label: str
    training: Training
    digest: str


Trainer = Callable[[Lesson], Policy]
"""Function that trains a policy; it is passed in, as runs of finished policies need no training code."""


@dataclass(frozen=True)
class RunFinished:
    """Progress report: one replication of one strategy is finished."""

    strategy: str
    replication: int
    took_s: float
