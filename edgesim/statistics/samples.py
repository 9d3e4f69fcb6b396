"""Samples of latencies of one run: known, censored at an age, or infinite."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from types import MappingProxyType
from typing import NamedTuple, TypeAlias

import numpy as np
import numpy.typing as npt

from edgesim.statistics.requests import BoolArray, FloatArray, Requests

__all__ = ["SAMPLES", "Sample", "e2e_sample", "tpot_sample", "ttft_sample"]


class Sample(NamedTuple):
    """Sample of one latency over requests, partly censored.

    Attributes
    ----------
    values_s
        Known latencies.
    censored_s
        Lower bounds of the latencies of requests in flight at the end.
    n_never
        Number of failed requests, whose latency is infinite.
    """

    values_s: FloatArray
    censored_s: FloatArray
    n_never: int

    @property
    def n(self) -> int:
        """Sample size, with censored and infinite latencies."""
        return int(self.values_s.size + self.censored_s.size + self.n_never)


def e2e_sample(table: Requests, chosen: BoolArray) -> Sample:
    """Return the sample of times to the last token (E2E)."""
    return _sample(
        table.e2e_s, chosen & table.completed, table.age_s, chosen & table.censored, chosen & table.failed
    )


def ttft_sample(table: Requests, chosen: BoolArray) -> Sample:
    """Return the sample of times to the first token (TTFT), known for every request that had one."""
    seen = chosen & ~np.isnan(table.first_token_at_s)
    waiting = chosen & ~seen
    return _sample(table.ttft_s, seen, table.age_s, waiting & table.censored, waiting & table.failed)


def tpot_sample(table: Requests, chosen: BoolArray) -> Sample:
    """Return the sample of times per token after the first (TPOT), of answers of more than one token.

    The lower bound of a request in flight is the time since its first token, divided by the number of all
    its gaps.
    """
    many = chosen & (table.n_asked > 1)
    since_s = np.nan_to_num(table.age_s - table.ttft_s)  # nothing is known before the first token
    at_least_s = since_s / np.maximum(table.n_asked - 1, 1)
    # An answer may end early, such as at an end-of-text token; with a single token it has no TPOT.
    seen = many & table.completed & (table.n_tokens > 1)
    return _sample(table.tpot_s, seen, at_least_s, many & table.censored, many & table.failed)


Sampler: TypeAlias = Callable[[Requests, npt.NDArray[np.bool_]], Sample]

SAMPLES: Mapping[str, Sampler] = MappingProxyType(
    {"e2e": e2e_sample, "ttft": ttft_sample, "tpot": tpot_sample}
)
"""Functions that return samples, by name of the latency."""


def _sample(
    values_s: FloatArray, seen: BoolArray, at_least_s: FloatArray, censored: BoolArray, never: BoolArray
) -> Sample:
    return Sample(values_s[seen], at_least_s[censored], int(never.sum()))
