"""Offloading in staged models with early exits: routing and exit thresholds. DTO-EE, baselines and bounds."""

from __future__ import annotations

__all__: list[str] = []
