"""Scenario files: from YAML text to frozen values, with every mistake found before time zero.

``load.load`` is the way in. ``schema`` says what a scenario may contain, ``catalogue`` describes device
kinds and models, ``topology`` and ``build`` turn a scenario into the world that strategies meet.
"""

from __future__ import annotations

__all__: list[str] = []
