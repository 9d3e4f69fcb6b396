"""The laws that any trace must obey, whoever wrote it and whatever strategy ran.

Each check returns its violations as sentences; none found is an empty list.
"""

from __future__ import annotations

import math
from collections.abc import Iterator, Mapping
from typing import TYPE_CHECKING, cast

import numpy as np
import numpy.typing as npt
import pandas as pd

from edgesim.trace.schema import Outcome

if TYPE_CHECKING:
    from edgesim.trace.reader import Trace

__all__ = ["violations"]

# Instants are sums of a few thousand floating-point terms: a relative 1e-9 is far above their rounding
# and far below any time that a model, a link or a person could tell apart.
_RELATIVE = 1e-9

_ASKED = ["request_id", "source", "sample", "n_prompt_tokens", "n_output_tokens"]


def violations(trace: Trace) -> list[str]:
    """Check every strategy and replication of a trace against every law.

    The laws: outcomes are told apart (completed requests have all their tokens, censored ones no end);
    causality (arrived <= asked <= started <= ended); exclusivity (one compute pass at a time per
    device, one message at a time per link and direction); conservation of tokens (as many emissions as
    the request tells, in order) and of energy (spans against requests and devices); and the same
    requests under every strategy. Where users wait for answers before they ask again (run.json says so),
    arrivals depend on the strategy, and how many requests a horizon lets through does, too; the last law
    then holds of the requests that two strategies share, and of all but their instants.
    """
    found: list[str] = []
    first: dict[int, pd.DataFrame] = {}
    workload = cast("Mapping[str, object]", trace.run.get("workload", {}))
    is_closed = workload.get("arrivals_depend_on_strategy", False)
    horizon_s = cast("float", trace.run.get("horizon_s") or math.inf)
    latencies_s = _latencies(cast("Mapping[str, Mapping[str, object]]", trace.run.get("links", {})))
    for strategy in trace.strategies:
        for replication in trace.replications(strategy):
            where = f"{strategy}, replication {replication}: "
            requests = trace.requests(strategy, replication).sort_values("request_id", ignore_index=True)
            devices = trace.devices(strategy, replication)
            spans = trace.spans(strategy, replication)
            if requests["request_id"].duplicated().any():
                found.append(f"{where}a request is told twice")
                continue  # the other laws speak of requests by their number
            # How long the arrivals after the horizon go on depends on the strategy.
            counted = requests[requests["arrived_at_s"] < horizon_s].reset_index(drop=True)
            asked = counted[_ASKED if is_closed else [*_ASKED, "arrived_at_s"]]
            if replication not in first:
                first[replication] = asked
            elif not (_agree if is_closed else _same)(first[replication], asked):
                found.append(f"{where}its requests are not those of {trace.strategies[0]}")
            laws = (
                _outcomes(requests),
                _causality(requests, spans),
                _exclusivity(spans, latencies_s, devices),
            )
            found += [where + law for checked in laws for law in checked]
            if not len(spans) and requests["energy_j"].notna().any() and requests["n_emitted_tokens"].any():
                found.append(f"{where}its spans are missing")
            if len(spans):
                found += [where + law for law in _tokens(requests, spans)]
                found += [where + law for law in _energy(requests, spans, devices)]
            over = devices[devices["peak_memory_bytes"] > devices["memory_bytes"]]
            found += [f"{where}{d} held more than its memory" for d in over["device"]]
    return found


def _agree(a: pd.DataFrame, b: pd.DataFrame) -> bool:
    """Whether the requests that are in both are the same."""
    both = a.merge(b, on="request_id", suffixes=("", "_b"))
    return all((both[c].to_numpy() == both[f"{c}_b"].to_numpy()).all() for c in _ASKED[1:])


def _same(a: pd.DataFrame, b: pd.DataFrame) -> bool:
    return len(a) == len(b) and all((a[c].to_numpy() == b[c].to_numpy()).all() for c in a.columns)


def _outcomes(requests: pd.DataFrame) -> Iterator[str]:
    completed = requests["outcome"] == Outcome.COMPLETED
    censored = requests["outcome"] == Outcome.CENSORED
    failed = requests["outcome"] == Outcome.FAILED
    if not (completed | censored | failed).all():
        yield "an outcome is neither completed, failed nor censored"
    if (requests["n_emitted_tokens"] != requests["n_output_tokens"])[completed].any():
        yield "a completed request lacks tokens"
    if requests["ended_at_s"].isna()[completed | failed].any():
        yield "a request that ended has no end"
    if requests["ended_at_s"].notna()[censored].any():
        yield "a censored request has an end"
    if requests["reason"].isna()[failed].any():
        yield "a failed request gives no reason"
    if (requests["first_token_at_s"].isna() != (requests["n_emitted_tokens"] == 0)).any():
        yield "a first token's instant and the number of tokens disagree"


