"""Who asks for what, and when: arrival processes, lengths, and the requests they make."""

from __future__ import annotations

__all__: list[str] = []
