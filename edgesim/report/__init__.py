"""What people read: the terminal's table, and the same numbers for programs."""

from __future__ import annotations

__all__: list[str] = []
