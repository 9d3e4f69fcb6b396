"""Where tasks of a staged model go, and where they leave: DTO-EE, its rivals and its bounds."""

from __future__ import annotations

__all__: list[str] = []
