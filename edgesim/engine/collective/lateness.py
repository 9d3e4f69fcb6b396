"""Random lateness of the members of a group in one run."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray

from edgesim.engine.request import LiveRequest
from edgesim.engine.token import Token
from edgesim.model.architecture import Slice
from edgesim.rng import key_of, keyed_uniforms
from edgesim.world.device import Device

__all__ = ["LatenessDraws"]

_HALVES = np.arange(2)


class LatenessDraws:
    """Draw the lateness of every member at all sums of a pass at once.

    A draw depends on the scenario's seed, the replication, the device, the request, its attempt, the token,
    and the block and half of it that is summed: groups of different sizes, and different strategies, get the
    same lateness for one device at one sum. A token that is computed twice in one attempt has the same
    lateness both times.

    Parameters
    ----------
    members
        Members of the group; one without a law is never late.
    part
        The blocks that they share.

    Not modelled: lateness that lasts from one sum to the next, or that members have in common; lateness of
    passes that a device computes alone, whose mean time is that of its profile.
    """

    def __init__(self, members: Sequence[Device], part: Slice, seed: int, replication: int) -> None:
        self._of = (seed, replication, "lateness")
        self._laws = [(n, device.lateness) for n, device in enumerate(members) if device.lateness is not None]
        sums = 2 * np.arange(part.first, part.first + part.n_blocks)[:, None] + _HALVES
        bases = np.array([key_of("device", members[n].id) for n, _ in self._laws], dtype=np.uint64)
        self._counters = bases[:, None, None] + sums.astype(np.uint64)  # [n_late, n_blocks, 2], modulo 2^64

    def ready_s(
        self, request: LiveRequest, token: Token, halves_s: NDArray[np.float64]
    ) -> NDArray[np.float64]:
        """When the last member is ready for each sum, from the beginning of its half block [n_blocks, 2].

        Parameters
        ----------
        halves_s : [n_members, 2]
            Each member's time for attention and for the MLP.
        """
        key = key_of(*self._of, request.id, request.attempt, token.index)
        uniforms = keyed_uniforms(key, self._counters)
        latest: NDArray[np.float64] = np.broadcast_to(halves_s.max(axis=0), uniforms.shape[1:]).copy()
        for drawn, (number, law) in zip(uniforms, self._laws, strict=True):
            np.maximum(latest, halves_s[number] + law.draws_s(drawn), out=latest)
        return latest
