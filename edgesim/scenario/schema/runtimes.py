"""Schema of inference engines (runtimes), in the catalogue or in a scenario."""

from __future__ import annotations

from typing import Annotated

from pydantic import Field

from edgesim.fields import Seconds
from edgesim.scenario.text.section import Section

__all__ = ["RuntimeChoice", "RuntimeEntry"]

Share = Annotated[float, Field(gt=0, le=1)]
Rate = Annotated[float, Field(gt=0, le=16)]
Cost = Annotated[float, Field(gt=0, le=100)]


class RuntimeEntry(Section):
    """An inference engine: its shares of a device's peaks, and its costs of calls, the head and messages.

    What is not given of shares, calls and head is fitted to published rates, with its uncertainty
    (:mod:`edgesim.model.efficiency`); what is given has no uncertainty.
    """

    description: str = ""
    """One-line description."""
    fitted_as: str | None = None
    """Engine of the catalogue whose fit to published rates is used; by default the fit for engines in
    general."""
    eager: bool = False
    """Whether an interpreter calls the operations one by one; on a GPU these calls overlap with longer
    work."""
    memory: Share | None = None
    """Share of the peak memory bandwidth."""
    vector: Rate | None = None
    """Rate of touching weights as a share of the vector units' float32 peak; above 1 with half-precision or
    integer arithmetic."""
    matrix: Share | None = None
    """Share of the matrix peak during prefill."""
    overhead_s: Seconds | None = Field(default=None, alias="overhead_per_call")
    """Overhead of calling one block, embedding or head."""
    head_cost: Cost | None = None
    """Time to stream and touch a weight of the head, over that of a weight of a block."""
    message_overhead_s: Seconds | None = Field(default=None, alias="message_overhead")
    """Overhead of one message at its own end, instead of the kind's `endpoint.overhead`."""
    on_compute: bool | None = None
    """Whether messages occupy the processor that computes, instead of the kind's `endpoint.on_compute`."""
    parameters: str | None = None
    """File of fitted parameters (`edgesim calibrate --parameters`); by default those shipped with edgesim."""
    source: str = ""
    """Source of the figures."""


RuntimeChoice = str | RuntimeEntry
