"""MDI-LLM's ring of boards: fitted to one and two boards; predicts more boards and a larger model.

A board's time per block consists of reading its weights at a share of the memory's peak bandwidth, and of
dispatching it from Python. A runtime that dispatches ahead overlaps the shorter with the longer; one that
waits adds them. One model's rate determines only their sum; the sizes of another model distinguish them. Two
boards determine how long messages occupy a board. Pure message delay has only an upper bound, since with
three samples in flight two boards were never idle.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from functools import cache
from typing import Any

import numpy as np

from edgesim.model.architecture import Architecture, Component
from edgesim.rng import Streams
from edgesim.scenario.catalogue import model as known_model
from edgesim.units import BYTE_RATE, parse
from edgesim.validate.published.group_row import Floats, GroupRow, Role, interval, largest_parts
from edgesim.validate.published.groups_data import published_groups

__all__ = ["RingBoard", "ring_board", "ring_cuts", "ring_rows"]

N_SETS = 8_000

_READING_ERROR = 0.3
"""Reading error of a point of the published curves [s]; between the 500th and the 2000th token they span 82 s
(one board) and 56 s (two)."""

_PEAK_SHARES = (0.5, 0.95)
"""Range of the share of the memory's peak bandwidth at which eager PyTorch reads weights. Half of it means a
poor kernel; EdgeShard's AGX Orin reads Llama-2-7B in float32 in 140.34 ms (arXiv 2405.14371), 188 GB/s of
204.8 if nothing else takes any time."""

_MOST_CHOOSING_S = 5e-3
"""Longest time of choosing a token and the surrounding loop: 200 of 32,000 logits are kept, sorted and
sampled from. Assumed."""

_LEAST_LATENCY_S = 1e-4
"""Least delay of a message between two boards: twice the 50 us of the scenario's cable and switch."""


@dataclass(frozen=True)
class RingBoard:
    """Parameter sets of a board; each array has one element per set.

    Attributes
    ----------
    bytes_per_s
        Rate of reading weights and cache.
    dispatch_s
        Time to dispatch one block, or the head.
    hidden
        Share of the shorter of reading and dispatching that overlaps with the longer.
    choosing_s
        Time per token of choosing it and of the surrounding loop, at the starter.
    message_s
        Time per token for which messages occupy a board: one received, one sent.
    latency_s
        Pure delay of a token at every board.
    """

    bytes_per_s: Floats
    dispatch_s: Floats
    hidden: Floats
    choosing_s: Floats
    message_s: Floats
    latency_s: Floats

    def call_s(self, model: Architecture, component: Component, n_context: int) -> Floats:
        """Return the time of one block, or of the head."""
        _, moved = model.work_arrays(component, batch=1, n_new=1, n_context=n_context)
        reading_s = float(moved) / self.bytes_per_s
        hidden: Floats = self.hidden * np.minimum(reading_s, self.dispatch_s)
        return reading_s + self.dispatch_s - hidden

    def stages_s(self, model: Architecture, cut: Sequence[int], n_context: int) -> list[Floats]:
        """Return how long one token occupies each board; the first, the starter, also computes the head."""
        block_s = self.call_s(model, Component.BLOCK, n_context)
        ends_s = self.call_s(model, Component.HEAD, n_context) + self.choosing_s
        messages_s = self.message_s if len(cut) > 1 else np.zeros_like(self.message_s)
        return [
            n_blocks * block_s + messages_s + (ends_s if place == 0 else 0.0)
            for place, n_blocks in enumerate(cut)
        ]

    def period_s(
        self, model: Architecture, cut: Sequence[int], n_context: int, n_samples: int
    ) -> dict[str, Floats]:
        """Return the time between two tokens: of the slowest board, or of a round trip over all samples."""
        stages_s = self.stages_s(model, cut, n_context)
        slowest_s = np.max(stages_s, axis=0)
        if len(cut) == 1:
            return {"period": slowest_s, "waiting for samples": np.zeros_like(slowest_s)}
        round_s = (np.sum(stages_s, axis=0) + len(cut) * self.latency_s) / n_samples
        return {
            "period": np.maximum(slowest_s, round_s),
            "waiting for samples": np.maximum(0.0, round_s - slowest_s),
        }


