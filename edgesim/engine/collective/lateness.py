"""How late members of a group are in one run: what is drawn for which sum."""

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
    """Draws how late every member is at each of a pass's sums, all at once.

    A draw follows from the scenario's seed, the replication, the device, the request, the attempt at it, the
    token, and which half of which block is summed: groups of different sizes, and two strategies, meet the
    same lateness of one device at one sum. A token that is computed twice in one attempt is late alike.

    Parameters
    ----------
    members
        Of the group; one without a law is never late.
    part
        Which blocks they share.

    Not modelled: lateness that lasts from one sum to the next, or that members have in common; passes that a
    device computes by itself, whose mean time is what its profile says.
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
            What each computes of attention and of the MLP.
        """
        key = key_of(*self._of, request.id, request.attempt, token.index)
        uniforms = keyed_uniforms(key, self._counters)
        latest: NDArray[np.float64] = np.broadcast_to(halves_s.max(axis=0), uniforms.shape[1:]).copy()
        for drawn, (number, law) in zip(uniforms, self._laws, strict=True):
            np.maximum(latest, halves_s[number] + law.draws_s(drawn), out=latest)
        return latest
