"""Staged inference with early exits: DTO-EE (Xie et al. 2024, arXiv 2412.08284) and its baselines."""

from __future__ import annotations

from edgesim.strategies.early_exit.strategy import EarlyExit

__all__ = ["EarlyExit"]
