"""Network graph: cheapest routes, message times, and the links' entries in a trace."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from itertools import pairwise

from edgesim.errors import PlacementError
from edgesim.radio.motion.recorded import RecordedRate
from edgesim.trace.schema import LinkKind
from edgesim.units import bits
from edgesim.world.cheapest_paths import CheapestPaths
from edgesim.world.device import Device
from edgesim.world.link import Link, Way

__all__ = ["Network", "kind_of", "link_facts", "via_of"]


class Network:
    """Graph of the topology and its cheapest routes; immutable, shared by planning and simulation.

    A route is the path of least expected latency for a message of the reference size. With store and forward,
    each hop costs its transmission time and its latency in the direction of travel (the reverse route may
    differ), on a slotted radio link also the mean wait for the first slot. Ties go to fewer hops, then to
    links listed earlier in the scenario. Intermediate devices must forward; a pair with a dedicated path uses
    it, and no other route does.

    Parameters
    ----------
    reference_bytes
        Message size for which routes are cheapest: one token's activation.
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
                # Of parallel links, the one cheapest for the reference message carries all traffic.
                cost_s = _seconds(link, reference_bytes, sender=ends[0])
                if ends not in costs or cost_s < costs[ends][0]:
                    costs[ends], self._links[ends] = (cost_s, place), link
        self._links.update(own)
        self._own = {ends: list(ends) for ends in own}
        self._edges = [(*ends, *cost) for ends, cost in costs.items()]
        forwarding = {id_ for id_, device in devices.items() if device.forwards}
        self._paths = CheapestPaths(devices, self._edges, forwarding)

    def path(self, source: str, target: str) -> list[str]:
        """Return the devices on the route, including both ends.

        Raises
        ------
        PlacementError
            If there is no route between them.
        """
        found = self._own.get((source, target)) or self._paths.path(source, target)
        if found is None:
            raise PlacementError(
                f"topology: no path leads from {source!r} to {target!r}; {self._remedy(source, target)}"
            )
        return found

    def _remedy(self, source: str, target: str) -> str:
        """Return advice for a pair without a route."""
        around = CheapestPaths(self.devices, self._edges).path(source, target) or []
        shut = next((id_ for id_ in around[1:-1] if not self.devices[id_].forwards), None)
        if shut is None:
            return "link them, directly or over others"
        return (
            f"the path over {shut!r} is not used, because devices do not forward messages of others by "
            f"default: set 'forwards: true' for {shut!r}, link the two, or add an entry of 'topology.paths'"
        )

    def link(self, source: str, target: str) -> Link:
        """Return the link that carries messages from one neighbour to another."""
        return self._links[source, target]

    def seconds(self, source: str, target: str, size_bytes: float) -> float:
        """End-to-end time of one message on an idle network, including endpoints [s]."""
        if source == target:
            return 0.0
        path = self.path(source, target)
        ends_s = sum(self.devices[end].endpoint.passing_s(size_bytes) for end in (source, target))
        return ends_s + sum(_seconds(self.link(a, b), size_bytes, sender=a) for a, b in pairwise(path))

    def has_link(self, source: str, target: str) -> bool:
        """Whether two devices are neighbours."""
        return (source, target) in self._links

    def hop_seconds(self, source: str, target: str, size_bytes: float) -> float:
        """Time of one message over the idle link between two neighbours, including endpoints [s]."""
        ends_s = sum(self.devices[end].endpoint.passing_s(size_bytes) for end in (source, target))
        return ends_s + _seconds(self.link(source, target), size_bytes, sender=source)

    def busiest_seconds(self, source: str, target: str, size_bytes: float) -> float:
        """Longest occupancy of any link on the route by a message, without propagation and waiting [s]."""
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
    """Time of a message on an idle link [s]."""
    n_bits, wait_s = bits(size_bytes), link.access_s
    if link.radio is not None and link.radio.first_slot is not None:
        first = link.radio.first_slot
        wait_s = first.up_s if sender == link.radio.terminal else first.down_s
        n_bits = max(0.0, n_bits - first.n_bits)
    return wait_s + n_bits / _mean_bps(link, sender=sender) + link.way(sender).latency_s


def via_of(link: Link) -> str:
    """Return a link's name in the trace: its two ends, in alphabetical order."""
    return "--".join(sorted(link.between))


def kind_of(link: Link) -> LinkKind:
    """Return a link's kind in the trace: radio, recorded or wired."""
    if link.radio is not None:
        return LinkKind.RADIO
    return LinkKind.RECORDED if isinstance(link.rate_bps, RecordedRate) else LinkKind.WIRED


def link_facts(links: Iterable[Link]) -> dict[str, dict[str, object]]:
    """Return the links' entries in a trace's ``run.json``, by name; both directions if they differ."""
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
