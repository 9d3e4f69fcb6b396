"""Compute: the price of a pass on each device, and the device at work."""

from __future__ import annotations

import numpy as np

from edgesim.engine.link import Hop
from edgesim.engine.request import Token
from edgesim.engine.station import Station
from edgesim.engine.world import Device
from edgesim.errors import ProfileError
from edgesim.model.architecture import Slice
from edgesim.model.profile import Timing

__all__ = ["Host", "Price"]


class Price:
    """Seconds that one part of the model takes on one device, per pass; decode steps from a list."""

    __slots__ = ("_part", "_passes", "_timing", "code", "decode_s")

    def __init__(self, timing: Timing, part: Slice, code: int = 0) -> None:
        self._timing = timing
        self._part = part
        self.code = code  # by which its spans name it
        self._passes: dict[tuple[int, int], float] = {}
        self.decode_s: list[float] = []  # by tokens in the cache; grown as contexts grow

    def of(self, token: Token) -> float:
        """Seconds of this token's pass."""
        if token.n_new == 1:
            try:
                return self.decode_s[token.n_context]
            except IndexError:
                self._grow(token.n_context)
                return self.decode_s[token.n_context]
        asked = (token.n_new, token.n_context)
        seconds = self._passes.get(asked)
        if seconds is None:
            seconds = self._passes[asked] = float(
                self._timing.seconds(self._part, batch=1, n_new=token.n_new, n_context=token.n_context)
            )
        return seconds

    def _grow(self, n_context: int) -> None:
        """Price decode steps up to this context, in strides: one vectorised look-up serves many steps."""
        stride = 256
        contexts = np.arange(len(self.decode_s), (n_context // stride + 1) * stride)
        # Beyond the measured range a timing refuses; the last stride therefore ends where asked.
        try:
            seconds = self._timing.seconds(self._part, batch=1, n_new=1, n_context=contexts)
        except ProfileError:
            contexts = np.arange(len(self.decode_s), n_context + 1)
            seconds = self._timing.seconds(self._part, batch=1, n_new=1, n_context=contexts)
        self.decode_s.extend(np.broadcast_to(seconds, contexts.shape).tolist())


class Host(Station):
    """A device at work: its compute station, its messaging station, its prices and its neighbours."""

    __slots__ = ("device", "direct", "messaging", "n_requests", "prices")

    def __init__(self, device: Device) -> None:
        super().__init__()
        self.device = device
        self.messaging: Station = self if device.endpoint.on_compute else Station()
        self.n_requests = 0  # requests that hold or await memory here
        self.prices: dict[Slice, Price] = {}
        self.direct: dict[str, Hop | None] = {}  # by target; None where a message takes more than one hop
