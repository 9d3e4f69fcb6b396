"""Dynamic batching."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Annotated, ClassVar

from pydantic import Field

from edgesim.fields import Seconds
from edgesim.world.discipline import BatchSize, Limits, ServingDiscipline

__all__ = ["DynamicBatching"]


@dataclass(frozen=True, slots=True)
class DynamicBatching(Limits, ServingDiscipline):
    """Like passes that wait when the device is free are one pass; also at a stage of a pipeline.

    Serving systems call it dynamic batching (NVIDIA Triton's ``max_batch_size`` and ``max_queue_delay``); a
    stage of a pipeline that computes requests which meet there together does the same. A request has no
    place, and does not wait for the others of a batch afterwards: each continues on its own, and no token
    waits for the slowest of its batch ("no bubbles", EdgeShard, arXiv 2405.14371).

    Not modelled: one message for all of a batch. Each request's message leaves at the same instant, and they
    use the link one after the other.
    """

    max_batch: BatchSize = 8
    """Passes in one."""
    max_wait_s: Annotated[Seconds, Field(alias="max_wait")] = 0.0
    """How long an idle device waits for more passes after the first has arrived."""

    name: ClassVar[str] = "batched"
    is_in_batches: ClassVar[bool] = True

    @property
    def most_at_once(self) -> int:
        """Largest number of passes in one."""
        return self.max_batch

    @property
    def most_prompts_at_once(self) -> int:
        """Largest number of passes in one."""
        return self.max_batch
