"""The network as a graph, its cheapest routes, and what a trace says of its links."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from itertools import pairwise

from edgesim.errors import PlacementError
from edgesim.radio.motion.recorded import RecordedRate
from edgesim.trace.schema import LinkKind
from edgesim.units import bits
from edgesim.world.cheapest import CheapestPaths
from edgesim.world.device import Device
from edgesim.world.link import Link, Way

__all__ = ["Network", "kind_of", "link_facts", "via_of"]


class Network:
    """The topology's graph and its cheapest routes; a pure value, shared by planning and running.

    A route is the path of least expected latency for a message of the reference size: store and
    forward, so each hop costs its transmission time and its latency, those of the direction in which it
    is passed (the way back may be another); on a radio link with slots also the mean wait for the first of
    them. Ties go to fewer hops, and then to links that stand earlier in the scenario. Only devices that
    forward lie on the way; a pair with a path of its own takes that, and no route of others does.

    Parameters
    ----------
    reference_bytes
        Size of the message for which routes are cheapest: one token's activation.
    """

    def __init__(self, devices: Mapping[str, Device], links: Iterable[Link], reference_bytes: int) -> None:
        self.devices = devices
        self._links: dict[tuple[str, str], Link] = {}
        costs: dict[tuple[str, str], tuple[float, int]] = {}
        links = tuple(links)
        own = {ends: link for link in links if link.is_path for ends in (link.between, link.between[::-1])}
        for place, link in enumerate(links):
            if link.between in own:
                continue
            for ends in (link.between, link.between[::-1]):
                # Of parallel links the cheapest for the reference message carries the traffic.
                cost_s = _seconds(link, reference_bytes, sender=ends[0])
                if ends not in costs or cost_s < costs[ends][0]:
                    costs[ends], self._links[ends] = (cost_s, place), link
        self._links.update(own)
        self._own = {ends: list(ends) for ends in own}
        self._edges = [(*ends, *cost) for ends, cost in costs.items()]
        forwarding = {id_ for id_, device in devices.items() if device.forwards}
        self._paths = CheapestPaths(devices, self._edges, forwarding)

    def path(self, source: str, target: str) -> list[str]:
        """Devices on the route, both ends included.

        Raises
        ------
        PlacementError
            If no path leads from one to the other.
        """
        found = self._own.get((source, target)) or self._paths.path(source, target)
        if found is None:
            raise PlacementError(
                f"topology: no path leads from {source!r} to {target!r}; {self._way_out(source, target)}"
            )
        return found

    def _way_out(self, source: str, target: str) -> str:
        """What to do where no path leads."""
        around = CheapestPaths(self.devices, self._edges).path(source, target) or []
        shut = next((id_ for id_ in around[1:-1] if not self.devices[id_].forwards), None)
        if shut is None:
            return "link them, directly or over others"
        return (
            f"the way over {shut!r} is closed, for devices do not pass on messages between others unless "
            f"they say so: give {shut!r} 'forwards: true', link the two, or give them one of 'topology.paths'"
        )

    def link(self, source: str, target: str) -> Link:
        """The link that carries what one neighbour sends to another."""
        return self._links[source, target]

    def seconds(self, source: str, target: str, size_bytes: float) -> float:
        """Time that one message takes from end to end on an idle network, endpoints included."""
        if source == target:
            return 0.0
        path = self.path(source, target)
        ends_s = sum(self.devices[end].endpoint.passing_s(size_bytes) for end in (source, target))
        return ends_s + sum(_seconds(self.link(a, b), size_bytes, sender=a) for a, b in pairwise(path))

    def has_link(self, source: str, target: str) -> bool:
        """Whether two devices are neighbours."""
        return (source, target) in self._links

    def hop_seconds(self, source: str, target: str, size_bytes: float) -> float:
        """Time of one message over the link between two neighbours while it is idle, endpoints included."""
        ends_s = sum(self.devices[end].endpoint.passing_s(size_bytes) for end in (source, target))
        return ends_s + _seconds(self.link(source, target), size_bytes, sender=source)

    def busiest_seconds(self, source: str, target: str, size_bytes: float) -> float:
        """Longest time that so many bytes occupy any link on the way; propagation and waiting do not."""
        if source == target:
            return 0.0
        hops = pairwise(self.path(source, target))
        links = [(self.link(a, b), a) for a, b in hops]
        return max(bits(size_bytes) / _mean_bps(link, sender=a) + link.access_s for link, a in links)


def _mean_bps(link: Link, *, sender: str) -> float:
    rate_bps = link.way(sender).rate_bps
    if isinstance(rate_bps, RecordedRate):
        return rate_bps.mean_bps
    return rate_bps(0.0) if callable(rate_bps) else rate_bps


def _seconds(link: Link, size_bytes: float, *, sender: str) -> float:
    """Time of a message on an idle link."""
    n_bits, wait_s = bits(size_bytes), link.access_s
    if link.radio is not None and link.radio.first_slot is not None:
        first = link.radio.first_slot
        wait_s = first.up_s if sender == link.radio.terminal else first.down_s
        n_bits = max(0.0, n_bits - first.n_bits)
    return wait_s + n_bits / _mean_bps(link, sender=sender) + link.way(sender).latency_s


def via_of(link: Link) -> str:
    """A link's name in the trace: its two ends, in alphabetical order."""
    return "--".join(sorted(link.between))


def kind_of(link: Link) -> LinkKind:
    """Over what a link carries its messages, as the trace tells it."""
    if link.radio is not None:
        return LinkKind.RADIO
    return LinkKind.RECORDED if isinstance(link.rate_bps, RecordedRate) else LinkKind.WIRED


def link_facts(links: Iterable[Link]) -> dict[str, dict[str, object]]:
    """What a trace's ``run.json`` says of links, by name; of one whose ways differ, of the way down, too."""
    facts: dict[str, dict[str, object]] = {}
    for link in links:
        up, down = map(link.way, link.between)
        is_shared, kind = link.radio is not None, kind_of(link).value
        facts[via_of(link)] = {
            **_way_facts(up),
            "is_shared": is_shared,
            "kind": kind,
            "between": list(link.between),
        }
        if down != up:
            facts[via_of(link)]["down"] = {"sender": link.between[1], **_way_facts(down)}
    return facts


def _way_facts(way: Way) -> dict[str, object]:
    rate_bps = way.rate_bps if isinstance(way.rate_bps, int | float) else None
    return {"rate_bps": rate_bps, "latency_s": way.latency_s}
