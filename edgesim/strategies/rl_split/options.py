"""Types of the strategy's options, as written in scenarios."""

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
    """Weights of a request's utility, which is minus the weighted sum of its costs."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    quality: float = Field(
        1.0,
        ge=0,
        allow_inf_nan=False,
        description="Weight of a rise of the negative log likelihood [per nat]",
    )
    latency_per_s: float = Field(
        0.0,
        ge=0,
        allow_inf_nan=False,
        description="Weight of the time from arrival to the last token [per s]",
    )
    energy_per_j: float = Field(
        0.0,
        ge=0,
        allow_inf_nan=False,
        description="Weight of the energy drawn for the request beyond idle power [per J]",
    )
    load: float = Field(
        0.0, ge=0, allow_inf_nan=False, description="Weight of the share of blocks on the user's device"
    )
    failure: float = Field(
        3.0,
        ge=0,
        allow_inf_nan=False,
        description="Cost of a request without its answer, where a policy is trained",
    )


class Learning(BaseModel):
    """Settings of the training of `policy: trained`."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    algorithm: Literal["ppo", "a2c", "dqn"] = Field("ppo", description="Reinforcement learning algorithm")
    steps: int | None = Field(None, ge=1, description="Decisions to learn from; default: the recipe's number")
    seed: int = Field(0, ge=0, description="Seed of all random numbers of the training")
