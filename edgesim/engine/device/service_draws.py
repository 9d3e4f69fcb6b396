"""The service times of one device in one run: what is drawn for which visit."""

from __future__ import annotations

from collections import defaultdict

from edgesim.engine.request import LiveRequest
from edgesim.rng import key_of, keyed_uniform
from edgesim.world.device import Device
from edgesim.world.service import ServiceLaw
from edgesim.world.world import World

__all__ = ["ServiceDraws", "draws_of"]


class ServiceDraws:
    """Draws a factor for every visit of a pass to a device.

    It follows from the scenario's seed, the replication, the device, the request, how often it was served
    before, the token, the part of the model, and how often that token's pass has been through that part on
    this device: two strategies meet the same draw where they send the same pass to the same device, whatever
    they do elsewhere. A pass that is computed anew, in a later attempt or the same, is another visit, and
    draws anew.
    """

    def __init__(self, law: ServiceLaw, seed: int, replication: int, device: str) -> None:
        self._law = law
        self._of = (seed, replication, "service", device)
        self._visits: dict[int, dict[tuple[int, str], int]] = defaultdict(dict)

    def factor(self, request: LiveRequest, name: str, token: int) -> float:
        """The factor of the next visit of a token's pass to what has this name: a part of the model."""
        visits, here = self._visits[request.id], (token, name)
        n_before = visits.get(here, 0)
        visits[here] = n_before + 1
        key = key_of(*self._of, request.id, request.attempt, token, name, n_before)
        return self._law.factor(keyed_uniform(key, 0))

    def forget(self, request: LiveRequest) -> None:
        """Forget the visits of a request that has ended, or starts over."""
        self._visits.pop(request.id, None)


def draws_of(world: World, device: Device) -> ServiceDraws:
    """What is drawn on a device of a world that has a law of service."""
    assert device.service is not None
    return ServiceDraws(device.service, world.seed, world.replication, device.id)
