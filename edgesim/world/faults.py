"""What can go wrong in a world, as values: outages of devices and links, and what happens to requests then.

These are functions of time alone, drawn before the run, so every strategy meets the same failures.
"""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import dataclass, field

from edgesim.errors import InputError
from edgesim.radio.motion.outages import Outages
from edgesim.units import LONGEST_RUN_S

__all__ = ["Faults", "Retry"]

_LONGEST_WAIT_S = 10 * LONGEST_RUN_S  # beyond the end of any run


@dataclass(frozen=True, slots=True, kw_only=True)
class Faults:
    """When devices and links are down.

    A device that goes down loses the work and the messages on it and the KV caches in its memory; it comes
    back with its weights loaded, at once (a time to load them is part of the time to repair). While it is
    down it draws no power. A link that goes down loses what has not left yet.

    Not modelled: routes around what is down, spare copies, failures that slow a device down or falsify its
    results, and failures that bring others about.

    Parameters
    ----------
    devices
        By device id.
    links
        By the link's name: its two ends, in alphabetical order (``camera-0--edge-0``).
    absences
        Of devices that come and go, when they are away: they are down as by a failure (`devices` has these
        times, too), and no requests arise there.
    """

    devices: Mapping[str, Outages] = field(default_factory=dict)
    links: Mapping[str, Outages] = field(default_factory=dict)
    absences: Mapping[str, Outages] = field(default_factory=dict)

    @property
    def changes_per_s(self) -> float:
        """Failures and repairs of all devices and links, in the long run [1/s]."""
        return math.fsum(one.changes_per_s for of in (self.devices, self.links) for one in of.values())

    def back_at_s(self, device: str, at_s: float) -> float:
        """First instant from this one on at which a device is not away [s]; infinite if it is for good."""
        away = self.absences.get(device)
        return at_s if away is None else away.next_up(at_s)


@dataclass(frozen=True, slots=True, kw_only=True)
class Retry:
    """How often a request is served again whose work was lost, and how long it waits before that.

    It is served from its beginning, with its arrival as it was; tokens that have been delivered are not
    delivered again. What counts is what is lost to failures (:class:`~edgesim.strategy.DeviceDown`,
    :class:`~edgesim.strategy.MessageLost`); a request without room, or that its strategy fails, has failed.

    Parameters
    ----------
    limit
        Attempts after the first.
    backoff_s
        Wait before the first of them [s].
    growth
        Factor by which each further wait is longer: 1 keeps it, 2 is exponential backoff.
    """

    limit: int
    backoff_s: float = 1.0
    growth: float = 1.0

    def __post_init__(self) -> None:
        if self.limit < 0:
            raise InputError(f"retry: found a limit of {self.limit}; expected 0 or more")
        if not 0.0 <= self.backoff_s < math.inf:
            raise InputError(f"retry: found a backoff of {self.backoff_s:g} s; expected 0 or more")
        if not 1.0 <= self.growth < math.inf:
            raise InputError(f"retry: found a growth of {self.growth:g}; expected 1 or more")

    def wait_s(self, attempt: int) -> float:
        """Wait before an attempt, of which 1 is the first after the first failure [s]."""
        try:
            return min(self.backoff_s * self.growth ** (attempt - 1), _LONGEST_WAIT_S)
        except OverflowError:
            return _LONGEST_WAIT_S
