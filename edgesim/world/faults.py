"""Faults: outages of devices and links, and the retry policy of requests.

Outages are functions of time only, drawn before the run, so that every strategy has the same failures.
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
    """Outages of devices and links over time.

    A device that fails loses the work and the messages on it and the KV caches in its memory; it returns with
    its weights loaded (the time to load them is part of the time to repair). While it is down it draws no
    power. A link that fails loses everything that has not been sent yet.

    Not modelled: rerouting around failures, redundant copies, failures that slow a device down or corrupt its
    results, and cascading failures.

    Parameters
    ----------
    devices
        Outages by device id.
    links
        Outages by the link's name: its two ends, in alphabetical order (``camera-0--edge-0``).
    absences
        Absences of devices that come and go, by device id: they are down as in a failure (`devices` includes
        these times), and no requests arise there.
    """

    devices: Mapping[str, Outages] = field(default_factory=dict)
    links: Mapping[str, Outages] = field(default_factory=dict)
    absences: Mapping[str, Outages] = field(default_factory=dict)

    @property
    def changes_per_s(self) -> float:
        """Long-run rate of failures and repairs of all devices and links [1/s]."""
        return math.fsum(one.changes_per_s for of in (self.devices, self.links) for one in of.values())

    def back_at_s(self, device: str, at_s: float) -> float:
        """First instant from `at_s` on at which a device is present [s]; infinite if it does not return."""
        away = self.absences.get(device)
        return at_s if away is None else away.next_up(at_s)


@dataclass(frozen=True, slots=True, kw_only=True)
class Retry:
    """Retry policy of requests whose work was lost: number of attempts and waiting times.

    A retried request is served from its beginning, with its original arrival time; delivered tokens are not
    delivered again. Only losses by failures are retried (:class:`~edgesim.strategy.DeviceDown`,
    :class:`~edgesim.strategy.MessageLost`); a request without memory, or failed by its strategy, is not.

    Parameters
    ----------
    limit
        Maximum number of attempts after the first.
    backoff_s
        Wait before the first retry [s].
    growth
        Factor between successive waits: 1 is constant, 2 is exponential backoff.
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
        """Wait before a retry [s]; `attempt` 1 is the first retry."""
        try:
            return min(self.backoff_s * self.growth ** (attempt - 1), _LONGEST_WAIT_S)
        except OverflowError:
            return _LONGEST_WAIT_S
