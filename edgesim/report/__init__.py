"""Reports of results: tables for the terminal, JSON, figures, pages, and exports for other programs."""

from __future__ import annotations

__all__: list[str] = []
