"""Continuous batching."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Annotated, ClassVar, Literal

from pydantic import Field

from edgesim.world.discipline import BatchSize, Limits, ServingDiscipline

__all__ = ["ContinuousBatching"]

TokenBudget = Annotated[int, Field(strict=True, ge=1, le=1_000_000)]


@dataclass(frozen=True, slots=True)
class ContinuousBatching(Limits, ServingDiscipline):
    """Iteration-level batching with chunked prefill.

    Iteration-level scheduling (Yu et al. 2022, Orca) with chunked prefill (Agrawal et al. 2024,
    Sarathi-Serve): each iteration takes the waiting decode steps, oldest request first, then as much of the
    waiting prompts, oldest first, as the token budget leaves. A request waits for a place and for memory in
    one queue, first come first served (along a pipeline for those of all stages at once), and keeps both
    until it ends or is preempted.

    With ``cache: grow``, where no memory is left, the request that arrived last is preempted: its caches are
    dropped, and computed again when it is admitted again (vLLM's preemption by recomputation, Kwon et al.
    2023; see :mod:`edgesim.engine.memory.preemption`).
    """

    max_batch: BatchSize = 16
    """Requests that are served at once; each keeps its place until it ends."""
    max_tokens: TokenBudget = 512
    """Tokens in an iteration, decode steps and prompt chunks together."""
    cache: Literal["grow", "reserve"] = "grow"
    """`grow`: memory is reserved token by token, and the last request is preempted where none is left;
    `reserve`: memory for a request's whole length at once."""

    name: ClassVar[str] = "continuous"
    is_in_batches: ClassVar[bool] = True

    @property
    def grows_caches(self) -> bool:
        """Whether memory is reserved token by token."""
        return self.cache == "grow"

    @property
    def n_places(self) -> int | None:
        """As many as decode together."""
        return self.max_batch

    @property
    def place_limits(self) -> Limits:
        """Its own: requests get their places with their memory."""
        return self

    @property
    def most_at_once(self) -> int:
        """As many as have places."""
        return self.max_batch
