"""Workloads: arrival processes, length distributions, and the requests that they generate."""

from __future__ import annotations

__all__: list[str] = []
