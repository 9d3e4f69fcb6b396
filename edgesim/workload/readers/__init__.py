"""Readers of recorded requests: the public traces' formats, told apart by their contents."""

from __future__ import annotations

__all__: list[str] = []
