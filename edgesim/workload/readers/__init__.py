"""Readers of recorded requests, for the formats of public traces, which are recognised by their contents."""

from __future__ import annotations

__all__: list[str] = []
