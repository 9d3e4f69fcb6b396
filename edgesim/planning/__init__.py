"""Placement and scheduling algorithms as pure functions of plain arrays."""

from __future__ import annotations

__all__: list[str] = []
