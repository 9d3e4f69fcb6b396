"""Summary of a run's spans for the page, computed in one pass over the parts of the table."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import numpy.typing as npt
import pandas as pd

from edgesim.report.page.time_averages import mean_under_way, merged
from edgesim.trace.reader import Trace

__all__ = ["GANTT_COLUMNS", "SpanSummary", "summarise_spans"]

FloatArray = npt.NDArray[np.float64]
IntArray = npt.NDArray[np.int64]

_NOT_COMPUTING = ["straggler_s", "air_s", "wire_s", "handling_s"]
GANTT_COLUMNS = [
    "request_id",
    "token",
    "kind",
    "device",
    "peer",
    "link_kind",
    "asked_at_s",
    "started_at_s",
    "ended_at_s",
]
_COLUMNS = [*GANTT_COLUMNS, "size_bytes", *_NOT_COMPUTING]
_HOPS = ("send", "control")


@dataclass(frozen=True, slots=True)
class SpanSummary:
    """Summary of the spans of one run.

    Attributes
    ----------
    edges_s
        Edges of the stretches of time, [n_stretches + 1].
    tokens_per_s
        Tokens delivered per second in each stretch, [n_stretches].
    busy
        By device that computed, the share of each stretch in which it computed, [n_stretches].
    hops
        By sender and receiver, the mean number of hops under way, and the bytes carried.
    sampled
        Spans of the sampled requests, with :data:`GANTT_COLUMNS`, in the order in which they were booked.
    """

    edges_s: FloatArray
    tokens_per_s: FloatArray
    busy: dict[str, FloatArray]
    hops: dict[tuple[str, str], tuple[float, int]]
    sampled: pd.DataFrame


def summarise_spans(
    trace: Trace, strategy: str, replication: int, edges_s: FloatArray, until_s: float, sample: IntArray
) -> SpanSummary:
    """Summarise the spans of one run, reading them once, part by part.

    A device computes while any pass is under way on it; of a group's pass, only the time in which this member
    computed counts. Spans under way at the end of the run, at `until_s`, last until then. Memory grows by 20
    bytes per pass.
    """
    devices = _Names()
    n_tokens = np.zeros(len(edges_s) - 1)
    plain: list[tuple[IntArray, FloatArray, FloatArray]] = []
    shared: list[tuple[IntArray, FloatArray, FloatArray, FloatArray]] = []
    hops: dict[tuple[str, str], tuple[float, int]] = {}
    sampled: list[pd.DataFrame] = []
    wanted = np.sort(sample)
    for part in trace.span_parts(strategy, replication, _COLUMNS):
        kind = part["kind"].astype("category")
        codes, names = kind.cat.codes.to_numpy(), list(map(str, kind.cat.categories))
        ended = part["ended_at_s"].to_numpy(np.float64, na_value=np.nan)
        started = part["started_at_s"].to_numpy(np.float64, na_value=np.nan)
        begun = ~np.isnan(started)
        ended = np.where(np.isnan(ended), np.fmax(until_s, started), ended)
        n_tokens += np.histogram(ended[begun & _is(codes, names, "emit")], edges_s)[0]
        _add_passes(part, begun & _is(codes, names, "compute"), started, ended, devices, plain, shared)
        on_way = begun & (_is(codes, names, _HOPS[0]) | _is(codes, names, _HOPS[1]))
        _add_hops(part, on_way, ended - started, hops)
        if len(wanted):
            owner = part["request_id"].to_numpy(np.float64, na_value=-1.0).astype(np.int64)
            slot = np.minimum(np.searchsorted(wanted, owner), len(wanted) - 1)
            own = part.loc[wanted[slot] == owner, GANTT_COLUMNS]
            if len(own):
                sampled.append(own.astype(dict.fromkeys(("kind", "device", "peer", "link_kind"), object)))
    length_s = max(until_s, 1e-9)
    return SpanSummary(
        edges_s=edges_s,
        tokens_per_s=n_tokens / np.diff(edges_s),
        busy=_busy(devices.names, plain, shared, edges_s),
        hops={ends: (in_use_s / length_s, n_bytes) for ends, (in_use_s, n_bytes) in hops.items()},
        sampled=pd.concat(sampled, ignore_index=True) if sampled else pd.DataFrame(columns=GANTT_COLUMNS),
    )


class _Names:
    """Numbers for names, in order of appearance."""

    def __init__(self) -> None:
        self.names: list[str] = []
        self._numbers: dict[str, int] = {}

    def numbers(self, column: pd.Series) -> IntArray:
        categories = column.astype("category").cat
        mapping = [self._number(str(name)) for name in categories.categories]
        return np.array([*mapping, -1], dtype=np.int64)[categories.codes.to_numpy()]

    def _number(self, name: str) -> int:
        if name not in self._numbers:
            self._numbers[name] = len(self.names)
            self.names.append(name)
        return self._numbers[name]


def _is(codes: npt.NDArray[np.integer], names: list[str], name: str) -> npt.NDArray[np.bool_]:
    found: npt.NDArray[np.bool_] = codes == (names.index(name) if name in names else len(names))
    return found


def _add_passes(
    part: pd.DataFrame,
    chosen: npt.NDArray[np.bool_],
    started: FloatArray,
    ended: FloatArray,
    devices: _Names,
    plain: list[tuple[IntArray, FloatArray, FloatArray]],
    shared: list[tuple[IntArray, FloatArray, FloatArray, FloatArray]],
) -> None:
    owner = devices.numbers(part["device"])
    other_s = np.zeros(len(part))
    for name in _NOT_COMPUTING:
        other_s += part[name].to_numpy(np.float64, na_value=0.0)
    in_group = chosen & (other_s > 0.0)
    alone = chosen & ~in_group
    plain.append(merged(owner[alone], started[alone], ended[alone]))
    if in_group.any():
        length_s = np.maximum(ended[in_group] - started[in_group], 1e-300)
        weight = np.clip(1.0 - other_s[in_group] / length_s, 0.0, 1.0)
        shared.append((owner[in_group], started[in_group], ended[in_group], weight))


def _add_hops(
    part: pd.DataFrame,
    chosen: npt.NDArray[np.bool_],
    length_s: FloatArray,
    hops: dict[tuple[str, str], tuple[float, int]],
) -> None:
    if not chosen.any():
        return
    senders, receivers = (part.loc[chosen, name].astype("category").cat for name in ("device", "peer"))
    n_receivers = len(receivers.categories) + 1
    ends = senders.codes.to_numpy(np.int64) * n_receivers + receivers.codes.to_numpy(np.int64) + 1
    found, index = np.unique(ends, return_inverse=True)
    in_use_s = np.bincount(index, length_s[chosen])
    n_bytes = np.bincount(index, part.loc[chosen, "size_bytes"].to_numpy(np.float64, na_value=0.0))
    for at, end in enumerate(found):
        sender, receiver = divmod(int(end), n_receivers)
        if receiver == 0:
            continue
        key = (str(senders.categories[sender]), str(receivers.categories[receiver - 1]))
        before_s, before = hops.get(key, (0.0, 0))
        hops[key] = (before_s + float(in_use_s[at]), before + int(n_bytes[at]))


def _busy(
    names: list[str],
    plain: list[tuple[IntArray, FloatArray, FloatArray]],
    shared: list[tuple[IntArray, FloatArray, FloatArray, FloatArray]],
    edges_s: FloatArray,
) -> dict[str, FloatArray]:
    owners, starts_s, ends_s = (
        (np.concatenate(parts) for parts in zip(*plain, strict=True))
        if plain
        else (np.empty(0, np.int64), np.empty(0), np.empty(0))
    )
    owners, starts_s, ends_s = merged(owners, starts_s, ends_s)
    ranges = np.searchsorted(owners, np.arange(len(names) + 1))
    group = [np.concatenate(parts) for parts in zip(*shared, strict=True)] if shared else None
    found = {}
    for number, name in enumerate(names):
        own = slice(ranges[number], ranges[number + 1])
        share = mean_under_way(starts_s[own], ends_s[own], edges_s)
        if group is not None:
            of = group[0] == number
            share = share + mean_under_way(group[1][of], group[2][of], edges_s, group[3][of])
        if share.any():
            found[name] = np.minimum(share, 1.0)
    return found
