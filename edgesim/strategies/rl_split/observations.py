"""Observations of a request and its environment, for decisions on the split."""

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
"""State of the published problem."""

_MOST_S = 60.0  # longer waits are reported as this
_LEAST_BPS, _MOST_BPS = 1.0, 1e12
_LEAST_DB, _MOST_DB = -20.0, 60.0
_MOST_REQUESTS = 64.0

LOWEST: Mapping[str, float] = MappingProxyType(dict.fromkeys(get_args(Seen), 0.0) | {"snr_db": _LEAST_DB})
"""Lower end of each observation's range."""

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
"""Upper end of each range, except for blocks and tokens, which depend on model and requests."""


def check_names(names: tuple[str, ...], where: str) -> None:
    """Raise InputError unless all names are those of observations."""
    for name in names:
        if name not in get_args(Seen):
            raise InputError(
                f"rl_split: {where} uses {name!r}, which is not an observation here; expected "
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
    """Return all observations by name, as finite numbers.

    Parameters
    ----------
    split
        Present split.
    capacity_j
        Capacity of the device's battery; None on the mains.
    n_done
        Number of tokens already generated.
    is_there
        Whether the request already has a reservation at the edge. It is counted there in any case.
    is_published
        Whether only loss and split are requested.
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
