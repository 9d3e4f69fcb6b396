"""Quality of a request's answer, once it has ended."""

from __future__ import annotations

from typing import NamedTuple

__all__ = ["Worth"]


class Worth(NamedTuple):
    """Quality of an answer; None where it was not measured."""

    nll: float | None = None
    """Mean negative log-likelihood of its tokens [nats]."""
    correct: float | None = None
    """Share of its tokens that were right."""
    is_beyond: bool | None = None
    """Whether an impairment exceeded the highest measured level, whose effect is then used."""
    error_variance: float | None = None
    """Mean normalised error over all its noisy sums; None if there were none."""
    mean_exit_block: float | None = None
    """Mean number of blocks after which its tokens exited; None if exits were not used."""
