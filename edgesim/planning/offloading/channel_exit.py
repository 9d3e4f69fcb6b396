"""When to keep a local answer rather than pay for the channel.

Jankowski, Gunduz and Mikolajczyk 2023 (arXiv 2311.18098) decide between the device's own exit and sending the
features on by the exit's output and the channel's state. Their learned rules were not seen; this is the rule
that follows from weighing what sending is worth:

::

    leave  iff  E[accuracy if sent | channel] - confidence <= onward_s(channel) / exchange_s

that is, iff confidence reaches a threshold that falls as the channel gets worse. It needs a confidence that
is calibrated.
"""

from __future__ import annotations

from edgesim.errors import InputError

__all__ = ["channel_threshold"]


def channel_threshold(accuracy_if_sent: float, onward_s: float, exchange_s: float) -> float:
    """Least confidence to leave with, in [0, 1].

    Parameters
    ----------
    accuracy_if_sent
        Expected at the channel's present state.
    onward_s
        What sending costs: the link's time at its present rate and, if known, the marginal cost after it.
    exchange_s
        Delay that one unit of accuracy is worth.
    """
    if exchange_s <= 0:
        raise InputError(f"offloading: an exchange of {exchange_s:g} s; expected above 0")
    return min(1.0, max(0.0, accuracy_if_sent - onward_s / exchange_s))
