"""Comparison of the strategies of a trace, computed from the trace alone."""

from __future__ import annotations

from dataclasses import fields
from typing import Any, cast

from edgesim.errors import TraceError
from edgesim.report.notes import About
from edgesim.statistics.comparison import Comparison, compare
from edgesim.statistics.pairs import Pairs, RequestLatencies, pair
from edgesim.statistics.summary import Summary, summarise
from edgesim.trace.reader import Trace
from edgesim.world.objectives import Objectives

__all__ = ["about", "comparison", "summaries"]


def comparison(trace: Trace) -> Comparison:
    """Compare all strategies of a trace over its complete replications.

    Raises
    ------
    TraceError
        If no replication is complete.
    """
    pairs: list[Pairs] = []
    return compare(summaries(trace, pairs), pairs)


def summaries(trace: Trace, pairs: list[Pairs] | None = None) -> list[Summary]:
    """Summarise each strategy in each complete replication, sorted by strategy.

    Parameters
    ----------
    pairs
        List to which the pairing of each strategy's requests with those of the first strategy is appended,
        one entry per strategy and replication; None: no pairing.

    Raises
    ------
    TraceError
        If no replication is complete.
    """
    trace.sound()
    facts, horizon_s = about(trace), cast("float | None", trace.run["horizon_s"])
    users = cast("dict[str, Any]", trace.run["workload"]).get("n_users")
    found: dict[str, list[Summary]] = {strategy: [] for strategy in trace.strategies}
    # One replication at a time, so that no more than two runs' requests are in memory at once.
    for replication in sorted({r for strategy in trace.strategies for r in trace.replications(strategy)}):
        first: RequestLatencies | None = None
        for strategy in trace.strategies:
            if replication not in trace.replications(strategy):
                continue
            requests = trace.requests(strategy, replication)
            found[strategy].append(
                summarise(
                    requests,
                    trace.devices(strategy, replication),
                    trace.emits(strategy, replication) if trace.has_spans(strategy, replication) else None,
                    strategy=strategy,
                    replication=replication,
                    warmup_s=facts.warmup_s,
                    horizon_s=horizon_s,
                    objectives=facts.objectives,
                    n_users=users,
                )
            )
            if pairs is None:
                continue
            lives = RequestLatencies.of(requests, warmup_s=facts.warmup_s, horizon_s=horizon_s)
            if strategy == trace.strategies[0]:
                first = lives
            elif first is not None:
                pairs.append(pair(strategy, lives, trace.strategies[0], first, replication=replication))
    if not any(found.values()):
        raise TraceError(
            f"{trace.path}: {trace.incomplete or 'no replication of any strategy is complete'}, so there is "
            "nothing to compare; run the scenario again"
        )
    return [summary for runs in found.values() for summary in runs]


def about(trace: Trace) -> About:
    """Read the facts about the simulation that the trace records."""
    run = cast("dict[str, Any]", trace.run)
    asked = _objectives(trace, run["objectives"])
    return About(
        scenario=run["name"],
        model=_model(trace, run["model"]),
        n_devices=run["n_devices"],
        seed=run["seed"],
        warmup_s=run["warmup_s"],
        horizon_s=run["horizon_s"],
        objectives=None if asked == Objectives() else asked,
        is_closed=bool(run["workload"].get("arrivals_depend_on_strategy")),
        answers=_answers(run.get("quality")),
        incomplete=trace.incomplete,
    )


def _answers(stated: dict[str, Any] | None) -> str | None:
    """Name the model and text on which answers were measured; both sources if exits and table differ."""
    if stated is None:
        return None
    table, exits = ((part := stated.get(name)) and _measured_on(part) for name in ("table", "exits"))
    if table and exits and table != exits:
        return f"{exits} under impairments of {table}"
    return cast("str", table or exits)


def _measured_on(provenance: dict[str, Any]) -> str:
    """Name a measured model with its text, or the file supplied by the user."""
    if "model" not in provenance:
        file = _plain(provenance.get("source", provenance.get("file", "a file")))
        return f"{file} (perplexity relative to none lost)" if provenance.get("is_relative") else file
    model = "the bundled model" if provenance["model"] == "bundled" else _plain(provenance["model"])
    return f"{model} on {_plain(provenance['text'])}" if "text" in provenance else model


def _plain(text: object) -> str:
    """Replace control characters in text of untrusted files, which a terminal would interpret."""
    return "".join(letter if letter.isprintable() else "?" for letter in str(text))


def _objectives(trace: Trace, stated: dict[str, Any]) -> Objectives:
    if strange := sorted(set(stated).difference(each.name for each in fields(Objectives))):
        raise TraceError(
            f"{trace.path}: run.json, objectives: found {_plain(strange[0])!r}; run the scenario again"
        )
    return Objectives(**stated)


def _model(trace: Trace, stated: dict[str, Any]) -> str:
    """Name the model with its number format, and the size of its weights where they are quantised."""
    if not all(isinstance(stated.get(key), str) for key in ("name", "dtype")):
        raise TraceError(
            f"{trace.path}: run.json, model: expected its name and dtype; run the scenario again"
        )
    size, method = stated.get("bytes_per_weight"), stated.get("quantisation")
    stored = "" if size is None else f", {size:.4g} bytes per weight"
    if method:
        stored = f", {_plain(method).partition(',')[0]}{stored}"
    return f"{stated['name']} ({stated['dtype']}{stored})"
