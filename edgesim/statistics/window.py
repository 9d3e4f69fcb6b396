"""Which requests count, and over which stretch of time rates are taken."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TypeAlias

import numpy as np
import numpy.typing as npt

__all__ = ["Window", "counted", "steady_window"]

FloatArray: TypeAlias = npt.NDArray[np.float64]

_AT_ONCE = 0.1  # of the time in which requests are served is so short that they come as one batch
_MOST = 0.9  # of the requests: a straggler makes no batch


@dataclass(frozen=True, slots=True)
class Window:
    """A stretch of time, its end included: what happens at its start belongs to what was before.

    `is_batch` where requests come (nearly) all at once, and it lasts until the last of them has ended.
    """

    from_s: float
    until_s: float
    is_batch: bool = False

    @property
    def length_s(self) -> float:
        """Its length; 0 where it ends before it begins."""
        return max(self.until_s - self.from_s, 0.0)

    def n_within(self, at_s: FloatArray) -> int:
        """How many instants lie in it; NaN does not."""
        return int(((at_s > self.from_s) & (at_s <= self.until_s)).sum())


def counted(arrived_at_s: FloatArray, warmup_s: float, horizon_s: float | None) -> npt.NDArray[np.bool_]:
    """Which requests count: those that arrived from the end of the warm-up to just before the horizon."""
    late = np.inf if horizon_s is None else horizon_s
    return (arrived_at_s >= warmup_s) & (arrived_at_s < late)


def steady_window(
    request_id: npt.NDArray[np.int64],
    arrived_at_s: FloatArray,
    ended_at_s: FloatArray,
    *,
    warmup_s: float,
    horizon_s: float | None,
    n_users: int | None,
) -> Window | None:
    """Return the stretch in which load is offered as the scenario says; None without requests.

    With a horizon it ends there. Without one a run ends by its number of requests, and at its end less and
    less is asked (the run-out), which is no property of the system: with open arrivals the stretch ends at
    the last arrival, with a fixed number of users when the first of them has had the last answer, for from
    then on there are fewer users than the scenario says.

    Open requests that come (nearly) all at once are a batch, whose rate is that over its makespan (MLPerf's
    offline scenario): those of which the last arrives within a tenth of the time in which nine in ten end.
    Up to the last arrival next to nothing has been served then, and what happens in that stretch says how it
    begins, and neither what is asked of the system nor what it can do.

    Parameters
    ----------
    n_users
        The fixed number of users of a closed loop, whose k-th request has the number ``k n_users + user``;
        None for open arrivals.
    """
    if horizon_s is not None:
        return Window(warmup_s, horizon_s)
    if not arrived_at_s.size:
        return None
    if n_users is None:
        first_s, last_s = float(arrived_at_s.min()), float(arrived_at_s.max())
        ended_at_s = ended_at_s[~np.isnan(ended_at_s)]
        if ended_at_s.size and last_s - first_s <= _AT_ONCE * (np.quantile(ended_at_s, _MOST) - first_s):
            return Window(max(first_s, warmup_s), float(ended_at_s.max()), is_batch=True)
        return Window(warmup_s, last_s)
    user, left_at_s = request_id % n_users, np.full(n_users, -np.inf)
    np.maximum.at(left_at_s, user, np.where(np.isnan(ended_at_s), np.inf, ended_at_s))
    left_at_s = left_at_s[left_at_s > -np.inf]
    # A user who still waits when all else is over leaves with the last arrival.
    last_s = float(np.nanmax(np.concatenate([arrived_at_s, ended_at_s])))
    return Window(warmup_s, min(float(left_at_s.min()), last_s))
