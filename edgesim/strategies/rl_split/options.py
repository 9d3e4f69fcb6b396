"""Kinds of options, as a scenario writes them."""

from __future__ import annotations

from typing import Annotated, Literal

from pydantic import BaseModel, BeforeValidator, ConfigDict, Field

__all__ = ["Decide", "Learning", "Names", "Seen", "Splits", "Weights"]

Seen = Literal[
    "loss",
    "split",
    "snr_db",
    "rate",
    "link_queue_s",
    "device_work_s",
    "edge_work_s",
    "edge_requests",
    "battery",
    "tokens_left",
    "context",
]


def _as_tuple(value: object) -> object:
    return (value,) if isinstance(value, str | int) and not isinstance(value, bool) else value


Names = Annotated[
    tuple[str, ...],
    BeforeValidator(_as_tuple, json_schema_input_type=str | tuple[str, ...]),
    Field(min_length=1),
]

Splits = Annotated[
    tuple[Annotated[int, Field(ge=0, strict=True)], ...],
    BeforeValidator(_as_tuple, json_schema_input_type=int | tuple[int, ...]),
]

Decide = Literal["request", "token"] | Annotated[int, Field(ge=1, strict=True)]


class Weights(BaseModel):
    """What a request is worth: minus the weighted sum of what it costs."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    quality: float = Field(
        1.0, ge=0, allow_inf_nan=False, description="Of a rise of the log likelihood by 1 nat"
    )
    latency_per_s: float = Field(
        0.0, ge=0, allow_inf_nan=False, description="Of a second from arrival to the last token"
    )
    energy_per_j: float = Field(
        0.0,
        ge=0,
        allow_inf_nan=False,
        description="Of a joule that is drawn for it beside idling",
    )
    load: float = Field(
        0.0, ge=0, allow_inf_nan=False, description="Of the share of blocks on the user's device"
    )
    failure: float = Field(
        3.0,
        ge=0,
        allow_inf_nan=False,
        description="Of a request without its answer, where a policy is trained",
    )


class Learning(BaseModel):
    """How `policy: trained` learns."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    algorithm: Literal["ppo", "a2c", "dqn"] = Field("ppo", description="Of reinforcement learning")
    steps: int | None = Field(None, ge=1, description="Decisions to learn from; if not given, the recipe's")
    seed: int = Field(0, ge=0, description="Of all that is drawn in learning")
