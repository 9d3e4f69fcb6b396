"""Split of a model between a device and the edge: how many blocks come first, by the uplink's losses.

Tables of split values, the published decision problem, its optimum, rules, and trained policies, on plain
numbers. Source: Chen et al. 2024, arXiv 2406.02616, and the code released with it.
"""

from __future__ import annotations

__all__: list[str] = []
