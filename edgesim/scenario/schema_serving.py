"""How a device serves several requests at once, as a scenario says it."""

from __future__ import annotations

from typing import Annotated, Any, ClassVar, Literal

from pydantic import Field, GetJsonSchemaHandler, model_validator
from pydantic.json_schema import JsonSchemaValue
from pydantic_core import CoreSchema

from edgesim.engine.serving import ContinuousBatching, ProcessorSharing, Serving, StaticBatching
from edgesim.scenario.quantities import Seconds
from edgesim.scenario.section import Choice, Section

__all__ = ["ContinuousEntry", "Plain", "ServingChoice", "StaticEntry"]

BatchSize = Annotated[int, Field(strict=True, ge=1, le=4096)]
TokenBudget = Annotated[int, Field(strict=True, ge=1, le=1_000_000)]


class StaticEntry(Section):
    """Closed batches: nobody joins until the last of a batch has ended."""

    max_batch: BatchSize = 8
    """Requests in a batch."""
    max_wait_s: Seconds = Field(default=0.0, alias="max_wait")
    """How long the first one waits for company."""


class ContinuousEntry(Section):
    """One iteration after another over whoever is there, prompts in chunks."""

    max_batch: BatchSize = 16
    """Requests in an iteration."""
    max_tokens: TokenBudget = 512
    """Tokens in an iteration, decode steps and prompt chunks together."""
    cache: Literal["grow", "reserve"] = "grow"
    """`grow`: KV caches take room token by token, and the last request is preempted where there is none left;
    `reserve`: room for a request's whole length at once."""


class Plain(Section):
    """A discipline without options."""


class ServingChoice(Choice):
    """One discipline; ``fifo`` and ``processor-sharing`` may be written as words."""

    example: ClassVar[str] = "processor-sharing or {continuous: {max_batch: 16}}"

    fifo: Plain | None = None
    """One pass at a time, first come, first served."""
    processor_sharing: Plain | None = Field(default=None, alias="processor-sharing")
    """All passes at once, each at an equal share of the speed."""
    static: StaticEntry | None = None
    """Closed batches."""
    continuous: ContinuousEntry | None = None
    """Iteration-level batching with chunked prefill."""

    @model_validator(mode="before")
    @classmethod
    def _from_word(cls, data: object) -> object:
        return {data: {}} if isinstance(data, str) else data

    @classmethod
    def __get_pydantic_json_schema__(
        cls, core_schema: CoreSchema, handler: GetJsonSchemaHandler
    ) -> JsonSchemaValue:
        """Allow the single word, too."""
        words: dict[str, Any] = {"enum": ["fifo", "processor-sharing", "static", "continuous"]}
        return {"anyOf": [words, handler(core_schema)]}

    def value(self) -> Serving | None:
        """Return the discipline as the engine knows it; None is first come, first served."""
        if self.processor_sharing is not None:
            return ProcessorSharing()
        if self.static is not None:
            return StaticBatching(self.static.max_batch, self.static.max_wait_s)
        if self.continuous is not None:
            entry = self.continuous
            return ContinuousBatching(entry.max_batch, entry.max_tokens, entry.cache)
        return None
