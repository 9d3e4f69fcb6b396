"""Threshold of a device's own exit that depends on the channel's state.

Jankowski, Gunduz and Mikolajczyk 2023 (arXiv 2311.18098) decide between the device's own exit and sending the
features on by the exit's output and the channel's state. Their learned rules were not available. This rule
follows from comparing the accuracy gained by sending with its delay:

::

    leave  iff  E[accuracy if sent | channel] - confidence <= onward_s(channel) / exchange_s

Equivalently, the task leaves iff its confidence reaches a threshold that falls as the channel gets worse. The
confidence must be calibrated.
"""

from __future__ import annotations

from edgesim.errors import InputError

__all__ = ["channel_threshold"]


def channel_threshold(accuracy_if_sent: float, onward_s: float, exchange_s: float) -> float:
    """Return the least confidence to leave with, in [0, 1].

    Parameters
    ----------
    accuracy_if_sent
        Expected accuracy after sending, at the channel's present state.
    onward_s
        Cost of sending: the link's time at its present rate and, if known, the marginal cost after it [s].
    exchange_s
        Delay that is worth one unit of accuracy [s].
    """
    if exchange_s <= 0:
        raise InputError(f"offloading: an exchange of {exchange_s:g} s; expected above 0")
    return min(1.0, max(0.0, accuracy_if_sent - onward_s / exchange_s))
