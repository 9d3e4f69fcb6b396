"""What the answer to a request was worth, once it has ended."""

from __future__ import annotations

from typing import NamedTuple

__all__ = ["Worth"]


class Worth(NamedTuple):
    """What an answer was worth; None where that was not measured."""

    nll: float | None = None
    """Mean negative log likelihood of its tokens [nats]."""
    correct: float | None = None
    """Share of its tokens that were right."""
    is_beyond: bool | None = None
    """Whether it met more than the highest measured level of an impairment, whose effect then counts."""
    error_variance: float | None = None
    """Mean normalised error over all noisy sums that it has met; None if it met none."""
    mean_exit_block: float | None = None
    """Mean number of blocks after which its tokens have left; None if exits were not asked."""
