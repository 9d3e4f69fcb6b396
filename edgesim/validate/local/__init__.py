"""``edgesim validate local``: real runs on this host, as several processes, against their predictions."""

from __future__ import annotations

__all__: list[str] = []
