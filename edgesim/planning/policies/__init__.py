"""Trained policies: what a strategy trains, and the policies shipped with edgesim."""

from __future__ import annotations

__all__: list[str] = []
