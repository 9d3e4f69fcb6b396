"""Find the single change that reduces the mean delay most, by running the scenario again with each change.

There are three rounds. The first tries all changes; the second tries the best few in further replications;
the third measures the best one in fresh replications. The runs that select the change are not used to
estimate its effect, because selection and estimation on the same runs give a biased estimate (Tibshirani and
Tibshirani 2009, Ann. Appl. Stat. 3(2)).
"""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace

import pandas as pd

from edgesim.errors import InputError, TraceError
from edgesim.explain.breakdown import breakdown
from edgesim.explain.changes import Change, changes
from edgesim.explain.parts import Part
from edgesim.explain.trace_scenario import Original
from edgesim.explain.trial_runs import Trials, paired_delays_s
from edgesim.statistics.intervals import Difference, Estimate, paired_difference, student_t

__all__ = ["LEAST_BUDGET", "Advice", "Tried", "advise"]

LEAST_BUDGET = 8
"""Smallest budget of runs that allows an estimate: one change tried, and two pairs of runs to measure it."""

_FINALISTS = 4
_MOST_UNANSWERED = 0.1
_MOST_SCREENED = 5  # replications in which all changes are tried; more runs are better spent on the estimate


@dataclass(frozen=True, slots=True)
class Tried:
    """A change that was tried, and its effect.

    Attributes
    ----------
    change
        The change.
    difference_s
        Mean delay with the change minus mean delay without, over the replications used for selection; None
        if the changed scenario could not run.
    refused
        Why the changed scenario could not run; None if it could.
    """

    change: Change
    difference_s: Estimate | None
    refused: str | None = None


@dataclass(frozen=True, slots=True)
class Advice:
    """The most helpful single change for a strategy, with its measured effect.

    Attributes
    ----------
    label
        Label of the strategy.
    delay_s
        Mean time to the last token without any change. A request without a last token counts with the time
        to the end of the run or, if there is a horizon, to the latest end that a run can have.
    best
        The best change; None if no change that was tried reduces the mean delay.
    effect_s
        Mean delay with the best change minus mean delay without, over fresh replications, with its 95 %
        interval.
    tried
        All changes that were tried, the most helpful first; those that could not run last.
    n_left_out
        Number of changes not tried, because the budget was too small.
    n_runs
        Number of runs made.
    unanswered
        Share of requests that failed or were cut off without any change.
    """

    label: str
    delay_s: Estimate
    best: Change | None
    effect_s: Difference | None
    tried: tuple[Tried, ...]
    n_left_out: int
    n_runs: int
    unanswered: float = 0.0

    @property
    def is_cut_short(self) -> bool:
        """Whether so many requests had no last token that their time to the end dominates the mean delay."""
        return self.unanswered > _MOST_UNANSWERED

    @property
    def helps(self) -> bool:
        """Whether the interval of the best change's effect lies below zero."""
        return self.effect_s is not None and self.effect_s.high is not None and self.effect_s.high < 0.0