def _causality(requests: pd.DataFrame, spans: pd.DataFrame) -> Iterator[str]:
    if (requests["first_token_at_s"] < requests["arrived_at_s"]).any():
        yield "a token came before its request"
    if (requests["ended_at_s"] < requests["first_token_at_s"]).any():
        yield "a request ended before its first token"
    # Comparisons with null are false, so what lies beyond the end of the run passes.
    if (spans["started_at_s"] < spans["asked_at_s"]).any():
        yield "a span started before it was asked for"
    if (spans["ended_at_s"] < spans["started_at_s"]).any():
        yield "a span ended before it started"
    owned = spans[spans["request_id"].notna()]
    arrived_at_s = requests.set_index("request_id")["arrived_at_s"].reindex(owned["request_id"])
    if (owned["asked_at_s"].to_numpy() < arrived_at_s.to_numpy()).any():
        yield "a span was asked for before its request arrived"


def _latencies(links: Mapping[str, Mapping[str, object]]) -> dict[tuple[str, str | None], float]:
    """Latency of each link [s], and of the way down by its sender, where it has one of its own."""
    latencies_s: dict[tuple[str, str | None], float] = {}
    for via, facts in links.items():
        if facts.get("is_shared", False):  # messages on the air go on side by side
            continue
        latencies_s[via, None] = float(cast("float", facts["latency_s"]))
        down = cast("Mapping[str, object] | None", facts.get("down"))
        if down is not None:
            latencies_s[via, str(down["sender"])] = float(cast("float", down["latency_s"]))
    return latencies_s


def _exclusivity(
    spans: pd.DataFrame, latencies_s: Mapping[tuple[str, str | None], float], devices: pd.DataFrame
) -> Iterator[str]:
    serving = devices.set_index("device")["serving"].astype(str).to_dict()
    passes = spans[(spans["kind"] == "compute") & spans["started_at_s"].notna()]
    for device, work in passes.groupby("device", observed=True):
        if serving[device] == "processor-sharing":
            continue
        if serving[device] != "fifo":  # the passes of one batch have one beginning and one end
            work = work.drop_duplicates(["started_at_s", "ended_at_s"])
        if _overlap(work["started_at_s"].to_numpy(), work["ended_at_s"].to_numpy()):
            yield f"two compute passes overlap on {device}"
    hops = spans[(spans["kind"] == "send") & spans["started_at_s"].notna()]
    for key, sent in hops.groupby(["device", "peer", "via"], observed=True):
        device, peer, via = cast("tuple[str, str, str]", key)
        latency_s = latencies_s.get((via, device), latencies_s.get((via, None)))
        if latency_s is not None:
            ended_at_s = sent["ended_at_s"].to_numpy() - latency_s
            if _overlap(sent["started_at_s"].to_numpy(), ended_at_s):
                yield f"two messages overlap from {device} to {peer}"


def _overlap(started_at_s: np.ndarray, ended_at_s: np.ndarray) -> bool:
    order = np.lexsort((ended_at_s, started_at_s))
    slack_s = _RELATIVE * np.nanmax(np.abs(started_at_s), initial=0.0)
    return bool((started_at_s[order][1:] < ended_at_s[order][:-1] - slack_s).any())


def _tokens(requests: pd.DataFrame, spans: pd.DataFrame) -> Iterator[str]:
    told = spans[(spans["kind"] == "emit") & spans["ended_at_s"].notna()]
    n_told = told.groupby("request_id").size().reindex(requests["request_id"], fill_value=0)
    if (n_told.to_numpy() != requests["n_emitted_tokens"].to_numpy()).any():
        yield "the emissions of a request are not as many as it tells"
    first_at_s = told.groupby("request_id")["ended_at_s"].min().reindex(requests["request_id"])
    if (first_at_s.to_numpy() != requests["first_token_at_s"].to_numpy())[n_told.to_numpy() > 0].any():
        yield "a first token's instant is not its emission's"
    in_order = told.sort_values(["request_id", "token"], kind="stable")
    same = in_order["request_id"].to_numpy()[1:] == in_order["request_id"].to_numpy()[:-1]
    if (np.diff(in_order["ended_at_s"].to_numpy())[same] < 0).any():
        yield "a token was delivered before the one ahead of it"


def _energy(requests: pd.DataFrame, spans: pd.DataFrame, devices: pd.DataFrame) -> Iterator[str]:
    columns = ["energy_compute_j", "energy_tx_j", "energy_rx_j"]
    active_j, spans_j = float(devices[columns].to_numpy().sum()), float(spans["energy_j"].sum())
    if not _close(active_j, spans_j):
        yield f"the devices' active energy is {active_j} J, the spans' {spans_j} J"
    computed_j = (
        spans[spans["kind"].isin(["compute", "endpoint"])].groupby("device", observed=True)["energy_j"].sum()
    )
    told_j = devices.set_index("device")["energy_compute_j"]
    for device in told_j.index[~_close(told_j, computed_j.reindex(told_j.index, fill_value=0.0))]:
        yield f"the energy of computing on {device} is not that of its spans"
    owned_j = spans[spans["request_id"].notna()].groupby("request_id")["energy_j"].sum()
    owned_j = owned_j.reindex(requests["request_id"], fill_value=0.0)
    if not _close(requests["energy_j"].to_numpy(), owned_j.to_numpy()).all():
        yield "the requests' energy is not that of their spans"


def _close(a: npt.ArrayLike, b: npt.ArrayLike) -> npt.NDArray[np.bool_]:
    # Sums of millions of terms agree to 1e-9 if they are summed pairwise, as numpy and pandas do.
    return np.asarray(np.isclose(a, b, rtol=_RELATIVE, atol=1e-9))
