"""Requests that wait for one another: a user asks again when the last answer has ended."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from typing import NamedTuple

__all__ = ["Conversation", "Turn"]


class Turn(NamedTuple):
    """One request of a conversation; when it arrives, the run alone can tell.

    Attributes
    ----------
    id
        The request's number. It is given by the conversation and the turn, not by the order of arrival, so
        that it names the same request under every strategy.
    source, sample, n_prompt_tokens, n_output_tokens
        As of :class:`~edgesim.workload.requests.Request`.
    think_s
        Time from the end of the turn before it (of the first turn: from the conversation's start).
    """

    id: int
    source: str
    sample: int
    n_prompt_tokens: int
    n_output_tokens: int
    think_s: float


@dataclass(frozen=True, slots=True)
class Conversation:
    """Turns that follow one another, each after the end of the one before it, failed or completed.

    Attributes
    ----------
    starts_at_s
        When its user comes.
    turns
        What is asked, to be read once.
    is_endless
        Whether there is always another turn.
    """

    starts_at_s: float
    turns: Iterator[Turn]
    is_endless: bool = False
