"""Outages of devices and links in a replication, from a scenario's failure entries."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from types import MappingProxyType

from edgesim.radio.motion.outages import AnyOutages, Outages
from edgesim.rng import key_of
from edgesim.scenario.schema.faults import FaultEntry
from edgesim.scenario.schema.scenario import Scenario
from edgesim.scenario.text.problems import Path, Problem
from edgesim.scenario.topology.topology import Layout
from edgesim.world.faults import Faults

__all__ = ["fault_problems", "faults"]


def faults(
    scenario: Scenario,
    layout: Layout,
    away: Mapping[str, Outages] = MappingProxyType({}),
    *,
    replication: int,
) -> Faults | None:
    """Return the outages of devices and links in a replication; None if nothing can fail.

    Devices and links fail independently, and at the same instants under every strategy.

    Parameters
    ----------
    away
        Absences of devices: see :func:`edgesim.scenario.radio.presence.absences`.
    """
    if not scenario.faults and not away:
        return None
    devices: dict[str, list[Outages]] = {id_: [windows] for id_, windows in away.items()}
    links: dict[str, list[Outages]] = {}
    for number, entry in enumerate(scenario.faults):
        found, names = (devices, _devices(entry, layout)) if entry.device else (links, _links(entry, layout))
        for name in names:
            key = key_of(scenario.seed, replication, name, "outages", number)
            found.setdefault(name, []).append(entry.outages(key))
    return Faults(devices=_joined(devices), links=_joined(links), absences=away)


def fault_problems(scenario: Scenario, layout: Layout) -> Iterator[Problem]:
    """Yield a problem for every device or link name that does not exist."""
    for index, entry in enumerate(scenario.faults):
        path: Path = ("faults", index)
        for end, name in enumerate(entry.link or ()):
            if not layout.members(name):
                yield Problem((*path, "link", end), layout.unknown(name))
        if entry.device is not None and not layout.members(entry.device):
            yield Problem((*path, "device"), layout.unknown(entry.device))
        elif entry.link is not None and all(map(layout.members, entry.link)) and not _links(entry, layout):
            yield Problem(
                (*path, "link"),
                f"no link between '{entry.link[0]}' and '{entry.link[1]}'; name the two ends of a link",
            )


def _devices(entry: FaultEntry, layout: Layout) -> tuple[str, ...]:
    assert entry.device is not None
    return layout.members(entry.device)


def _links(entry: FaultEntry, layout: Layout) -> list[str]:
    """Return the names of the links between two groups, as used in traces."""
    assert entry.link is not None
    one, other = (set(layout.members(name)) for name in entry.link)
    ends = [link.between for link in layout.links] + [(air.terminal, air.station) for air in layout.air]
    return [
        "--".join(sorted((a, b))) for a, b in ends if (a in one and b in other) or (b in one and a in other)
    ]


def _joined(outages: Mapping[str, list[Outages]]) -> dict[str, Outages]:
    return {name: each[0] if len(each) == 1 else AnyOutages(each) for name, each in outages.items()}
