"""A study with profiles and placements: what is simulated, exactly as it stands."""

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

__all__ = ["Lesson", "Prepared", "Ran", "Trainer"]


@dataclass(eq=False)
class _Made:
    """What follows from the parts of a study, made when it is first asked for."""

    timings: dict[str, Timing] | None = None
    world: World | None = None  # of the replication that was asked for last

    def __reduce__(self) -> tuple[type[_Made], tuple[()]]:
        return _Made, ()


@dataclass(frozen=True, eq=False, kw_only=True)
class Prepared(Study):
    """A study that is known to run: profile at hand, every strategy placed on the fleet.

    ``dataclasses.replace`` changes any part of it, and :func:`edgesim.runner.run` simulates what it then
    says; what was changed stands in ``run.json`` as ``edited``.

    Parameters
    ----------
    profiles
        Measured compute: what devices are scaled from, and what was measured on them.
    longest
        How many requests there are in a replication, and how long they get.
    placements
        What each strategy decided, by label.
    remarks
        What is no mistake, and yet should not pass in silence.
    policies
        Files of the policies that strategies were given because they had to be trained, by label.
    """

    profiles: Profiles
    longest: Extent
    placements: Mapping[str, Placement] = field(default_factory=dict)
    remarks: tuple[str, ...] = ()
    policies: Mapping[str, Path] = field(default_factory=dict)
    _made: _Made = field(default_factory=_Made, init=False, repr=False)

    STANDS_FOR: ClassVar[tuple[str, ...]] = (*Study.STANDS_FOR, "profile", "profiles")

    @property
    def profile(self) -> Profile | None:
        """What devices are scaled from; None where the scenario asks for formulas, or nothing is scaled."""
        return self.profiles.base

    @property
    def timings(self) -> Mapping[str, Timing]:
        """How long the model takes on each device kind in use."""
        if self._made.timings is None:
            self._made.timings = timings(self, self.profiles)
        return self._made.timings

    def under(self, index: int, of: int) -> Prepared:
        """The same where kinds with a runtime have one of so many sets of fitted parameters.

        What strategies decided stays as it was decided by the centre of the set, which is all that they know.
        """
        changed = replace(self)
        changed._made.timings = timings(self, self.profiles, draw=(index, of))
        return changed

    @property
    def answers(self) -> Quality:
        """The measured answers that its placements look up."""
        return self.quality.needed_by(
            [rule for placed in self.placements.values() for rule in placed.exit_rules]
        )

    def planned(self) -> World:
        """The world of the first replication, with all that planners may look at."""
        made = self._made
        if made.world is None or made.world.replication != 0:
            made.world = build_world(self, 0, self.timings)
        return made.world

    def world(self, replication: int) -> World:
        """The world of a replication, as its strategies meet it; the last one is kept for the next strategy.

        What its channels have worked out for one strategy, they have for the next.
        """
        made = self._made
        if made.world is None or made.world.replication != replication:
            made.world = build_world(self, replication, self.timings)
        if made.world.paths is not None and self.answers.paths is None:
            made.world = replace(made.world, paths=None)
        return made.world

    def having(
        self,
        strategies: Mapping[str, Strategy] | None = None,
        placements: Mapping[str, Placement] | None = None,
        policies: Mapping[str, Path] | None = None,
    ) -> Prepared:
        """The same with other strategies, placements or policies: neither timings nor world hang on them."""
        changed = replace(
            self,
            strategies=self.strategies if strategies is None else strategies,
            placements=self.placements if placements is None else placements,
            policies=self.policies if policies is None else policies,
        )
        return changed._knowing(self)

    def marked(self, *names: str) -> Self:
        """As a study does."""
        return super().marked(*names)._knowing(self)

    def _knowing(self, same: Prepared) -> Self:
        """Take over what was made of parts that are the same here."""
        self._made.timings, self._made.world = same._made.timings, same._made.world
        return self


@dataclass(frozen=True, eq=False)
class Lesson:
    """What a strategy is trained on.

    Attributes
    ----------
    prepared
        The study with this strategy alone, and with training's own seed, horizon and replications.
    label
        The strategy's.
    training
        What is to be learned.
    digest
        Of all that the policy depends on; goes into its record as ``trained_on``.
    """

    prepared: Prepared
    label: str
    training: Training
    digest: str


Trainer = Callable[[Lesson], Policy]
"""What trains: it is handed in, for runs of finished policies need nothing that trains."""


@dataclass(frozen=True)
class Ran:
    """One strategy's one replication is done."""

    strategy: str
    replication: int
    took_s: float
