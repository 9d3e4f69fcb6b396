"""Counted requests, and the time window over which rates are taken."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TypeAlias

import numpy as np
import numpy.typing as npt

__all__ = ["Window", "counted", "steady_window"]

FloatArray: TypeAlias = npt.NDArray[np.float64]

_AT_ONCE = 0.1  # requests form a batch if they arrive within this share of the time in which they are served
_MOST = 0.9  # share of requests that defines that time, so that a straggler does not


@dataclass(frozen=True, slots=True)
class Window:
    """A time window that includes its end but not its start.

    `is_batch` is true if requests arrive (nearly) all at once; the window then ends with the last of them.
    """

    from_s: float
    until_s: float
    is_batch: bool = False

    @property
    def length_s(self) -> float:
        """Length of the window [s]; 0 if its end is before its start."""
        return max(self.until_s - self.from_s, 0.0)

    def n_within(self, at_s: FloatArray) -> int:
        """Return the number of instants in the window, ignoring NaN."""
        return int(((at_s > self.from_s) & (at_s <= self.until_s)).sum())


def counted(arrived_at_s: FloatArray, warmup_s: float, horizon_s: float | None) -> npt.NDArray[np.bool_]:
    """Return which requests count: they arrive at the end of the warm-up or later, before the horizon."""
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
    """Return the window in which the load is as the scenario defines it; None without requests.

    With a horizon, the window ends there. Without one, a run ends after a number of requests, and the load
    decreases towards the end (run-out), which is not a property of the system. With open arrivals, the window
    then ends at the last arrival. With a fixed number of users, it ends when the first user has received its
    last answer, since from then on there are fewer users.

    Open requests that arrive (nearly) all at once are a batch: the last arrives within a tenth of the time in
    which 90 % end. Rates of a batch are taken over its makespan (MLPerf's offline scenario), since until the
    last arrival next to nothing has been served, and rates would describe neither load nor capacity.

    Parameters
    ----------
    n_users
        Number of users of a closed loop, whose k-th request has the id ``k n_users + user``; None for open
        arrivals.
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
    # A user that is still waiting leaves at the last instant of the run.
    last_s = float(np.nanmax(np.concatenate([arrived_at_s, ended_at_s])))
    return Window(warmup_s, min(float(left_at_s.min()), last_s))
