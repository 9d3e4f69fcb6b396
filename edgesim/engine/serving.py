"""How a device serves several requests at once: as values, without a clock.

The default, first come first served, needs no value of its own here: see :mod:`edgesim.engine.station`.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

__all__ = ["ContinuousBatching", "ProcessorSharing", "Serving", "StaticBatching", "serving_name"]


@dataclass(frozen=True, slots=True)
class ProcessorSharing:
    """All passes at once, each at an equal share of the speed: threads on one processor.

    Not modelled: what switching between them costs.
    """


@dataclass(frozen=True, slots=True)
class StaticBatching:
    """Requests in closed batches: nobody joins until the last of a batch has ended.

    A batch starts when it is full, or when its oldest request has waited long enough. Prompts are padded
    to the longest; decoding goes on in lockstep, and the places of those that have ended stay empty.

    Parameters
    ----------
    max_batch
        Requests in a batch.
    max_wait_s
        How long the first one waits for company.
    """

    max_batch: int = 8
    max_wait_s: float = 0.0


@dataclass(frozen=True, slots=True)
class ContinuousBatching:
    """Iterations over whoever is there: decode steps of many requests in one pass, and chunks of prompts.

    Iteration-level scheduling (Yu et al. 2022, Orca) with chunked prefill (Agrawal et al. 2024,
    Sarathi-Serve): each iteration takes all waiting decode steps, oldest first, then as much of the waiting
    prompts, oldest first, as the token budget leaves.

    Parameters
    ----------
    max_batch
        Requests in an iteration.
    max_tokens
        Tokens in an iteration, decode steps and prompt chunks together.
    cache
        ``grow``: a request's KV cache takes room token by token; where there is none left, the request that
        came last is preempted, its cache dropped and computed anew when it is let in again (vLLM's
        preemption by recomputation, Kwon et al. 2023). ``reserve``: room for the whole length at once.
    """

    max_batch: int = 16
    max_tokens: int = 512
    cache: Literal["grow", "reserve"] = "grow"


Serving = ProcessorSharing | StaticBatching | ContinuousBatching


def serving_name(serving: Serving | None) -> str:
    """The discipline's name in the trace."""
    names = {
        ProcessorSharing: "processor-sharing",
        StaticBatching: "static",
        ContinuousBatching: "continuous",
    }
    return "fifo" if serving is None else names[type(serving)]
