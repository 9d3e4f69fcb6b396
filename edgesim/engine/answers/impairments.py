"""Impairments of a request's tensors in transmission, token by token."""

from __future__ import annotations

import math
from collections.abc import Mapping
from typing import TypeAlias

from edgesim.model.answers.quality_curves import axis_of

__all__ = ["ALL", "Errors", "Impairment", "error_variance", "meet"]

Impairment: TypeAlias = "tuple[str, int | None, int | None]"
"""A kind of impairment: its name, the number of blocks it acts after, the number of devices."""

Errors: TypeAlias = "Mapping[Impairment, Mapping[int, tuple[float, int]]]"
"""By kind and token, the sum of the errors and their number; :data:`ALL` for all tokens of a request."""

ALL = -1


def meet(
    errors: dict[Impairment, dict[int, tuple[float, int]]],
    kind: Impairment,
    token: int,
    level: float,
    count: int,
) -> None:
    """Record that a token (or :data:`ALL`) has met a level of a kind `count` times.

    A quantiser's bits are converted to the error that they leave, because its mean is meaningful.
    """
    of_kind = errors.setdefault(kind, {})
    total, n = of_kind.get(token, (0.0, 0))
    of_kind[token] = (total + count * axis_of(kind[0]).error(level), n + count)


def error_variance(errors: Errors) -> float | None:
    """Mean normalised error over all noisy sums of a request; None if there were none."""
    noises = [of for (name, block, _), of in errors.items() if block is None and _is_noise(name)]
    sums = [met for of in noises for met in of.values()]
    count = sum(n for _, n in sums)
    return math.fsum(total for total, _ in sums) / count if count else None


def _is_noise(name: str) -> bool:
    return name.partition("+")[0].startswith(("noise", "device-noise", "faded-noise"))
