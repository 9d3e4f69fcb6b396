"""A resolved scenario: its references replaced by the values that are simulated."""

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
    """A resolved scenario, with its parts as values that can be replaced.

    ``dataclasses.replace`` changes any part; the changed part is what is prepared and run. Settings without a
    part here (seed, replications, faults, memory, retry, objectives, warm-up) are taken from `scenario`.

    Parameters
    ----------
    scenario
        Scenario that was resolved.
    layout
        Devices, switches and links.
    model
        The model that is served.
    kinds
        Device kinds in use, by timing name.
    workload
        Requests and their sources.
    strategies
        Strategies to compare, by label.
    quality
        Measured answers, if the scenario uses them.
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
    """Scenario fields that were resolved into parts of the study, and are not read again."""

    def marked(self, *names: str) -> Self:
        """Return a copy that records the named parts (all if none is named), to detect later changes."""
        values = _values(self)
        kept = {name: values[name] for name in names or values if name != "_resolved"}
        return type(self)(**(values | {"_resolved": {**self._resolved, **kept}}))

    def parts(self) -> dict[str, Any]:
        """Return the parts by name, as constructor arguments."""
        return {each.name: getattr(self, each.name) for each in fields(Study)}

    @property
    def sources(self) -> tuple[str, ...]:
        """Ids of the devices that generate requests."""
        return self.workload.sources

    @property
    def edited(self) -> tuple[str, ...]:
        """Names of the parts that were replaced since they were resolved or prepared."""
        return tuple(name for name, value in self._resolved.items() if getattr(self, name) is not value)

    def check_edits(self) -> None:
        """Refuse a replaced scenario whose parts differ from those that this study was resolved from.

        Raises
        ------
        ScenarioError
            Naming what differs.
        """
        before = self._resolved.get("scenario")
        if before is None or before is self.scenario:
            return
        assert isinstance(before, Scenario)
        drawn = (
            ("seed",) if self.scenario.topology.generate is not None else ()
        )  # its graph depends on the seed
        names = (*self.STANDS_FOR, *drawn)
        differ = [name for name in names if getattr(before, name) != getattr(self.scenario, name)]
        if differ:
            raise ScenarioError(
                f"{self.scenario.origin.name}: the scenario was replaced after it was resolved, and differs "
                f"in {', '.join(name.removesuffix('_s') for name in differ)}; resolve and prepare it "
                "again, or replace the part of the study itself"
            )


def _values(study: Study) -> dict[str, Any]:
    return {each.name: getattr(study, each.name) for each in fields(study) if each.init}
