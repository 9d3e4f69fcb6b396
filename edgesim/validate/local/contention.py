"""Share of their passes in which stages of a ring compute at the same time, and slow each other down.

Processes on one host share its memory and its last-level cache. A profile measured in one process, and one
measured in two that compute all the time, are the ends between which a stage's pass lies: a fast stage
beside a slow one computes beside it all the time, and the slow one beside the fast one only while that one
has work.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from edgesim.model.profile import Phase
from edgesim.trace.schema import SpanKind

__all__ = ["Shares", "shares_beside"]

Shares = Mapping[Phase, float]
"""Share of a stage's computing, by phase, beside another stage's."""


def shares_beside(spans: pd.DataFrame, devices: Sequence[str]) -> list[Shares]:
    """Return for each device which share of its computing was beside another one's.

    Parameters
    ----------
    spans
        Of one run.

    Not modelled: what a third process adds to two that compute at the same time.
    """
    spans = spans[spans["kind"] == SpanKind.COMPUTE]
    intervals = {
        device: spans.loc[spans["device"] == device, ["started_at_s", "ended_at_s"]].to_numpy(float)
        for device in devices
    }
    found: list[Shares] = []
    for device, own in intervals.items():
        others = np.concatenate([each for other, each in intervals.items() if other != device])
        beside_s = _covered_s(own, others)
        is_prompt = (spans.loc[spans["device"] == device, "token"] == 0).to_numpy()
        lasted_s = own[:, 1] - own[:, 0]
        found.append(
            {
                phase: float(beside_s[rows].sum() / max(lasted_s[rows].sum(), 1e-12))
                for phase, rows in ((Phase.PREFILL, is_prompt), (Phase.DECODE, ~is_prompt))
            }
        )
    return found


def _covered_s(own: NDArray[np.float64], others: NDArray[np.float64]) -> NDArray[np.float64]:
    """Return how much of each interval of `own` [n, 2] is within any of `others` [m, 2]."""
    others = others[np.argsort(others[:, 0])]
    reached = np.maximum.accumulate(np.concatenate([[-np.inf], others[:-1, 1]]))
    others = np.stack([np.maximum(others[:, 0], reached), others[:, 1]], axis=1)  # none overlaps one before
    overlap = np.minimum(own[:, None, 1], others[None, :, 1]) - np.maximum(
        own[:, None, 0], others[None, :, 0]
    )
    covered: NDArray[np.float64] = np.maximum(0.0, overlap).sum(axis=1)
    return covered
