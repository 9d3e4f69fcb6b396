"""Static batching."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Annotated, ClassVar

from pydantic import Field

from edgesim.fields import Seconds
from edgesim.world.discipline import BatchSize, Limits, ServingDiscipline

__all__ = ["StaticBatching"]


@dataclass(frozen=True, slots=True)
class StaticBatching(Limits, ServingDiscipline):
    """Closed batches: no request joins until the last of a batch has ended.

    A batch starts when it is full, or when its oldest request has waited for ``max_wait``. Prompts are padded
    to the longest. Decoding goes on in lockstep, and the rows of requests that have ended stay in the tensor:
    all rows are computed at the padded length until the batch ends, as transformers' `generate` and
    FasterTransformer compute a batch.

    Not modelled: KV memory of padding and of rows that have ended (a request reserves memory for its own
    tokens, until its own end); batches that stay together from stage to stage. Each device forms batches of
    its own, and members of two would wait for one another; a placement with two such stages is refused before
    time zero (:mod:`edgesim.world.stages`).
    """

    max_batch: BatchSize = 8
    """Requests in a batch."""
    max_wait_s: Annotated[Seconds, Field(alias="max_wait")] = 0.0
    """How long the first request waits for others."""

    name: ClassVar[str] = "static"
    is_in_batches: ClassVar[bool] = True
    is_in_lockstep: ClassVar[bool] = True

    @property
    def most_at_once(self) -> int:
        """The size of a batch."""
        return self.max_batch

    @property
    def most_prompts_at_once(self) -> int:
        """The size of a batch, whose padded prompts are one pass."""
        return self.max_batch
