"""How a device serves several requests at once, as a scenario says it."""

from __future__ import annotations

from typing import Annotated, Any, ClassVar, Literal

from pydantic import Field, GetJsonSchemaHandler, model_validator
from pydantic.json_schema import JsonSchemaValue
from pydantic_core import CoreSchema

from edgesim.fields import PositiveSeconds, Seconds, is_not_given
from edgesim.scenario.text.section import Choice, Section
from edgesim.world.disciplines import (
    ContinuousBatching,
    DynamicBatching,
    FirstComeFirstServed,
    ProcessorSharing,
    ServingDiscipline,
    StaticBatching,
)

__all__ = ["BatchedEntry", "ContinuousEntry", "FifoEntry", "Plain", "ServingChoice", "StaticEntry"]

BatchSize = Annotated[int, Field(strict=True, ge=1, le=4096)]
QueueLimit = Annotated[int, Field(strict=True, ge=1, le=100_000_000)]
TokenBudget = Annotated[int, Field(strict=True, ge=1, le=1_000_000)]


class FifoEntry(Section):
    """One pass at a time, first come, first served."""

    queue_limit: QueueLimit | None = None
    """Requests that may wait for their first pass; one more fails."""
    patience_s: PositiveSeconds | None = Field(default=None, alias="patience")
    """How long a request waits for its first pass before it fails."""

    def limits(self) -> dict[str, Any]:
        """Limits to the queue, as every discipline with a queue takes them."""
        return {"queue_limit": self.queue_limit, "patience_s": self.patience_s}


class StaticEntry(FifoEntry):
    """Closed batches: nobody joins until the last of a batch has ended."""

    max_batch: BatchSize = 8
    """Requests in a batch."""
    max_wait_s: Seconds = Field(default=0.0, alias="max_wait")
    """How long the first one waits for company."""


class ContinuousEntry(FifoEntry):
    """One iteration after another over whoever is there, prompts in chunks."""

    max_batch: BatchSize = 16
    """Requests that are served at once; each keeps its place until it ends."""
    max_tokens: TokenBudget = 512
    """Tokens in an iteration, decode steps and prompt chunks together."""
    cache: Literal["grow", "reserve"] = "grow"
    """`grow`: KV caches take room token by token, and the last request is preempted where there is none left;
    `reserve`: room for a request's whole length at once."""


class BatchedEntry(FifoEntry):
    """Like passes that wait when the device is free are one pass; at a stage of a pipeline, too."""

    max_batch: BatchSize = 8
    """Passes in one."""
    max_wait_s: Seconds = Field(default=0.0, alias="max_wait")
    """How long an idle device waits for company after the first has come."""


class Plain(Section):
    """A discipline without options."""


class ServingChoice(Choice):
    """One discipline; ``fifo`` and ``processor-sharing`` may be written as words."""

    example: ClassVar[str] = "processor-sharing or {continuous: {max_batch: 16}}"

    fifo: FifoEntry | None = None
    """One pass at a time, first come, first served."""
    processor_sharing: Plain | None = Field(default=None, alias="processor-sharing")
    """All passes at once, each at an equal share of the speed."""
    static: StaticEntry | None = None
    """Closed batches."""
    continuous: ContinuousEntry | None = None
    """Iteration-level batching with chunked prefill."""
    batched: BatchedEntry | None = Field(default=None, exclude_if=is_not_given)
    """Whatever meets at the device is one pass, and goes on request by request."""

    @model_validator(mode="before")
    @classmethod
    def _from_word(cls, data: object) -> object:
        return {data: {}} if isinstance(data, str) else data

    @classmethod
    def __get_pydantic_json_schema__(
        cls, core_schema: CoreSchema, handler: GetJsonSchemaHandler
    ) -> JsonSchemaValue:
        """Allow the single word, too."""
        words: dict[str, Any] = {"enum": ["fifo", "processor-sharing", "static", "continuous", "batched"]}
        return {"anyOf": [words, handler(core_schema)]}

    def value(self) -> ServingDiscipline | None:
        """Return the discipline as the engine knows it; None is first come, first served, without limits."""
        if self.processor_sharing is not None:
            return ProcessorSharing()
        if self.static is not None:
            return StaticBatching(self.static.max_batch, self.static.max_wait_s, **self.static.limits())
        if self.batched is not None:
            return DynamicBatching(self.batched.max_batch, self.batched.max_wait_s, **self.batched.limits())
        if self.continuous is not None:
            entry = self.continuous
            return ContinuousBatching(entry.max_batch, entry.max_tokens, entry.cache, **entry.limits())
        if self.fifo is not None and (self.fifo.queue_limit or self.fifo.patience_s):
            return FirstComeFirstServed(**self.fifo.limits())
        return None
