"""Metrics of several traces or of a sweep's cells side by side: opening folders, estimates, and tables."""

from __future__ import annotations

__all__: list[str] = []
