"""Remarks on valid scenarios: suspicious link rates, absent devices and requests that are left out."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from itertools import pairwise

from edgesim.radio.motion.outages import ScheduledOutages
from edgesim.radio.motion.recorded import RecordedRate
from edgesim.rng import Streams
from edgesim.scenario.radio.air import tracks
from edgesim.scenario.radio.presence import PresentDemand, absences
from edgesim.scenario.schema.scenario import Scenario
from edgesim.scenario.study import Study
from edgesim.scenario.topology.topology import Layout
from edgesim.workload.requests import Demand
from edgesim.world.link import Link, Way

__all__ = ["FASTEST_BPS", "SLOWEST_BPS", "remarks"]

SLOWEST_BPS = 1e3
"""Mean link rate below which a remark is made. LoRaWAN's slowest data rate is below it (0.25 kbit/s, LoRaWAN
Regional Parameters RP002), but no link that carries a model's hidden states, of kilobytes per token."""
FASTEST_BPS = 1e12
"""Mean link rate above which a remark is made; no Ethernet is faster than 800 Gbit/s (IEEE 802.3df-2024)."""

_MOST_CHANGES = 6  # most changes of the number present that one remark lists


def remarks(study: Study) -> tuple[str, ...]:
    """Return the remarks of `edgesim check` and `edgesim run` on a valid scenario."""
    scenario, layout, law = study.scenario, study.layout, study.workload
    where = tracks(layout, seed=scenario.seed, replication=0, folder=scenario.origin.folder)
    away = absences(where, scenario.horizon_s)
    return (*_of_rates(layout.links), *_of_presence(scenario, layout, away), *_of_requests(scenario, law))


def _of_rates(links: tuple[Link, ...]) -> Iterator[str]:
    """Yield remarks on implausible rates, as from a wrong unit; equal rates are grouped."""
    found: dict[str, list[str]] = {}
    taken: dict[str, list[str]] = {}
    for link in links:
        for sender, peer in (link.between, link.between[::-1])[: 1 if link.down is None else 2]:
            way = link.way(sender)
            mean_bps = _mean_bps(way)
            if not SLOWEST_BPS <= mean_bps <= FASTEST_BPS:
                what = "recorded with a mean of" if isinstance(way.rate_bps, RecordedRate) else "has"
                found.setdefault(f"{what} {mean_bps:.3g} bit/s", []).append(f"'{sender}' to '{peer}'")
            if isinstance(way.rate_bps, RecordedRate) and way.rate_bps.is_guessed:
                taken.setdefault(f"{mean_bps:.3g}", []).append(f"'{sender}' to '{peer}'")
    for mean, ways in taken.items():
        yield (
            f"the recording of the link from {_first_of(ways)} does not give the unit of its rates, "
            f"which were read as bit/s (not bytes), {mean} on average; write 'unit: Mbit/s' if that is wrong"
        )
    for what, ways in found.items():
        yield (
            f"the link from {_first_of(ways)} {what.replace('recorded', 'was recorded')}; links have "
            f"{SLOWEST_BPS / 1e3:g} kbit/s to {FASTEST_BPS / 1e12:g} Tbit/s; check its unit"
        )


def _first_of(ways: list[str]) -> str:
    return ways[0] + f" (and {len(ways) - 1} more)" * (len(ways) > 1)


def _mean_bps(way: Way) -> float:
    if isinstance(way.rate_bps, RecordedRate):
        return way.rate_bps.mean_bps
    return way.rate_bps(0.0) if callable(way.rate_bps) else way.rate_bps


def _of_presence(scenario: Scenario, layout: Layout, away: Mapping[str, ScheduledOutages]) -> Iterator[str]:
    """Yield a remark on the number of present devices over time, for every group in which it changes."""
    groups: dict[str, list[str]] = {}
    for id_ in away:
        groups.setdefault(layout.nodes[id_].group, []).append(id_)
    for group, ids in groups.items():
        n_devices = len(layout.members(group))
        changes = _changes([away[id_] for id_ in ids], n_devices, scenario.horizon_s)
        if changes != [(0.0, n_devices)]:
            yield (
                f"{group}: of {n_devices} device{'s' * (n_devices != 1)}, present by the recorded tracks: "
                f"{_course(changes)}; absent ones are down and generate no requests (mobility: {{track: "
                "{outside: parked}} keeps them)"
            )


def _changes(
    away: list[ScheduledOutages], n_devices: int, horizon_s: float | None
) -> list[tuple[float, int]]:
    """Return the number of present devices from each instant at which it changes, starting at time zero."""
    steps: dict[float, int] = {0.0: 0}
    for outages in away:
        for left_s, back_s in outages.windows_s:
            steps[left_s] = steps.get(left_s, 0) - 1
            steps[back_s] = steps.get(back_s, 0) + 1
    changes: list[tuple[float, int]] = []
    n_present = n_devices
    for at_s in sorted(steps):
        n_present += steps[at_s]
        is_within = horizon_s is None or at_s < horizon_s
        if is_within and at_s != float("inf") and (not changes or changes[-1][1] != n_present):
            changes.append((at_s, n_present))
    return changes


def _course(changes: list[tuple[float, int]]) -> str:
    if len(changes) <= _MOST_CHANGES:
        (_, first), *others = changes
        return ", ".join([f"{first} at 0 s", *(f"{n} from {at_s:g} s" for at_s, n in others)])
    most_at_s, most = max(changes, key=lambda change: change[1])
    spans_s = [later[0] - first[0] for first, later in pairwise(changes)]
    mean = sum(n * span_s for (_, n), span_s in zip(changes, spans_s, strict=False)) / sum(spans_s)
    return (
        f"{changes[0][1]} at 0 s, at most {most} (from {most_at_s:g} s), {mean:.3g} on average until "
        f"{changes[-1][0]:g} s, {changes[-1][1]} from then on"
    )


def _of_requests(scenario: Scenario, law: Demand) -> Iterator[str]:
    """Yield a remark on requests that are left out because their source is absent."""
    if isinstance(law, PresentDemand) and (n_left_out := law.n_not_asked(Streams(scenario.seed, 0))):
        yield (
            f"workload: {n_left_out} requests of replication 0 fall into an absence of their source and "
            "are left out"
        )
