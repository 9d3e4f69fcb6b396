"""Scenario files: from YAML text to frozen values, with every mistake reported before time zero.

``load.load`` is the entry point. ``schema`` defines the contents of a scenario, ``catalogue`` contains device
kinds and models, ``topology`` and ``build`` turn a scenario into the simulated world.
"""

from __future__ import annotations

__all__: list[str] = []
