"""What every metric means, by its name in JSON and DataFrames, and its unit."""

from __future__ import annotations

from collections.abc import Mapping
from types import MappingProxyType

__all__ = ["METRICS"]

_LATENCIES = {
    "ttft": "time from a request's arrival to its first token",
    "tpot": "mean time per token after the first, of a request",
    "itl": "time between two consecutive tokens of a request",
    "e2e": "time from a request's arrival to its last token",
}
_MOMENTS = {"mean": "mean", "p50": "median", "p95": "95th percentile", "p99": "99th percentile"}

METRICS: Mapping[str, tuple[str, str]] = MappingProxyType(
    {
        f"{latency}_{moment}_s": ("s", f"{latency.upper()}, {about}: {word}")
        for latency, about in _LATENCIES.items()
        for moment, word in _MOMENTS.items()
    }
    | {
        "output_tokens_per_s": ("1/s", "tokens delivered in the steady window"),
        "requests_per_s": ("1/s", "requests completed in the steady window"),
        "goodput_per_s": ("1/s", "of these, those that met every objective"),
        "attainment": ("share", "requests that met every objective"),
        "active_j_per_token": ("J", "energy of computing, sending and receiving per token delivered"),
        "asker_j_per_token": ("J", "of that, the part of the devices at which requests arise"),
        "total_j_per_token": ("J", "energy per token delivered, with that of idling"),
        "perplexity": ("1", "exp of the mean negative log likelihood per token, where answers are measured"),
        "accuracy": ("share", "tokens that were right, where answers are measured"),
    }
)
"""Name: unit, and what it is (docs/reference/metrics.md defines them)."""
