"""Adaptive layer splitting (Chen et al. 2024, arXiv 2406.02616): a policy moves the split; with baselines."""

from __future__ import annotations

from edgesim.strategies.rl_split.strategy import RlSplit

__all__ = ["RlSplit"]
