"""Measured answers as tables and figures: quality under impairments, and early exits."""

from __future__ import annotations

__all__: list[str] = []
