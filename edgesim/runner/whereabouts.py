"""Where things are, and how far cells reach: what a trace says so that a map can be drawn from it alone."""

from __future__ import annotations

from collections.abc import Iterable

from edgesim.radio.motion.mobility import Track
from edgesim.scenario.radio.reach import reach_m
from edgesim.scenario.topology.topology import Node
from edgesim.world.world import World

__all__ = ["whereabouts"]

_N_INSTANTS = 61  # of a track, from time zero to the end of the run
_MOST_TRACKS = 200  # more lines on a map show nothing
_ALL_S = 600.0  # of a run whose end is not known


def whereabouts(nodes: Iterable[Node], world: World) -> dict[str, object]:
    """Return places, tracks and cells for ``run.json``; nothing of what there is none of.

    ``places_m``
        Coordinates [m] by device and switch at time zero, where they are known.
    ``tracks``
        Of the first replication's terminals that move: instants [s] and coordinates [m].
    ``cells``
        By name, the station's id, the width of the band and the reach
        (:func:`~edgesim.scenario.radio.reach.reach_m`), of the first link of each.
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
    """Instants and coordinates, evenly spaced; corners between two of them are cut."""
    instants_s = [until_s * step / (_N_INSTANTS - 1) for step in range(_N_INSTANTS)]
    return [[at_s, *track.position(at_s)] for at_s in instants_s]
