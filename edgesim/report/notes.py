"""Text around the comparison table: the headline above it, and the definitions below."""

from __future__ import annotations

from collections.abc import Sequence, Set
from dataclasses import dataclass

from edgesim.report.columns import Column
from edgesim.report.numbers import BY_ARRIVALS, SET_BY_ARRIVALS, duration, is_partial
from edgesim.statistics.comparison import Comparison, Row
from edgesim.statistics.objectives import ServiceObjectives

__all__ = ["CUT_OFF", "GROWING", "MUCH_CUT_OFF", "About", "definitions", "headline", "shared_origins"]

GROWING = "↑"
CUT_OFF = "!"
MUCH_CUT_OFF = 0.01
"""Share of requests in flight at the end above which a row is marked."""


@dataclass(frozen=True, slots=True, kw_only=True)
class About:
    """Facts about the simulation, for the headline above the table."""

    scenario: str
    model: str
    n_devices: int
    seed: int
    warmup_s: float = 0.0
    horizon_s: float | None = None
    objectives: ServiceObjectives | None = None
    is_closed: bool = False
    """Whether requests wait for answers, so that arrivals depend on the strategy."""
    answers: str | None = None
    """Model and text on which answers were measured; None if they were not."""
    incomplete: str | None = None
    """Describes what is missing of a run that did not finish; None if it finished."""


def shared_origins(rows: Sequence[Row]) -> tuple[str, ...]:
    """Return the origins of the compute times if they are the same for all rows; else nothing."""
    different = {row.origins for row in rows}
    return next(iter(different)) if len(different) == 1 else ()


def headline(comparison: Comparison, about: About) -> str:
    """Write the headline: the scenario, its size, and the origin of its compute times and answers."""
    counts = sorted({len(row.replications) for row in comparison.rows})
    replications = " to ".join(map(str, dict.fromkeys((counts[0], counts[-1])))) if counts else "0"
    parts = [
        *([] if about.incomplete is None else [about.incomplete.upper()]),
        f"{about.model} on {about.n_devices} device{'' if about.n_devices == 1 else 's'}",
        f"{replications} replication{'' if counts == [1] else 's'}"
        + (f" of {duration(about.horizon_s)}" if about.horizon_s else ""),
        f"seed {about.seed}",
    ]
    if origins := shared_origins(comparison.rows):
        parts.append(f"times {' and '.join(origins)}")
    if about.answers:
        parts.append(f"answers measured on {about.answers}")
    return f"{about.scenario}: {', '.join(parts)}"


def definitions(comparison: Comparison, about: About, shown: Sequence[Column], n_left_out: int) -> str:
    """Define the columns shown, and list the caveats of this comparison."""
    return (
        "; ".join(
            [
                *_intervals(comparison),
                *_warnings(comparison.rows, about),
                *_columns(comparison.rows, about, {column.head.split()[0] for column in shown}),
                *_run(comparison.rows, about),
                *([_left_out(n_left_out)] if n_left_out else []),
            ]
        )
        + "."
    )


def _intervals(comparison: Comparison) -> list[str]:
    rows = comparison.rows
    n_least = min((len(row.replications) for row in rows), default=0)
    notes = ["Times at the user, averaged over replications", "percentiles linear"]
    if n_least > 1:
        notes.append(f"[ ]: {comparison.confidence:.0%} interval over {n_least} replications")
    else:
        notes.append("one replication, so no intervals")
    if len(rows) > 1:
        star = ", * excludes 0" if n_least > 1 else ""
        notes.append(f"Δ: ratio of the E2E mean to {rows[0].strategy}'s, paired by replication{star}")
        headlines = [row.differences.get("e2e_mean_s") for row in rows[1:]]
        reasons = {d.no_ratio: None for d in headlines if d is not None and d.no_ratio is not None}
        notes += [f"Δ as a difference where the mean is {reason}" for reason in reasons]
    return notes


def _warnings(rows: Sequence[Row], about: About) -> list[str]:
    notes = []
    if growing := [row.strategy for row in rows if row.is_saturated]:
        notes.append(
            f"{GROWING} demand exceeds capacity: latencies grow with the horizon "
            f"({', '.join(growing)}: the number in flight keeps growing)"
        )
    if any(row.outcomes.cut_off_share > MUCH_CUT_OFF for row in rows):
        notes.append(f"{CUT_OFF} more than {MUCH_CUT_OFF:.0%} cut off")
    if any(row.bounds for row in rows):
        notes.append(
            ">: at least, since failed requests are never answered, and those cut off take longer than "
            "observed (percentiles: Kaplan-Meier); the mean is then unknown, and Δ is a bound"
        )
    if any(row.outcomes.censored for row in rows):
        notes.append("cut off: in flight at the end")
    if stuck := [f"{row.n_stuck} under {row.strategy}" for row in rows if row.n_stuck]:
        notes.append(f"of these stuck, since no event was left (a deadlock): {', '.join(stuck)}")
    if about.is_closed and len(rows) > 1:
        notes.append("users wait for answers, so a faster strategy receives requests sooner")
    return notes


def _columns(rows: Sequence[Row], about: About, heads: Set[str]) -> list[str]:
    notes = []
    if by_arrivals := [
        row.strategy
        for row in rows
        if row.is_rate_set_by_arrivals and any(row.estimates[name] for name in SET_BY_ARRIVALS)
    ]:
        is_all = len(by_arrivals) == len(rows)  # then their columns are left out, and so is the mark
        mark, which = ("", "") if is_all else (f"{BY_ARRIVALS} ", f" ({', '.join(by_arrivals)})")
        notes.append(
            f"{mark}all requests are answered{which}: rates and J/token with idling are set by the arrivals, "
            "and not shown"
        )
    if batches := [row.strategy for row in rows if row.is_batch]:
        which = "" if len(batches) == len(rows) else f" ({', '.join(batches)})"
        notes.append(f"requests arrive (nearly) all at once{which}: rates until the last of them has ended")
    judged = [head for head in ("good", "met") if head in heads]
    if judged and (asked := _asked(about.objectives)):
        notes.append(f"{', '.join(judged)}: {asked}{', of all requests' if 'met' in judged else ''}")
    if about.answers:
        notes.append(
            f"perplexity, right: of answers by {about.answers}; all times are those of {about.model}"
        )
    if beyond := [f"{row.n_beyond} under {row.strategy}" for row in rows if row.n_beyond]:
        notes.append(
            f"answers with impairments beyond those measured, counted as the worst: {', '.join(beyond)}"
        )
    return notes


def _run(rows: Sequence[Row], about: About) -> list[str]:
    notes = []
    if about.warmup_s:
        notes.append(f"warm-up of {duration(about.warmup_s)} left out")
    if any(is_partial(row, estimate) for row in rows for estimate in row.estimates.values()):
        notes.append("†: undefined in some replications, mean of the others")
    if not shared_origins(rows):
        notes.append("compute times: M measured, S scaled from a measured device, A analytic")
    return notes


def _left_out(n_left_out: int) -> str:
    columns = "1 column" if n_left_out == 1 else f"{n_left_out} columns"
    return f"{columns} left out at this width, --json has all"


def _asked(objectives: ServiceObjectives | None) -> str:
    if objectives is None:
        return ""
    limits = {"TTFT": objectives.ttft_s, "TPOT": objectives.tpot_s, "E2E": objectives.e2e_s}
    return ", ".join(f"{name} ≤ {duration(limit)}" for name, limit in limits.items() if limit is not None)
