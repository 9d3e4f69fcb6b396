"""After how many blocks a model is split between a device and the edge, as its uplink loses more or less.

Tables of what a split is worth, the published decision problem, its optimum, rules, and trained policies, as
plain numbers. Source: Chen et al. 2024, arXiv 2406.02616, and the code released with it.
"""

from __future__ import annotations

__all__: list[str] = []
