"""Reports of radio links: link budgets, tables over time, and figures."""

from __future__ import annotations

__all__: list[str] = []
