"""Traces and sweeps side by side: which folders, which metrics, and tables of them in every form."""

from __future__ import annotations

__all__: list[str] = []
