"""What a model is made of, and how long its parts take: architectures, profiles, scaling. No torch here."""

from __future__ import annotations

__all__: list[str] = []
