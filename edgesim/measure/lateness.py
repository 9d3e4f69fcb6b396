"""What a profile says of lateness: how far halves of blocks, between two sums, were behind what is charged.

A group of such machines waits for the latest at every sum. Repeats tell what computing itself scatters by;
what sleeping receivers and sockets add is in no profile of one process.
"""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import NDArray

from edgesim.errors import InputError
from edgesim.model.lateness.fitting import fit_lateness

__all__ = ["lateness_facts"]


def lateness_facts(late_s: NDArray[np.float64]) -> dict[str, Any] | None:
    """Describe lateness by the family that fits those that were late at all, and the moments of all.

    Parameters
    ----------
    late_s
        Beyond what is charged, one per half of a block; 0 of those that were no later than that.

    Returns
    -------
    The likeliest family (``law``: exponential, gamma or lognormal), ``mean_s`` and ``spread`` of all,
    ``share`` of those that were late, ``n``, and the families ``supported`` as well; None where too few
    were late to tell.
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
