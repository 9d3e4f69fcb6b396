"""What runs a model on a device: an engine of the catalogue, or one that a scenario describes."""

from __future__ import annotations

from typing import Annotated

from pydantic import Field

from edgesim.fields import Seconds
from edgesim.scenario.text.section import Section

__all__ = ["RuntimeChoice", "RuntimeEntry"]

Share = Annotated[float, Field(gt=0, le=1)]
Rate = Annotated[float, Field(gt=0, le=16)]


class RuntimeEntry(Section):
    """An engine: what it reaches of a device's peaks, and what calls, messages and starting cost.

    A share that is not given is fitted to published rates, with its uncertainty
    (:mod:`edgesim.model.efficiency`); one that is given counts as known.
    """

    description: str = ""
    """What it is, in a line."""
    fitted_as: str | None = None
    """The engine of the catalogue whose published rates speak for it; none: what is known of engines in
    general."""
    eager: bool = False
    """Whether an interpreter calls operation by operation; on a GPU these calls hide behind longer work."""
    memory: Share | None = None
    """Share of the memory's peak."""
    vector: Rate | None = None
    """Weights touched, as a share of the vector units' float32 peak; above 1 by half-precision or integer
    arithmetic."""
    matrix: Share | None = None
    """Share of the matrix peak when reading prompts."""
    overhead_s: Seconds | None = Field(default=None, alias="overhead_per_call")
    """Cost of calling one block, embedding or head."""
    message_overhead_s: Seconds | None = Field(default=None, alias="message_overhead")
    """Cost of one message at its own end, in the place of the kind's `endpoint.overhead`."""
    on_compute: bool | None = None
    """Whether its messages occupy the processor that computes, in the place of the kind's."""
    parameters: str | None = None
    """A file of fitted parameters (`edgesim calibrate --parameters`); those that come with edgesim if not
    given."""
    source: str = ""
    """Where the figures come from."""


RuntimeChoice = str | RuntimeEntry
