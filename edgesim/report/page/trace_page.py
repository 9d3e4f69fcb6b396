"""The page of a trace."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, cast

from edgesim.errors import EdgesimError
from edgesim.report.comparison import about, comparison
from edgesim.report.noise import NOISY_P95
from edgesim.report.notes import About, definitions
from edgesim.report.numbers import duration
from edgesim.report.page.breakdown_figure import breakdown_figure
from edgesim.report.page.comparing import cards, dots, every_metric, table, warnings
from edgesim.report.page.costs import answers, energy, exits
from edgesim.report.page.figure import Figure, Section, busiest
from edgesim.report.page.latencies import distributions
from edgesim.report.page.network import network
from edgesim.report.page.origin import origin
from edgesim.report.page.over_time import busy_devices, over_time, stretches
from edgesim.report.page.rendering import Page, made_by, render
from edgesim.report.page.sampling import gantt, sampled_requests
from edgesim.report.page.span_summary import SpanSummary, summarise_spans
from edgesim.report.same_requests import same_requests_columns, same_requests_note
from edgesim.report.table import comparison_columns
from edgesim.scenario.text.document import Document
from edgesim.statistics.comparison import Comparison
from edgesim.statistics.devices import end_of_run_at_s
from edgesim.trace.reader import Trace

__all__ = ["trace_page"]

_MOST_SPANS = 60_000  # in the page, of all strategies: 2 MB


def trace_page(trace: Trace) -> str:
    """Create the HTML page of a trace, which may be incomplete.

    Spans are read in parts, and only those of the first replication.

    Raises
    ------
    TraceError
        If no replication is complete, or a table is damaged.
    """
    facts, compared = about(trace), comparison(trace)
    run = cast("Mapping[str, Any]", trace.run)
    columns = comparison_columns(compared)
    tables = [
        (
            "All strategies",
            definitions(compared, facts, columns, 0),
            table((column.head for column in columns), [column.cells for column in columns]),
        )
    ]
    if any(row.same_requests is not None for row in compared.rows):
        paired = same_requests_columns(compared)
        tables.append(
            (
                f"The same requests, one by one, against {compared.rows[0].strategy}",
                same_requests_note(compared),
                table((column.head for column in paired), [column.cells for column in paired]),
            )
        )
    tables.append(("Every metric", "Means over replications with 95 % intervals.", every_metric(compared)))
    return render(
        Page(
            title=facts.scenario,
            lead=_described(run),
            kicker="Simulation report",
            facts=_facts(facts, compared),
            warnings=[*warnings(compared, facts), *_noise(run)],
            cards=cards(compared),
            tables=tables,
            sections=_sections(trace, compared),
            origin=origin(run, trace.path.resolve().name),
            made_by=made_by(trace.path, run),
        )
    )


def _sections(trace: Trace, compared: Comparison) -> list[Section]:
    replications = {
        label: trace.replications(label)[0] for label in trace.strategies if trace.replications(label)
    }
    requests = {label: trace.requests(label, number) for label, number in replications.items()}
    ends_s = {
        label: end_of_run_at_s(trace.devices(label, replications[label])) or 0.0
        if label in replications
        else 0.0
        for label in trace.strategies
    }
    edges_s = stretches(max(ends_s.values()))
    with_spans = {label: number for label, number in replications.items() if trace.has_spans(label, number)}
    watched: dict[str, SpanSummary] = {}
    diagrams: list[Any] = []
    for label, number in with_spans.items():
        sampled = sampled_requests(requests[label])
        watched[label] = summarise_spans(trace, label, number, edges_s, ends_s[label], sampled.request_ids)
        drawn = gantt(requests[label], sampled, watched[label].sampled, _MOST_SPANS // len(with_spans))
        diagrams.append({"label": label, **drawn})
    dotted = dots(
        compared,
        None,
        name="metrics",
        title="Means and intervals",
        note="Mean over replications with its 95 % interval; an arrow: a lower bound, because some requests "
        "have no known end. E2E: from arrival to the last token, TTFT: to the first, TPOT: per token after "
        "that, ITL: between two tokens.",
    )
    requests_drawn = Figure(
        name="request",
        kind="gantt",
        title="One request, span by span",
        note="First replication. Thin grey: queueing. Drag to zoom in, double-click for the whole; arrow "
        "keys move.",
        content={"views": diagrams, "first": busiest(len(each["names"]) for each in diagrams)},
    )
    went = breakdown_figure(trace, with_spans) if with_spans else None
    return [
        section
        for section in (
            _section("latency", "Latency", dotted, distributions(trace), went),
            _section(
                "time",
                "Over time",
                over_time(requests, watched, edges_s, ends_s),
                busy_devices(watched, edges_s),
            ),
            _section(
                "requests", "Requests", requests_drawn if any(d["requests"] for d in diagrams) else None
            ),
            _section("map", "Network", network(trace, watched)),
            _section("cost", "Energy", energy(trace)),
            _section("answers", "Answers", answers(compared), exits(trace)),
        )
        if section.figures
    ]


def _section(name: str, title: str, *figures: Figure | None) -> Section:
    return Section(
        name=name, title=title, figures=tuple(f for f in figures if f is not None and f.content["views"])
    )


def _facts(facts: About, compared: Comparison) -> list[tuple[str, str]]:
    counts = sorted({len(row.replications) for row in compared.rows})
    stated = {
        "Model": facts.model,
        "Devices": str(facts.n_devices),
        "Strategies": str(len(compared.rows)),
        "Replications": " to ".join(map(str, dict.fromkeys((counts[0], counts[-1])))) if counts else "0",
        "Horizon": None if facts.horizon_s is None else duration(facts.horizon_s),
        "Warm-up left out": duration(facts.warmup_s) if facts.warmup_s else None,
        "Seed": str(facts.seed),
        "Compute times": " and ".join(sorted({o for row in compared.rows for o in row.origins})) or None,
        "Answers": facts.answers,
    }
    return [(name, value) for name, value in stated.items() if value is not None]


def _described(run: Mapping[str, Any]) -> str:
    """Return the description in the scenario's text; empty if there is none."""
    try:
        stated = Document.parse(str(run.get("scenario", {}).get("text", "")), "scenario").root.get(
            "description"
        )
    except EdgesimError:
        return ""
    return str(stated or "")


def _noise(run: Mapping[str, Any]) -> list[str]:
    profile = run.get("profile")
    error = profile.get("held_out_error") if isinstance(profile, Mapping) else None
    p95 = error.get("p95") if isinstance(error, Mapping) else None
    if not isinstance(p95, int | float) or p95 <= NOISY_P95:
        return []
    return [
        f"The profile was measured on a busy machine: it has errors of up to {p95:.0%} at held-out points, "
        "and so have times scaled from it."
    ]
