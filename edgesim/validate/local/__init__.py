"""``edgesim validate local``: compare predictions with real multi-process runs on this host."""

from __future__ import annotations

__all__: list[str] = []
