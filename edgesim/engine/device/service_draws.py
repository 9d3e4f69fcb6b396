"""Random factors of the service times of one device in one run."""

from __future__ import annotations

from collections import defaultdict

from edgesim.engine.request import LiveRequest
from edgesim.rng import key_of, keyed_uniform
from edgesim.world.device import Device
from edgesim.world.service import ServiceLaw
from edgesim.world.world import World

__all__ = ["ServiceDraws", "draws_of"]


class ServiceDraws:
    """Draw a factor for every visit of a pass to a device.

    The factor depends on the scenario's seed, the replication, the device, the request, its number of earlier
    attempts, the token, the part of the model, and how often that token's pass has been through that part on
    this device: two strategies get the same draw where they send the same pass to the same device,
    independently of all else that they do. A pass that is computed again, in a later attempt or the same one,
    is another visit with another draw.
    """

    def __init__(self, law: ServiceLaw, seed: int, replication: int, device: str) -> None:
        self._law = law
        self._of = (seed, replication, "service", device)
        self._visits: dict[int, dict[tuple[int, str], int]] = defaultdict(dict)

    def factor(self, request: LiveRequest, name: str, token: int) -> float:
        """Draw the factor of the next visit of a token's pass to the part with this name."""
        visits, here = self._visits[request.id], (token, name)
        n_before = visits.get(here, 0)
        visits[here] = n_before + 1
        key = key_of(*self._of, request.id, request.attempt, token, name, n_before)
        return self._law.factor(keyed_uniform(key, 0))

    def forget(self, request: LiveRequest) -> None:
        """Drop the visits of a request that has ended, or starts over."""
        self._visits.pop(request.id, None)


def draws_of(world: World, device: Device) -> ServiceDraws:
    """Create the draws of a device that has a law of service times."""
    assert device.service is not None
    return ServiceDraws(device.service, world.seed, world.replication, device.id)
