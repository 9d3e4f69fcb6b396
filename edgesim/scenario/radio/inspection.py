"""Inspection of a scenario's radio links without a run."""

from __future__ import annotations

from dataclasses import dataclass

from edgesim.errors import ScenarioError
from edgesim.radio.access.wifi_mac import WifiMac
from edgesim.radio.motion.handover import ServingCell
from edgesim.radio.radio_link import RadioLink
from edgesim.scenario.radio.air import Air, tracks
from edgesim.scenario.schema.scenario import Scenario
from edgesim.scenario.topology.topology import lay_out
from edgesim.world.medium import Medium

__all__ = ["Inspected", "radio_links"]


@dataclass(frozen=True, slots=True)
class Inspected:
    """A radio link and its cell.

    Attributes
    ----------
    terminal, station
        Ids of its ends.
    mac
        Wi-Fi medium access of the link; defaults for other radios.
    propagation
        Name of its propagation model.
    neighbours
        Channels between the terminal and the other stations of the band, if cells interfere.
    serving
        Serving cell of the terminal over time, if it has links to several stations.
    """

    terminal: str
    station: str
    link: RadioLink
    medium: Medium
    mac: WifiMac
    propagation: str
    neighbours: tuple[RadioLink, ...] = ()
    serving: ServingCell | None = None


def radio_links(
    scenario: Scenario, *, replication: int, between: tuple[str, str] | None = None
) -> list[Inspected]:
    """Return every radio link of a replication, or those between two devices or groups.

    Raises
    ------
    ScenarioError
        If there is no radio link, or none between the two.
    """
    folder = scenario.origin.folder
    layout = lay_out(scenario.topology, seed=scenario.seed, folder=folder)
    if not layout.air:
        raise ScenarioError(
            f"{scenario.origin.name}: no radio links; add a link entry with 'radio: nr-n78' instead of "
            "'wired' (edgesim list radios)"
        )
    legs = layout.air
    if between is not None:
        groups = [set(layout.members(name)) for name in between]
        for name, members in zip(between, groups, strict=True):
            if not members:
                raise ScenarioError(f"--between: {layout.unknown(name)}")
        one, other = groups
        legs = tuple(
            leg
            for leg in layout.air
            if (leg.terminal in one and leg.station in other)
            or (leg.terminal in other and leg.station in one)
        )
        if not legs:
            shown = ", ".join(f"{leg.terminal} {leg.station}" for leg in layout.air[:4])
            raise ScenarioError(
                f"--between: no radio link between '{between[0]}' and '{between[1]}'; there are {shown}"
                + ", ..." * (len(layout.air) > 4)
            )
    where = tracks(layout, seed=scenario.seed, replication=replication, folder=folder)
    air = Air(layout, where, seed=scenario.seed, replication=replication)
    roaming = air.roaming()
    return [
        Inspected(
            leg.terminal,
            leg.station,
            air.link(leg),
            air.medium(leg),
            air.mac(leg),
            air.propagation(leg),
            air.neighbours(leg),
            roaming[leg.terminal].serving if leg.terminal in roaming else None,
        )
        for leg in legs
    ]
