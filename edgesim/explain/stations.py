"""What bounds a strategy: the demands on its stations, the busiest of them, and the laws that follow."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from typing import Any, cast

import numpy as np
import numpy.typing as npt
import pandas as pd

from edgesim.errors import TraceError
from edgesim.trace.reader import Trace
from edgesim.trace.schema import FIFO, HOPS, LinkKind, SpanKind

__all__ = ["Bounds", "StationLoad", "bounds"]

FloatArray = npt.NDArray[np.float64]

_COLUMNS = ["request_id", "kind", "device", "peer", "link_kind", "via", "started_at_s", "ended_at_s"]


@dataclass(frozen=True, slots=True)
class StationLoad:
    """A device's processor, its messaging, or one way of a link.

    Attributes
    ----------
    name
        The device, or ``sender>receiver``.
    work
        ``compute``, ``messages``, or the kind of the link.
    demand_s
        Time for which an answered request occupies it, on average over all that are answered: visits times
        service.
    utilisation
        Share of the run's time for which it was occupied.
    shares
        Whether it serves several at once (a batch, an equal share, a radio band): the demand is then its busy
        time over the requests answered, and more requests at once may cost each of them less.
    """

    name: str
    work: str
    demand_s: float
    utilisation: float
    shares: bool

    @property
    def most_per_s(self) -> float:
        """Most requests per second that it can carry at this demand."""
        return 1.0 / self.demand_s if self.demand_s > 0.0 else float("inf")


@dataclass(frozen=True, slots=True)
class Bounds:
    """Asymptotic bounds of a strategy as it placed the model (Denning and Buzen 1978, operational analysis).

    Attributes
    ----------
    stations
        All that were used, the largest demand first.
    answered_per_s
        Requests answered per second of the run.
    offered_per_s
        Requests that arrived per second of it.
    mean_s
        Mean time to the last token of those answered.
    """

    stations: tuple[StationLoad, ...]
    answered_per_s: float
    offered_per_s: float
    mean_s: float

    @property
    def bottleneck(self) -> StationLoad | None:
        """The station that would be full first."""
        return self.stations[0] if self.stations else None

    @property
    def most_per_s(self) -> float | None:
        """Bottleneck law: X <= 1 / D_max; None where nothing was used, or it does not hold.

        It does not where the bottleneck serves several at once: a larger batch costs each of them less than
        the busy time that was measured per request.
        """
        found = self.bottleneck
        return None if found is None or found.shares else found.most_per_s


def bounds(trace: Trace, strategy: str, replications: Iterable[int]) -> Bounds:
    """Read the demands of a strategy from its spans, over some replications together.

    A link's hop occupies it for its time less the link's latency. Of a radio link that is the time for which
    anything was sent over it; that a cell's links share one band is not in the trace.

    Raises
    ------
    TraceError
        If a run has kept no spans, or none answered a request.
    """
    links = cast("dict[str, dict[str, Any]]", trace.run.get("links") or {})
    names: dict[tuple[str, str], int] = {}
    shares: dict[tuple[str, str], bool] = {}
    busy_s, owned_s = np.zeros(0), np.zeros(0)
    length_s = waited_s = 0.0
    n_answered = n_offered = 0
    for replication in replications:
        if not trace.has_spans(strategy, replication):
            raise TraceError(
                f"{trace.path}: no spans of {strategy}, replication {replication}; expected those that say "
                "what was busy: run the scenario again, keeping spans"
            )
        requests, devices = trace.requests(strategy, replication), trace.devices(strategy, replication)
        answered = requests[(requests["outcome"] == "completed").to_numpy()]
        n_answered, n_offered = n_answered + len(answered), n_offered + len(requests)
        waited_s += float((answered["ended_at_s"] - answered["arrived_at_s"]).sum())
        length_s += float(devices["duration_s"].max())
        ids = np.sort(answered["request_id"].to_numpy(np.int64))
        one_by_one = set(devices.loc[(devices["serving"] == FIFO).to_numpy(), "device"].astype(str))
        on_compute = set(devices.loc[devices["messages_on_compute"].to_numpy(np.bool_), "device"].astype(str))
        for spans in trace.span_parts(strategy, replication, _COLUMNS):
            place, took_s, owner = _occupied(spans, links, on_compute, names)
            busy_s, owned_s = (np.pad(each, (0, len(names) - len(each))) for each in (busy_s, owned_s))
            busy_s += np.bincount(place, took_s, len(names))
            is_owned = np.isin(owner, ids)
            owned_s += np.bincount(place[is_owned], took_s[is_owned], len(names))
        for name, work in names:
            is_device = work in ("compute", "messages")
            alone = name in one_by_one if is_device else work != LinkKind.RADIO
            shares[name, work] = not alone
        for name, measured_s in zip(devices["device"].astype(str), devices["busy_s"], strict=True):
            if (name, "compute") in names and name not in one_by_one:
                # Spans overlap there; what is measured is the union of all.
                place_of = names[name, "compute"]
                share = owned_s[place_of] / busy_s[place_of] if busy_s[place_of] else 1.0
                busy_s[place_of], owned_s[place_of] = float(measured_s), float(measured_s) * share
    if not n_answered:
        raise TraceError(
            f"{trace.path}: {strategy} has answered no request; expected one at least, to say what bounds it"
        )
    stations = [
        StationLoad(
            name,
            work,
            float(owned_s[place]) / n_answered,
            float(busy_s[place]) / length_s,
            shares[name, work],
        )
        for (name, work), place in names.items()
    ]
    stations.sort(key=lambda station: -station.demand_s)
    return Bounds(tuple(stations), n_answered / length_s, n_offered / length_s, waited_s / n_answered)


def _occupied(
    spans: pd.DataFrame,
    links: dict[str, dict[str, Any]],
    on_compute: set[str],
    names: dict[tuple[str, str], int],
) -> tuple[npt.NDArray[np.int64], FloatArray, npt.NDArray[np.int64]]:
    """Which station each span occupied, how long, and for which request (-1: none); new ones are added."""
    wanted = [*HOPS, SpanKind.COMPUTE, SpanKind.ENDPOINT]
    is_wanted = spans["kind"].isin(wanted).to_numpy() & spans["ended_at_s"].notna().to_numpy()
    spans = spans[is_wanted]
    columns, categories = [], []
    for name in ("kind", "device", "peer", "link_kind", "via"):
        column = spans[name].astype("category").cat
        columns.append(column.codes.to_numpy(np.int64))
        categories.append([*map(str, column.categories), None])  # code -1 is none
    codes = np.zeros(len(spans), dtype=np.int64)
    for numbers, names_of in zip(columns, categories, strict=True):
        codes = codes * len(names_of) + numbers + 1
    # The ends of a link say which way it is; its name finds its latency.
    unique, firsts, inverse = np.unique(codes, return_index=True, return_inverse=True)
    place, latency_s = np.zeros(len(unique), dtype=np.int64), np.zeros(len(unique))
    for number, row in enumerate(firsts.tolist()):
        kind, device, peer, link_kind, via = (
            names_of[int(numbers[row])] for numbers, names_of in zip(columns, categories, strict=True)
        )
        assert device is not None
        if kind in HOPS:
            key = (f"{device}>{peer}", str(link_kind or LinkKind.WIRED))
            latency_s[number] = _latency_s(links.get(str(via)), device)
        else:
            is_message = kind == SpanKind.ENDPOINT and device not in on_compute
            key = (device, "messages" if is_message else "compute")
        place[number] = names.setdefault(key, len(names))
    started, ended = (spans[name].to_numpy(np.float64) for name in ("started_at_s", "ended_at_s"))
    took_s = np.maximum(ended - started - latency_s[inverse], 0.0)
    return place[inverse], took_s, spans["request_id"].to_numpy(np.float64, na_value=-1.0).astype(np.int64)


def _latency_s(link: dict[str, Any] | None, sender: str) -> float:
    """Latency of a link in the direction of a sender; 0 of a link that run.json does not know."""
    if link is None:
        return 0.0
    down = link.get("down")
    way = down if down is not None and down.get("sender") == sender else link
    return float(way.get("latency_s") or 0.0)
