"""Lateness in a profile: how much longer halves of blocks took, between two sums, than the profiled time.

A group of such machines waits for its latest member at every sum. Repeats reveal the scatter of computing
itself; delays of sleeping receivers and sockets do not occur in the profile of a single process.
"""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import NDArray

from edgesim.errors import InputError
from edgesim.model.lateness.fitting import fit_lateness

__all__ = ["lateness_facts"]


def lateness_facts(late_s: NDArray[np.float64]) -> dict[str, Any] | None:
    """Summarise lateness by the distribution that best fits the positive values, and by overall moments.

    Parameters
    ----------
    late_s
        Seconds beyond the profiled time, one per half of a block; 0 where it took no longer.

    Returns
    -------
    The likeliest family (``law``: exponential, gamma or lognormal), ``mean_s`` and ``spread`` of all values,
    ``share`` of positive ones, ``n``, and all families ``supported`` by the data; None where too few are
    positive for a fit.
    """
    some = late_s[late_s > 0.0]
    try:
        fitted = fit_lateness(some)
    except InputError:
        return None
    mean_s = float(late_s.mean())
    return {
        "law": fitted.supported[0],
        "mean_s": mean_s,
        "spread": float(late_s.std()) / mean_s,
        "share": some.size / late_s.size,
        "n": int(late_s.size),
        "supported": list(fitted.supported),
    }
