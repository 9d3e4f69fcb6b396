"""Positions, tracks and cells of a run, recorded in its trace for drawing maps."""

from __future__ import annotations

from collections.abc import Iterable

from edgesim.radio.motion.mobility import Track
from edgesim.scenario.radio.reach import reach_m
from edgesim.scenario.topology.topology import Node
from edgesim.world.world import World

__all__ = ["positions_and_cells"]

_N_INSTANTS = 61  # sampled instants of a track, from time zero to the end of the run
_MOST_TRACKS = 200  # more lines on a map are not readable
_ALL_S = 600.0  # length of the tracks if the end of the run is unknown


def positions_and_cells(nodes: Iterable[Node], world: World) -> dict[str, object]:
    """Return positions, tracks and cells for ``run.json``; empty parts are left out.

    ``places_m``
        Coordinates [m] at time zero by device and switch, if known.
    ``tracks``
        Instants [s] and coordinates [m] of the moving ends of radio links, in the first replication.
    ``cells``
        Per cell, the station's id, and the bandwidth and range
        (:func:`~edgesim.scenario.radio.reach.reach_m`) of its first link.
    """
    places_m = {node.id: list(node.place_m) for node in nodes if node.place_m is not None}
    tracks: dict[str, object] = {}
    cells: dict[str, object] = {}
    for link in world.links:
        channel = link.radio
        if channel is None:
            continue
        large = channel.link.large_scale
        for id_, track in ((channel.terminal, large.terminal), (channel.station, large.station)):
            places_m.setdefault(id_, list(track.position(0.0)))
            if track.moves and id_ not in tracks and len(tracks) < _MOST_TRACKS:
                tracks[id_] = _sampled(track, world.limit_s or _ALL_S)
        if channel.medium not in cells:
            cells[channel.medium] = {
                "station": channel.station,
                "bandwidth_hz": channel.link.bandwidth_hz(uplink=False),
                "reach_m": reach_m(channel.link),
            }
    return {
        name: facts for name, facts in (("places_m", places_m), ("tracks", tracks), ("cells", cells)) if facts
    }


def _sampled(track: Track, until_s: float) -> list[list[float]]:
    """Sample a track at evenly spaced instants; turns between two samples are lost."""
    instants_s = [until_s * step / (_N_INSTANTS - 1) for step in range(_N_INSTANTS)]
    return [[at_s, *track.position(at_s)] for at_s in instants_s]
