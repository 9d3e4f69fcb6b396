"""Service level objectives of requests."""

from __future__ import annotations

from dataclasses import dataclass

__all__ = ["Objectives"]


@dataclass(frozen=True, slots=True, kw_only=True)
class Objectives:
    """Latency objectives [s], all of which a request must meet to count as goodput; None: no objective."""

    ttft_s: float | None = None
    tpot_s: float | None = None
    e2e_s: float | None = None
