"""Requests and devices as a trace tells them, made by hand."""

from __future__ import annotations

import numpy as np
import pandas as pd


def requests_table(
    arrived_s: np.ndarray,
    ended_s: np.ndarray,
    *,
    seen_until_s: float = np.inf,
    first_s: np.ndarray | None = None,
    failed: np.ndarray | None = None,
    n_tokens: int = 2,
) -> pd.DataFrame:
    """Requests of so many tokens; what happens after the observation is not seen, and leaves them censored.

    An answer's first token comes with its last unless `first_s` says otherwise.
    """
    arrived_s, ended_s = np.asarray(arrived_s, float), np.asarray(ended_s, float)
    first_s = ended_s if first_s is None else np.asarray(first_s, float)
    has_failed = np.zeros(arrived_s.size, bool) if failed is None else np.asarray(failed, bool)
    is_over = ended_s <= seen_until_s
    is_done = is_over & ~has_failed
    has_begun = (first_s <= seen_until_s) & (is_done | (first_s < ended_s))
    return pd.DataFrame(
        {
            "request_id": np.arange(arrived_s.size),
            "arrived_at_s": arrived_s,
            "first_token_at_s": np.where(has_begun, first_s, np.nan),
            "ended_at_s": np.where(is_over, ended_s, np.nan),
            "n_output_tokens": n_tokens,
            "n_emitted_tokens": np.where(is_done, n_tokens, has_begun),
            "outcome": np.where(is_done, "completed", np.where(is_over, "failed", "censored")),
            "reason": None,
            "beyond_measured": None,
            "nll": np.nan,
            "correct": np.nan,
        }
    )


def devices_table(duration_s: float, active_j: float = 0.0) -> pd.DataFrame:
    """One device that was there for so long."""
    zero = dict.fromkeys(("energy_tx_j", "energy_rx_j", "energy_idle_j", "busy_s"), 0.0)
    facts = {"group": "edge", "origin": "scaled", "duration_s": duration_s, "energy_compute_j": active_j}
    return pd.DataFrame({"device": ["edge"]} | facts | zero)


def fifo_ends_s(arrived_s: np.ndarray, service_s: np.ndarray) -> np.ndarray:
    """Ends of service at one server, first come first served, along the last axis (Lindley)."""
    served = np.cumsum(service_s, axis=-1)
    before = np.concatenate([np.zeros_like(served[..., :1]), served[..., :-1]], axis=-1)
    return served + np.maximum.accumulate(arrived_s - before, axis=-1)
