"""Commands, one module each; `edgesim.cli.app` assembles them in the order of the help."""

from __future__ import annotations

__all__: list[str] = []
