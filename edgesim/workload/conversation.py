"""Conversations: requests that each wait for the end of the answer before."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from typing import NamedTuple

__all__ = ["Conversation", "Turn"]


class Turn(NamedTuple):
    """One request of a conversation; its arrival is determined during the run.

    Attributes
    ----------
    id
        The request's number. It is determined by the conversation and the turn, not by the order of
        arrival, so that it identifies the same request under every strategy.
    source, sample, n_prompt_tokens, n_output_tokens
        As in :class:`~edgesim.workload.requests.Request`.
    think_s
        Time from the end of the turn before (for the first turn: from the start of the conversation).
    """

    id: int
    source: str
    sample: int
    n_prompt_tokens: int
    n_output_tokens: int
    think_s: float


@dataclass(frozen=True, slots=True)
class Conversation:
    """A sequence of turns, each of which arrives after the one before has completed or failed.

    Attributes
    ----------
    starts_at_s
        Instant at which the user starts.
    turns
        The turns, to be read once.
    is_endless
        Whether there is always another turn.
    """

    starts_at_s: float
    turns: Iterator[Turn]
    is_endless: bool = False
