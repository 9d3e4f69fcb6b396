"""A strategy's view when it decides: everything at this instant, or what one device knows from reports.

Both have the same interface (:class:`View`), and are valid only at the instant of the call: keep the frozen
values that :meth:`View.device` and :meth:`View.link` return.
"""

from __future__ import annotations

import math
from abc import ABC, abstractmethod
from collections.abc import Hashable, Mapping
from itertools import pairwise

from edgesim.engine.observation.current_state import Looking
from edgesim.engine.observation.device_state import DeviceState
from edgesim.engine.observation.link_state import LinkState, RouteState
from edgesim.engine.observation.reports import Report
from edgesim.errors import ContractError

__all__ = ["Knowledge", "Observation", "View"]


class View(ABC):
    """The state of devices and links, current or as last reported.

    Attributes
    ----------
    at_s
        The instant for which the view is valid [s]; at any other, it raises ContractError.
    """

    __slots__ = ("_looking", "at_s")

    def __init__(self, looking: Looking) -> None:
        self._looking, self.at_s = looking, looking.now_s

    @abstractmethod
    def device(self, device: str) -> DeviceState:
        """Return the state of a device, as a frozen value."""

    @abstractmethod
    def link(self, sender: str, peer: str) -> LinkState:
        """Return the state of the link from one device to a neighbour, in that direction, as a frozen value.

        Raises
        ------
        ContractError
            If no link leads from one to the other; :meth:`route` goes over several.
        """

    def route(self, source: str, target: str) -> RouteState:
        """Return the links that a message would take now between two devices, each as from :meth:`link`.

        The route itself is always known, also in a device's limited view. From or to a terminal that changes
        cells, it uses the serving cell.

        Raises
        ------
        PlacementError
            If no route leads from one to the other.
        """
        self._check()
        hops = tuple(self.link(*ends) for ends in pairwise(self._looking.path(source, target)))
        return self._looking.routed(source, target, hops)

    def backlog_s(self, device: str) -> float:
        """Time until the device has done all work booked there [s]; 0 if passes share it."""
        return self.device(device).backlog_s

    def work_s(self, device: str) -> float:
        """Remaining work there under any discipline [s]: see :class:`DeviceState`."""
        return self.device(device).work_s

    def n_passes(self, device: str) -> int:
        """Number of passes in service there, or waiting for it."""
        return self.device(device).n_passes

    def is_up(self, device: str) -> bool:
        """Whether the device is up."""
        return self.device(device).is_up

    def can_reach(self, source: str, target: str) -> bool:
        """Whether the target is up, and messages that began now could go there and back."""
        if not self.is_up(target):
            return False
        return self.route(source, target).is_up and self.route(target, source).is_up

    def battery_j(self, device: str) -> float | None:
        """Energy left in the device's battery [J]; None on mains power."""
        return self.device(device).battery_j

    def n_requests(self, device: str) -> int:
        """Number of requests that occupy memory on the device or wait for it."""
        return self.device(device).n_requests

    def free_bytes(self, device: str) -> int:
        """Memory not occupied by weights, process and KV caches [byte]."""
        return self.device(device).free_bytes

    def _check(self) -> None:
        if self._looking.now_s != self.at_s:
            raise ContractError(
                f"observe: the view of {self.at_s:g} s is used at {self._looking.now_s:g} s; "
                "observe again, or keep what device(...) and link(...) return"
            )


class Observation(View):
    """The state of everything at one instant, as a scheduler with perfect monitoring would see it.

    Observing changes nothing, and draws no random numbers. Not modelled: the cost and the delay of
    monitoring; to include them, have devices report (:meth:`~edgesim.engine.cluster.Cluster.report`).
    """

    __slots__ = ()

    def device(self, device: str) -> DeviceState:
        """Return the state of a device, as a frozen value."""
        self._check()
        return self._looking.device(device)

    def link(self, sender: str, peer: str) -> LinkState:
        """Return the state of the link from one device to a neighbour, as a frozen value."""
        self._check()
        return self._looking.link(sender, peer)

    # Overridden for speed: decisions use these often, and only the requested value is computed.

    def backlog_s(self, device: str) -> float:
        """Time until the device has done all work booked there now [s]; 0 if passes share it."""
        self._check()
        return self._looking.backlog_s(device)

    def work_s(self, device: str) -> float:
        """Remaining work there under any discipline [s]: see :class:`DeviceState`."""
        self._check()
        return self._looking.work_s(device)

    def n_passes(self, device: str) -> int:
        """Number of passes in service there, or waiting for it."""
        self._check()
        return self._looking.n_passes(device)

    def is_up(self, device: str) -> bool:
        """Whether the device is up."""
        self._check()
        return self._looking.is_up(device)

    def battery_j(self, device: str) -> float | None:
        """Energy left in the device's battery [J]; None on mains power."""
        self._check()
        return self._looking.battery_j(device)

    def n_requests(self, device: str) -> int:
        """Number of requests that occupy memory on the device or wait for it."""
        self._check()
        return self._looking.n_requests(device)

    def free_bytes(self, device: str) -> int:
        """Memory not occupied by weights, process and KV caches [byte]."""
        self._check()
        return self._looking.free_bytes(device)


class Knowledge(View):
    """The knowledge of one device: itself and its own links as they are, others as last reported.

    Without a report of a device it raises ContractError; check :meth:`knows` or :meth:`age_s` first.

    Attributes
    ----------
    at
        The device whose knowledge this is.
    """

    __slots__ = ("_reports", "at")

    def __init__(self, looking: Looking, at: str, reports: Mapping[str, Report]) -> None:
        super().__init__(looking)
        looking.check(at)
        self.at, self._reports = at, reports

    def knows(self, device: str) -> bool:
        """Whether it is the device itself, or a report of it has arrived."""
        self._check()
        self._looking.check(device)
        return device == self.at or device in self._reports

    def age_s(self, device: str) -> float:
        """Age of the knowledge of a device: time since its last report was made [s].

        0 for the device itself; infinite for a device of which no report has arrived.
        """
        if device == self.at:
            self._check()
            return 0.0
        return self.at_s - self._reports[device].made_at_s if self.knows(device) else math.inf

    def payload(self, device: str) -> Hashable:
        """Return the strategy's payload in a device's last report; None if it had none.

        For the device itself, the payload of its last report to itself.
        """
        if device == self.at and device not in self._reports:
            self._check()
            return None
        return self._report(device).payload

    def device(self, device: str) -> DeviceState:
        """Return a device's state when its last report was made; the current state for the device itself."""
        if device == self.at:
            self._check()
            return self._looking.device(device)
        return self._report(device).device

    def link(self, sender: str, peer: str) -> LinkState:
        """Return a link's state when its sender's last report was made; the current state for own links."""
        if sender == self.at:
            self._check()
            return self._looking.link(sender, peer)
        links = self._report(sender).links
        found = next((link for link in links if link.peer == peer), None)
        if found is None:
            raise ContractError(
                f"observe(at={self.at!r}): the last report from {sender!r} does not contain a link to "
                f"{peer!r}; it reported those to {', '.join(repr(link.peer) for link in links) or 'none'}"
            )
        return found

    def _report(self, device: str) -> Report:
        if not self.knows(device) or device not in self._reports:
            raise ContractError(
                f"observe(at={self.at!r}): no report from {device!r} has arrived yet; "
                f"check knows({device!r}) first"
            )
        return self._reports[device]
