"""What a policy sees of a request and its surroundings when it decides where to cut."""

from __future__ import annotations

import math
from collections.abc import Mapping
from types import MappingProxyType
from typing import get_args

from edgesim.errors import InputError
from edgesim.strategies.rl_split.options import Seen
from edgesim.strategy import Cluster, LiveRequest

__all__ = ["HIGHEST", "LOWEST", "PUBLISHED", "check_names", "look"]

PUBLISHED: tuple[Seen, ...] = ("loss", "split")
"""The paper's state."""

_MOST_S = 60.0  # waits beyond are told as this
_LEAST_BPS, _MOST_BPS = 1.0, 1e12
_LEAST_DB, _MOST_DB = -20.0, 60.0
_MOST_REQUESTS = 64.0

LOWEST: Mapping[str, float] = MappingProxyType(dict.fromkeys(get_args(Seen), 0.0) | {"snr_db": _LEAST_DB})
"""Least that each can be."""

HIGHEST: Mapping[str, float] = MappingProxyType(
    {
        "loss": 1.0,
        "snr_db": _MOST_DB,
        "rate": math.log10(_MOST_BPS),
        "battery": 1.0,
        "edge_requests": _MOST_REQUESTS,
    }
    | dict.fromkeys(("link_queue_s", "device_work_s", "edge_work_s"), _MOST_S)
)
"""Most that each can be, but for blocks and tokens, which depend on model and requests."""


def check_names(names: tuple[str, ...], where: str) -> None:
    """Raise InputError unless these are names of what can be seen."""
    for name in names:
        if name not in get_args(Seen):
            raise InputError(
                f"rl_split: {where} sees {name!r}, which is not observed here; there are "
                f"{', '.join(get_args(Seen))}"
            )


def look(
    cluster: Cluster,
    request: LiveRequest,
    edge: str,
    split: int,
    *,
    capacity_j: float | None,
    n_done: int,
    is_there: bool,
    is_published: bool = False,
) -> Mapping[str, float]:
    """All that can be seen, by name; finite numbers.

    Parameters
    ----------
    split
        That is in force.
    capacity_j
        Of the device's battery; None on the mains.
    n_done
        Tokens that have been answered.
    is_there
        Whether the request has a place at the edge already; it counts there in any case.
    is_published
        Whether the loss and the split are all that is asked for.
    """
    view, device = cluster.observe(), request.source
    up = view.route(device, edge)
    seen = {"loss": up.unacknowledged_loss, "split": float(split)}
    if is_published:
        return seen
    battery_j = view.battery_j(device)
    snr_db = up.snr_db
    return seen | {
        "snr_db": _MOST_DB if snr_db is None else min(_MOST_DB, max(_LEAST_DB, snr_db)),
        "rate": math.log10(max(_LEAST_BPS, min(up.rate_bps, _MOST_BPS))),
        "link_queue_s": min(_MOST_S, up.queued_s),
        "device_work_s": min(_MOST_S, view.work_s(device)),
        "edge_work_s": min(_MOST_S, view.work_s(edge)),
        "edge_requests": min(_MOST_REQUESTS, float(view.n_requests(edge) + (not is_there))),
        "battery": 1.0 if battery_j is None or not capacity_j else battery_j / capacity_j,
        "tokens_left": float(request.n_output_tokens - n_done),
        "context": float(request.n_prompt_tokens + n_done),
    }
