"""Metrics by which a real run and its prediction are compared."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

from edgesim.measure.trimmed_mean import typical

__all__ = ["Figures", "of_runs"]


@dataclass(frozen=True, slots=True, kw_only=True)
class Figures:
    """Metrics of a run.

    Attributes
    ----------
    ttft_s, tpot_s
        Time to the first token and time per further one, means over the samples in flight.
    tokens_per_s
        Tokens of all samples over the time until the last.
    utilisation
        Share of that time in which each process computes or handles messages; for members of a group, in
        which it computes.
    """

    ttft_s: float
    tpot_s: float
    tokens_per_s: float
    utilisation: tuple[float, ...] = ()


def of_runs(
    runs: Sequence[dict[str, Any]], fastest: int = 1, prompts: Sequence[dict[str, Any]] = ()
) -> Figures:
    """Combine several real runs of one setting into the metrics of a typical run.

    The time between two tokens is the typical one over the runs, so that a momentary disturbance of one run
    affects only the tokens at that moment.

    Parameters
    ----------
    runs
        For each: ``began_at_s``; ``emitted_at_s``, by sample; and ``busy_s``, by process.
    fastest
        As for :func:`edgesim.measure.trimmed_mean.typical`, and the same as for profiles.
    prompts
        Further runs, of which only the first tokens count.
    """
    firsts_s = [[gaps_s[0] for gaps_s in _gaps(run)] for run in (*runs, *prompts)]  # [run, sample]
    gaps_s = typical([_gaps(run) for run in runs], fastest)  # [sample, token]
    emitted_at_s = gaps_s.cumsum(axis=1)
    n_tokens = emitted_at_s.size
    lasted_s = float(emitted_at_s.max())
    ends_s = [max(each[-1] for each in run["emitted_at_s"]) - run["began_at_s"] for run in runs]
    shares = [[busy_s / end_s for busy_s in run["busy_s"]] for run, end_s in zip(runs, ends_s, strict=True)]
    return Figures(
        ttft_s=float(typical(firsts_s, fastest).mean()),
        tpot_s=float((emitted_at_s[:, -1] - emitted_at_s[:, 0]).mean() / max(1, gaps_s.shape[1] - 1)),
        tokens_per_s=n_tokens / lasted_s,
        utilisation=tuple(typical(shares, fastest).tolist()),
    )


def _gaps(run: dict[str, Any]) -> list[list[float]]:
    return [np.diff([run["began_at_s"], *instants]).tolist() for instants in run["emitted_at_s"]]