@cache
def ring_board() -> RingBoard:
    """Return the parameter sets that are consistent with the rates of one and two boards."""
    data = published_groups()["mdi-llm"]
    row, n_context = data["rows"][0], data["context"]
    model, (_, cut) = _model(row, data), (row["cuts"][1], row["cuts"][2])
    rng = Streams(0)["groups mdi-llm"]
    n_tokens = 1500
    one_s, two_s = (
        (n_tokens / row["rate"][n] + _READING_ERROR * rng.standard_normal(N_SETS)) / n_tokens for n in (1, 2)
    )
    low, high = _PEAK_SHARES
    bytes_per_s = parse(data["peak"], BYTE_RATE) * (low + (high - low) * rng.random(N_SETS))
    hidden, choosing_s = rng.random(N_SETS), _MOST_CHOOSING_S * rng.random(N_SETS)
    dispatch_s = _dispatch_s(model, n_context, one_s - choosing_s, bytes_per_s, hidden)
    free = np.zeros(N_SETS)
    board = RingBoard(bytes_per_s, dispatch_s, hidden, choosing_s, free, free)
    message_s = two_s - np.max(board.stages_s(model, cut, n_context), axis=0)
    board = RingBoard(bytes_per_s, dispatch_s, hidden, choosing_s, message_s, free)
    stages_s = board.stages_s(model, cut, n_context)
    spare_s = (data["samples"] * two_s - np.sum(stages_s, axis=0)) / len(cut)
    ratio = np.maximum(1.0, spare_s / _LEAST_LATENCY_S)
    latency_s = _LEAST_LATENCY_S * ratio ** rng.random(N_SETS)  # of unknown order of magnitude
    kept = np.flatnonzero((dispatch_s > 0.0) & (message_s > 0.0) & (spare_s > 0.0))
    return RingBoard(
        *(each[kept] for each in (bytes_per_s, dispatch_s, hidden, choosing_s, message_s, latency_s))
    )


def ring_cuts(n_blocks: int, n_boards: int, ends_blocks: float) -> tuple[int, ...]:
    """Return the cut that minimises the slowest stage, with at least one block per board.

    Used for numbers of boards without a cut in the testbed's code. The starter's embedding, head and choice
    of a token count as `ends_blocks` blocks; among equal cuts, the one with the fewest blocks at the starter.
    """
    best: tuple[float, tuple[int, ...]] | None = None
    for n_starter in range(1, n_blocks - n_boards + 2):
        rest, others = n_blocks - n_starter, n_boards - 1
        cut = (n_starter, *(rest // others + (place < rest % others) for place in range(others)))
        slowest = max(n_starter + ends_blocks, float(max(cut[1:])))
        if best is None or slowest < best[0] - 1e-12:
            best = slowest, cut
    assert best is not None
    return best[1]


def ring_rows() -> list[GroupRow]:
    """Predict the published rates, and rings of four and eight boards."""
    data = published_groups()["mdi-llm"]
    board, n_context, found = ring_board(), data["context"], []
    for row in data["rows"]:
        model = _model(row, data)
        block_s = board.call_s(model, Component.BLOCK, n_context)
        ends_s = board.call_s(model, Component.HEAD, n_context) + board.choosing_s
        whole_s = model.n_blocks * block_s + ends_s
        ends_blocks = float(np.median(ends_s / block_s))
        cuts = {n: tuple(cut) for n, cut in row["cuts"].items()}
        if row["rate"]:  # without a published rate, two boards are already a prediction
            cuts |= {n: ring_cuts(model.n_blocks, n, ends_blocks) for n in (4, 8)}
        for n, cut in cuts.items():
            n_samples = data["samples"] if n in row["cuts"] else 2 * n
            period = board.period_s(model, cut, n_context, n_samples)
            ideal_s = whole_s / n
            parts = {
                "messages": board.message_s if n > 1 else 0.0 * board.message_s,
                "uneven cut": np.max(board.stages_s(model, cut, n_context), axis=0)
                - ideal_s
                - (board.message_s if n > 1 else 0.0),
                "waiting for samples": period["waiting for samples"],
            }
            median, low, high = interval(1.0 / period["period"])
            published = row["rate"].get(n)
            role: Role = "predicted" if published is None else "fitted"
            found.append(
                GroupRow(
                    testbed="MDI-LLM",
                    device="jetson-tx2",
                    model=model.name,
                    n_nodes=n,
                    unit="tokens/s",
                    published=published,
                    role=role,
                    predicted=median,
                    low=low,
                    high=high,
                    ideal=float(np.median(1.0 / ideal_s)),
                    mechanisms=largest_parts(parts) if n > 1 else "",
                )
            )
    return found


def _dispatch_s(
    model: Architecture, n_context: int, seconds: Floats, bytes_per_s: Floats, hidden: Floats
) -> Floats:
    """Return the dispatch time per call for which a token takes `seconds` in total, by bisection."""
    low, high = np.zeros_like(seconds), seconds / model.n_blocks
    free = np.zeros_like(seconds)
    for _ in range(60):
        middle = (low + high) / 2.0
        board = RingBoard(bytes_per_s, middle, hidden, free, free, free)
        total = model.n_blocks * board.call_s(model, Component.BLOCK, n_context)
        is_short = total + board.call_s(model, Component.HEAD, n_context) < seconds
        low, high = np.where(is_short, middle, low), np.where(is_short, high, middle)
    return np.where(low > 0.0, (low + high) / 2.0, 0.0)


def _model(row: dict[str, Any], data: dict[str, Any]) -> Architecture:
    return known_model(row["model"]).architecture(data["dtype"])
