"""The cells of a run: the pool or channel for a message over a radio link."""

from __future__ import annotations

from collections.abc import Mapping

from edgesim.engine.network.air.interference import Band
from edgesim.engine.network.air.pool import Pool
from edgesim.engine.network.air.slotted_pool import SlottedPool
from edgesim.engine.network.wifi.contention import Contention
from edgesim.engine.process.clock import Clock
from edgesim.world.medium import Medium

__all__ = ["AnyPool", "Pools"]

AnyPool = Pool | SlottedPool


class Pools:
    """The pools and channels of all cells of a run."""

    def __init__(self, clock: Clock, media: Mapping[str, Medium]) -> None:
        self._clock, self._media = clock, media
        self._bands: dict[str, Band] = {}
        self._pools: dict[tuple[str, bool | None], AnyPool] = {}
        self._contentions: dict[str, Contention] = {}

    def contention(self, medium: str) -> Contention:
        """Return the channel that a Wi-Fi cell's stations contend for: all cells of a band share one.

        A cell with an external load (``load``) contends alone, and receives that load as interference.
        """
        asked = self._media[medium]
        alone = asked.band is None or asked.load is not None
        name = medium if alone else f"band {asked.band}"
        known = self._contentions.get(name)
        if known is None:
            band = self._band(asked) if asked.load is not None else None
            known = self._contentions[name] = Contention(self._clock, asked, band)
        return known

    def _band(self, medium: Medium) -> Band | None:
        return None if medium.band is None else self._bands.setdefault(medium.band, Band())

    def pool(self, medium: str, *, is_uplink: bool) -> AnyPool:
        """Return the pool of a cell's transfers in a direction; one for both if they alternate in time."""
        asked = self._media[medium]
        direction = None if asked.duplex.takes_turns else is_uplink
        known = self._pools.get((medium, direction))
        if known is None:
            kind = Pool if asked.grid is None else SlottedPool
            known = self._pools[medium, direction] = kind(self._clock, asked, direction, self._band(asked))
        return known
