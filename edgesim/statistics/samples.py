"""Latencies of one run's requests as samples: seen to their end, longer than an age, or infinite."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from types import MappingProxyType
from typing import NamedTuple, TypeAlias

import numpy as np
import numpy.typing as npt

from edgesim.statistics.requests import BoolArray, FloatArray, Requests

__all__ = ["SAMPLES", "Sample", "e2e_sample", "tpot_sample", "ttft_sample"]


class Sample(NamedTuple):
    """Latencies of some requests.

    Attributes
    ----------
    values_s
        Those seen to their end.
    censored_s
        Ages of requests whose latency is longer.
    n_never
        How many failed: their latency is infinite.
    """

    values_s: FloatArray
    censored_s: FloatArray
    n_never: int

    @property
    def n(self) -> int:
        """How many latencies there are."""
        return int(self.values_s.size + self.censored_s.size + self.n_never)


def e2e_sample(table: Requests, chosen: BoolArray) -> Sample:
    """Times to the last token."""
    return _sample(
        table.e2e_s, chosen & table.completed, table.age_s, chosen & table.censored, chosen & table.failed
    )


def ttft_sample(table: Requests, chosen: BoolArray) -> Sample:
    """Times to the first token, of every request that had one, however it ended."""
    seen = chosen & ~np.isnan(table.first_token_at_s)
    waiting = chosen & ~seen
    return _sample(table.ttft_s, seen, table.age_s, waiting & table.censored, waiting & table.failed)


def tpot_sample(table: Requests, chosen: BoolArray) -> Sample:
    """Times per token of answers of more than one; of one cut off at least its age, over all gaps."""
    many = chosen & (table.n_asked > 1)
    since_s = np.nan_to_num(table.age_s - table.ttft_s)  # nothing is known before the first token
    at_least_s = since_s / np.maximum(table.n_asked - 1, 1)
    # An answer may end early, as where an end-of-text token came; then of one token it has no TPOT.
    seen = many & table.completed & (table.n_tokens > 1)
    return _sample(table.tpot_s, seen, at_least_s, many & table.censored, many & table.failed)


Sampler: TypeAlias = Callable[[Requests, npt.NDArray[np.bool_]], Sample]

SAMPLES: Mapping[str, Sampler] = MappingProxyType(
    {"e2e": e2e_sample, "ttft": ttft_sample, "tpot": tpot_sample}
)
"""By the latency's name."""


def _sample(
    values_s: FloatArray, seen: BoolArray, at_least_s: FloatArray, censored: BoolArray, never: BoolArray
) -> Sample:
    return Sample(values_s[seen], at_least_s[censored], int(never.sum()))
