"""A module per command. `edgesim.cli.app` puts them together, in the order of the help."""

from __future__ import annotations

__all__: list[str] = []
