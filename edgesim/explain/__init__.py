"""Explanations of results: latency breakdowns, throughput bounds of a strategy, and the most helpful change.

All of them need only a trace, except the advice, which runs the scenario again.
"""

from __future__ import annotations

__all__: list[str] = []
