"""Trained policies: what a strategy wants trained, and what ships."""

from __future__ import annotations

__all__: list[str] = []
