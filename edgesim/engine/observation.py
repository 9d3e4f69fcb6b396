"""What a strategy may know about the present when it decides."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

from edgesim.engine.device.host import Host
from edgesim.engine.energy.discharge import Discharge
from edgesim.engine.memory.memory import Memory

__all__ = ["Observation"]


@dataclass(frozen=True, slots=True)
class Observation:
    """The state of the devices at one instant, as a scheduler with perfect monitoring would see it.

    Not modelled: the cost and the delay of monitoring; send messages of your own to pay for them.
    """

    at_s: float
    _hosts: Mapping[str, Host]
    _memories: Mapping[str, Memory]
    _discharges: Mapping[str, Discharge]

    def backlog_s(self, device: str) -> float:
        """Time until the device has done all work that is booked there now."""
        return max(0.0, self._hosts[device].booked_until_s - self.at_s)

    def is_up(self, device: str) -> bool:
        """Whether the device is up."""
        return self._hosts[device].down is None

    def battery_j(self, device: str) -> float | None:
        """Energy left in the device's battery [J]; None where it runs on the mains."""
        discharge = self._discharges.get(device)
        return None if discharge is None else discharge.left_j

    def n_requests(self, device: str) -> int:
        """Requests that hold memory on the device or wait for it."""
        return self._hosts[device].n_requests

    def free_bytes(self, device: str) -> int:
        """Memory not taken by weights, process and KV caches."""
        memory = self._memories[device]
        return memory.capacity_bytes - memory.used_bytes
