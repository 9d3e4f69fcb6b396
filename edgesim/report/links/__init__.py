"""What radio links do: their budgets, their course over time, and figures of it."""

from __future__ import annotations

__all__: list[str] = []
