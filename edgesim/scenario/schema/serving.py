"""Scenario section of serving disciplines."""

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
    """Most requests that can wait for their first pass; further ones fail."""
    patience_s: PositiveSeconds | None = Field(default=None, alias="patience")
    """Longest time that a request waits for its first pass before it fails."""

    def limits(self) -> dict[str, Any]:
        """Return the queue limits as keyword arguments of a discipline."""
        return {"queue_limit": self.queue_limit, "patience_s": self.patience_s}


class StaticEntry(FifoEntry):
    """Static batching: no request joins a batch until its last request has ended."""

    max_batch: BatchSize = 8
    """Maximum number of requests in a batch."""
    max_wait_s: Seconds = Field(default=0.0, alias="max_wait")
    """Longest time that the first request waits for others to join the batch."""


class ContinuousEntry(FifoEntry):
    """Continuous batching: iterations over all admitted requests, with chunked prefill."""

    max_batch: BatchSize = 16
    """Maximum number of requests served at once; each occupies its place until it ends."""
    max_tokens: TokenBudget = 512
    """Maximum number of tokens in an iteration, decode steps and prompt chunks together."""
    cache: Literal["grow", "reserve"] = "grow"
    """`grow`: KV caches occupy memory token by token, and the last request is preempted when none is left;
    `reserve`: memory for a request's whole length is reserved at once."""


class BatchedEntry(FifoEntry):
    """Dynamic batching: passes of the same type that wait when the device becomes free are merged.

    This also applies to the stages of a pipeline.
    """

    max_batch: BatchSize = 8
    """Maximum number of passes merged into one."""
    max_wait_s: Seconds = Field(default=0.0, alias="max_wait")
    """Longest time that an idle device waits for further passes after the first has arrived."""


class Plain(Section):
    """A discipline without options."""


class ServingChoice(Choice):
    """One serving discipline; a discipline with default options can be written as a single word."""

    example: ClassVar[str] = "processor-sharing or {continuous: {max_batch: 16}}"

    fifo: FifoEntry | None = None
    """One pass at a time, first come, first served."""
    processor_sharing: Plain | None = Field(default=None, alias="processor-sharing")
    """All passes at once, each with an equal share of the speed."""
    static: StaticEntry | None = None
    """Static batching: a batch is served until its last request has ended."""
    continuous: ContinuousEntry | None = None
    """Continuous (iteration-level) batching with chunked prefill."""
    batched: BatchedEntry | None = Field(default=None, exclude_if=is_not_given)
    """Dynamic batching: passes that wait together are merged into one, and requests continue
    independently."""

    @model_validator(mode="before")
    @classmethod
    def _from_word(cls, data: object) -> object:
        return {data: {}} if isinstance(data, str) else data

    @classmethod
    def __get_pydantic_json_schema__(
        cls, core_schema: CoreSchema, handler: GetJsonSchemaHandler
    ) -> JsonSchemaValue:
        """Return a schema that also accepts the single word."""
        words: dict[str, Any] = {"enum": ["fifo", "processor-sharing", "static", "continuous", "batched"]}
        return {"anyOf": [words, handler(core_schema)]}

    def value(self) -> ServingDiscipline | None:
        """Return the discipline for the engine; None means first come, first served, without limits."""
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
