"""Tables and figures of measured answers: quality under impairments, and early exits."""

from __future__ import annotations

__all__: list[str] = []
