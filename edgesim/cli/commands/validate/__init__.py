"""Subcommands of `edgesim validate`."""

from __future__ import annotations

__all__: list[str] = []
