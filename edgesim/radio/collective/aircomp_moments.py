r"""Existence of the mean error of an analog sum over fading.

The error grows as one over the power gain of some channel in a deep fade. If the probability of a gain
below x falls as :math:`x^k`, that of an error above t falls as :math:`t^{-k}`, and its mean is finite if
and only if k > 1. A single Rayleigh entry has k = 1: the integral of :math:`e^{-x}/x` from 0 diverges, and
so does that of any density that is positive at 0, such as Rice's at any K. A mean over n draws then grows
with log n without bound and depends on n rather than on the channel; a median converges.
"""

from __future__ import annotations

import math
from typing import Literal

from edgesim.errors import InputError
from edgesim.radio.channel.fading_law import FadingLaw, Nakagami, NoFading
from edgesim.radio.collective.errors_by_scheme import InversionName

__all__ = ["AnalogScheme", "fade_exponent", "has_mean_error"]

AnalogScheme = InversionName | Literal["first-order", "sdr", "subspace", "uncoded_fdma"]
"""Scheme of an analog sum: a transceiver for sums over the air, or separate bands."""


def fade_exponent(law: FadingLaw, *, n_receive: int = 1, n_transmit: int = 1, n_streams: int = 1) -> float:
    """Return the exponent k by which ``P(s_L^2 < x)`` falls as ``x^k`` for small x; infinite without fading.

    s_L is the L-th singular value of a matrix of independent entries. For complex Gaussian entries of any
    mean, ``k = (n_receive - L + 1) (n_transmit - L + 1)``: the codimension of the matrices of rank below L,
    halved (Zheng and Tse 2003, IEEE Transactions on Information Theory 49(5), "Diversity and multiplexing",
    where it is the exponent of outage at multiplexing gain L - 1; not re-read). For one stream and
    Nakagami's law ``k = m n_receive n_transmit``, because all gains, each of density ``x^(m-1)``, must be
    small.

    Parameters
    ----------
    law
        Distribution of an entry's power gain.
    n_receive, n_transmit, n_streams
        Antennas at each end, and L.

    Raises
    ------
    InputError
        If there are more streams than antennas, or several streams with Nakagami's law, which has no phases.
    """
    if not 1 <= n_streams <= min(n_receive, n_transmit):
        raise InputError(
            f"aircomp: {n_streams} streams between {n_transmit} and {n_receive} antennas; expected 1 to the "
            "smaller number"
        )
    if isinstance(law, NoFading):
        return math.inf
    if isinstance(law, Nakagami):
        if n_streams > 1:
            raise InputError("aircomp: nakagami fading defines no phases; expected a single stream")
        return law.m * n_receive * n_transmit
    return float((n_receive - n_streams + 1) * (n_transmit - n_streams + 1))


def has_mean_error(
    way: AnalogScheme,
    law: FadingLaw,
    *,
    n_devices: int = 1,
    n_receive: int = 1,
    n_transmit: int = 1,
    n_streams: int = 1,
    threshold: float = 0.0,
) -> bool:
    """Return whether the mean squared error of a sum, averaged over fading, is finite.

    The noise of ``channel-inversion`` is set by the deepest fade of a single antenna: k is that of one
    entry. A threshold above 0 of ``truncated-inversion`` bounds the noise, and the error of ``least-error``
    never exceeds the loss of all entries: both have every moment. With separate bands, and with a common
    combiner that is chosen for the channels (``first-order``, the best of many draws in ``sdr``), k is that
    of the L-th singular value: of all combiners drawn uniformly, a positive share is good for all devices
    at once, so an optimum is bad only if some channel is. ``subspace`` determines one combiner from all
    channels together. With several devices, a device is then received in L directions that are not its own,
    and k is that of L x n_transmit.

    Parameters
    ----------
    law
        Distribution of the power gain between two antennas; the same for all.
    n_devices
        Number of senders.
    threshold
        Of ``truncated-inversion``: small-scale gain below which a device does not send.

    Not modelled: powers that depend on the fading through a computing budget, and designs that stop at a
    local optimum far from the best one.
    """
    if way == "least-error" or (way == "truncated-inversion" and threshold > 0):
        return True
    if way in ("channel-inversion", "truncated-inversion"):
        return fade_exponent(law) > 1
    n_met = n_streams if way == "subspace" and n_devices > 1 else n_receive
    return fade_exponent(law, n_receive=n_met, n_transmit=n_transmit, n_streams=n_streams) > 1
