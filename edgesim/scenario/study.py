"""A scenario resolved: what its words stand for, as values; what is in it is what runs."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field, fields
from typing import Any, ClassVar, Self

from edgesim.errors import ScenarioError
from edgesim.model.architecture import Architecture
from edgesim.scenario.measured_quality import Quality
from edgesim.scenario.schema.device_kinds import DeviceKind
from edgesim.scenario.schema.scenario import Scenario
from edgesim.scenario.topology.topology import Layout
from edgesim.strategy import Strategy
from edgesim.workload.requests import Demand

__all__ = ["Study"]


@dataclass(frozen=True, eq=False, kw_only=True)
class Study:
    """A scenario resolved once: its parts as values, each of which counts as it stands here.

    ``dataclasses.replace`` changes any part, and what is changed is what is prepared and run. What has no
    part of its own here (seed, replications, faults, memory, retry, objectives, warm-up) is taken from
    `scenario`.

    Parameters
    ----------
    scenario
        What was resolved.
    layout
        Devices, switches and links.
    model
        The model that is served.
    kinds
        The device kinds in use, by the names under which their timings are asked for.
    workload
        Its requests, of whatever kind, and where they come from.
    strategies
        What competes, by label.
    quality
        Measured answers that it asks for.
    """

    scenario: Scenario
    layout: Layout
    model: Architecture
    kinds: Mapping[str, DeviceKind]
    workload: Demand
    strategies: Mapping[str, Strategy]
    quality: Quality = field(default_factory=Quality)
    _resolved: Mapping[str, object] = field(default_factory=dict, repr=False)

    STANDS_FOR: ClassVar[tuple[str, ...]] = (
        "topology",
        "kinds",
        "model",
        "workload",
        "quality",
        "strategies",
        "horizon_s",
        "cooldown_s",
    )
    """What of the scenario was resolved into parts of this, and is not looked at again."""

    def marked(self, *names: str) -> Self:
        """Remember parts as they are, so that a change of one can be seen; all of them if none is named."""
        values = _values(self)
        kept = {name: values[name] for name in names or values if name != "_resolved"}
        return type(self)(**(values | {"_resolved": {**self._resolved, **kept}}))

    def parts(self) -> dict[str, Any]:
        """Its parts by name, as they make a study."""
        return {each.name: getattr(self, each.name) for each in fields(Study)}

    @property
    def sources(self) -> tuple[str, ...]:
        """Ids of the devices that requests come from."""
        return self.workload.sources

    @property
    def edited(self) -> tuple[str, ...]:
        """Names of the parts that are not those that were resolved, or prepared, any more."""
        return tuple(name for name, value in self._resolved.items() if getattr(self, name) is not value)

    def check_edits(self) -> None:
        """Refuse another scenario in whose parts this study's were not resolved.

        Raises
        ------
        ScenarioError
            Naming what differs.
        """
        before = self._resolved.get("scenario")
        if before is None or before is self.scenario:
            return
        assert isinstance(before, Scenario)
        drawn = ("seed",) if self.scenario.topology.generate is not None else ()  # its graph is
        names = (*self.STANDS_FOR, *drawn)
        differ = [name for name in names if getattr(before, name) != getattr(self.scenario, name)]
        if differ:
            raise ScenarioError(
                f"{self.scenario.origin.name}: the scenario was replaced after it was resolved, and says "
                f"something else of {', '.join(name.removesuffix('_s') for name in differ)}; resolve and "
                "prepare it anew, or replace the part itself"
            )


def _values(study: Study) -> dict[str, Any]:
    return {each.name: getattr(study, each.name) for each in fields(study) if each.init}
