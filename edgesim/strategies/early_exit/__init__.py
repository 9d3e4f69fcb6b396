"""Staged inference with early exits: DTO-EE (Xie et al. 2024, arXiv 2412.08284) and its rivals."""
