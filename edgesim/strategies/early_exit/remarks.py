"""Remark on a plan, shown before a run."""

from __future__ import annotations

import math

from edgesim.errors import InputError
from edgesim.planning.offloading.capacity import largest_scale
from edgesim.planning.offloading.optimum import optimal_plan
from edgesim.strategies.early_exit.plans import DecidedPlan

__all__ = ["plan_remark"]

_LARGE = 2000  # links above which the optimum is not computed for a remark


def plan_remark(
    decision: DecidedPlan,
    *,
    thresholds: tuple[float | None, ...],
    is_tuned_apart: bool | None,
    shares_servers: bool = False,
    follows_queues: bool = False,
    period_s: float | None = None,
) -> str:
    """Return a sentence on expected delay, load, gap to the optimum and thresholds.

    Parameters
    ----------
    is_tuned_apart
        Whether thresholds were tuned on other text than they are evaluated on; None if they were not tuned.
    shares_servers
        Whether some servers serve several stages.
    follows_queues
        Whether tasks follow reported queues, not the plan.
    period_s
        Time of a round, or between reports; None: there are none.
    """
    network = decision.network
    scale = largest_scale(network)
    words = [f"planned for {network.total_per_s:.3g} tasks/s, {1 / scale:.0%} of the largest possible flow"]
    if follows_queues:
        words.append("tasks follow reported queues, for which no delay is estimated")
        if period_s is not None:
            words.append(f"reports are sent every {_time(period_s)}")
    elif math.isinf(decision.delay_s):
        words.append(f"its busiest server would be loaded {decision.utilisation:.2f} times: queues grow")
    else:
        about = "about " * (network.work is not None)  # correlation of neighbouring tokens is not modelled
        words.append(
            f"mean delay {about}{_time(decision.delay_s)}, busiest server {decision.utilisation:.0%} loaded"
        )
        if scale > 1 and network.n_links <= _LARGE:
            best_s = _optimum_s(decision)
            if best_s is not None:
                words.append(
                    f"{max(0.0, decision.delay_s / best_s - 1):.1%} above the optimum of its thresholds"
                )
    if period_s is not None and not follows_queues:
        words.append(f"rows change in rounds of {_time(period_s)}")
    if any(value is not None for value in thresholds):
        shown = ", ".join(
            "no exit" if v is None else "closed" if math.isinf(v) else f"{v:g}" for v in thresholds
        )
        words.append(f"thresholds {shown}")
        words.append(f"accuracy {decision.accuracy:.1%}")
    if shares_servers:
        words.append("some servers serve several stages, and are planned as if each stage had its own")
    if is_tuned_apart is False:
        words.append("thresholds were tuned on the text that answers are evaluated on")
    return "; ".join(words)


def _optimum_s(decision: DecidedPlan) -> float | None:
    try:
        return optimal_plan(decision.network).delay_s
    except InputError:
        return None


def _time(value_s: float) -> str:
    return f"{value_s * 1e3:.3g} ms" if value_s < 1 else f"{value_s:.3g} s"