def advise(
    original: Original,
    label: str,
    *,
    budget: int,
    on_progress: Callable[[float, float, str], None] | None = None,
) -> Advice:
    """Try all single changes of a strategy's scenario, and measure the effect of the best one.

    Parameters
    ----------
    budget
        Maximum number of runs (one replication each), at least :data:`LEAST_BUDGET`. The first third tries
        all changes; if there are too many, those that concern the largest parts of the latency are tried
        first. The second third continues with the best few; the last third measures the best of them.
    on_progress
        Called with the number of runs made, the budget, and the changes of the last run.

    Raises
    ------
    InputError
        If the scenario cannot run again, or the budget is too small.
    """
    if budget < LEAST_BUDGET:
        raise InputError(f"--budget: expected {LEAST_BUDGET} runs or more, got {budget}")
    candidates = _in_order(original, label)
    third = budget // 3
    n_tried = min(len(candidates), max(1, third - 1))
    n_screened = max(1, min(_MOST_SCREENED, third // (n_tried + 1)))
    # No more replications than the budget allows: the requests of all of them are drawn in advance.
    rounds = _Rounds(original, label, budget, on_progress)
    screen = range(n_screened)
    rounds.need(rounds.base, screen)
    shown = [rounds.trials(change) for change in candidates[:n_tried]]
    for trials in shown:
        for replication in screen:
            rounds.run(trials, replication)
        trials.forget()
    able = [trials for trials in shown if trials.refused is None]
    able.sort(key=lambda trials: rounds.difference(trials).mean)
    finalists = able[:_FINALISTS]
    n_more = max(0, (2 * third - rounds.n_runs) // (len(finalists) + 1)) if len(finalists) > 1 else 0
    chosen_by = range(n_screened + n_more)
    for replication in chosen_by[n_screened:]:
        for trials in (rounds.base, *finalists):
            rounds.run(trials, replication)
    finalists.sort(key=lambda trials: rounds.difference(trials).mean)
    tried = _tried(rounds, candidates[:n_tried], [*finalists, *able[_FINALISTS:]], shown)
    best = finalists[0] if finalists and rounds.difference(finalists[0]).mean < 0.0 else None
    effect = None
    if best is not None:
        n_fresh = max(2, (budget - rounds.n_runs) // 2)
        fresh = range(len(chosen_by), len(chosen_by) + n_fresh)
        for replication in fresh:
            for trials in (rounds.base, best):
                rounds.run(trials, replication)
        effect = paired_difference(*paired_delays_s(best, rounds.base, fresh))
    base = list(rounds.base.runs.values())
    delay = student_t([each.mean_s(each.ends_at_s) for each in base])
    assert delay is not None
    found = next((each.change for each in tried if best is not None and each.change.sets == best.sets), None)
    unanswered = sum(each.n_unanswered for each in base) / max(1, sum(each.n for each in base))
    return Advice(label, delay, found, effect, tried, len(candidates) - n_tried, rounds.n_runs, unanswered)


class _Rounds:
    """Runs with and without changes, and their count."""

    def __init__(
        self,
        original: Original,
        label: str,
        budget: int,
        on_progress: Callable[[float, float, str], None] | None,
    ) -> None:
        self._original, self._label, self._budget, self._on_progress = original, label, budget, on_progress
        self.n_runs = 0
        self.base = Trials(original, label, (), budget)

    def trials(self, change: Change) -> Trials:
        return replace(self.base, sets=change.sets, runs={}, refused=None, _prepared=None)

    def run(self, trials: Trials, replication: int) -> None:
        if trials.run(replication) is not None:
            self.n_runs += 1
            if self._on_progress is not None:
                self._on_progress(self.n_runs, self._budget, " ".join(trials.sets) or "unchanged")

    def need(self, trials: Trials, replications: Sequence[int]) -> None:
        """Run the baseline in these replications; raise TraceError if it cannot run."""
        for replication in replications:
            self.run(trials, replication)
        if trials.refused is not None:
            raise TraceError(
                f"{self._original.trace.path}: its scenario cannot run again: {trials.refused}; correct "
                "that, or leave out --advice"
            )

    def difference(self, trials: Trials) -> Estimate:
        """Estimate the mean delay with the changes minus that without, over their common replications."""
        both = [number for number in trials.runs if number in self.base.runs]
        with_s, without_s = paired_delays_s(trials, self.base, both)
        found = student_t([one - other for one, other in zip(with_s, without_s, strict=True)])
        return Estimate(0, math.inf, None, None) if found is None else found


def _tried(
    rounds: _Rounds, tried: Sequence[Change], able: Sequence[Trials], shown: Sequence[Trials]
) -> tuple[Tried, ...]:
    by_sets = {change.sets: change for change in tried}
    found = [Tried(by_sets[trials.sets], rounds.difference(trials)) for trials in able]
    refused = [trials for trials in shown if trials.refused is not None]
    return (*found, *(Tried(by_sets[trials.sets], None, trials.refused) for trials in refused))


_CONCERNS = {
    "speed": (Part.COMPUTING, Part.QUEUEING_FOR_COMPUTE, Part.STAGING, Part.STRAGGLING),
    "batch": (Part.QUEUEING_FOR_COMPUTE, Part.STAGING),
    "count": (Part.QUEUEING_FOR_COMPUTE, Part.STAGING),
    "rate": (Part.AIR, Part.RETRANSMITTING, Part.WIRE, Part.QUEUEING_FOR_NETWORK),
    "latency": (Part.AIR, Part.WIRE),
    "messages": (Part.HANDLING, Part.QUEUEING_FOR_NETWORK),
    "memory": (Part.WAITING_FOR_MEMORY,),
}
"""Parts of the latency that each kind of change can reduce. Only the order of the trials depends on it."""


def _in_order(original: Original, label: str) -> list[Change]:
    """Sort all changes by the time of the parts they concern, longest first; options count half of all."""
    trace = original.trace
    found = list(changes(original.scenario(), label))
    replication = next(iter(trace.replications(label)), None)
    if replication is None or not trace.has_spans(label, replication):
        return found
    means_s = breakdown(trace, label, replication).drop(columns="request_id").mean().fillna(0.0)
    works = _works(trace.devices(label, replication))

    def promise_s(change: Change) -> float:
        parts = _CONCERNS.get(change.kind)
        if parts is None:
            return float(means_s.sum()) / 2.0
        concerned_s = sum(float(means_s[part.value]) for part in parts)
        if change.kind in ("speed", "batch", "count"):
            return concerned_s * works.get(change.touches[0], 0.0)
        return concerned_s

    return sorted(found, key=promise_s, reverse=True)


def _works(devices: pd.DataFrame) -> dict[str, float]:
    """Each group's share of the total computing time."""
    busy_s = devices.groupby(devices["group"].astype(str))["busy_s"].sum()
    total_s = float(busy_s.sum())
    return {str(group): float(seconds) / total_s for group, seconds in busy_s.items()} if total_s else {}
