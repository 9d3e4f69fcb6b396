"""Fading of a link whose line-of-sight state changes."""

from __future__ import annotations

from edgesim.radio.channel.fading import Fading
from edgesim.radio.channel.fading_law import FadingLaw
from edgesim.radio.channel.large_scale import LargeScale

__all__ = ["FadingByLineOfSight"]


class FadingByLineOfSight:
    """Fading that switches between a line-of-sight and a non-line-of-sight process.

    The large scale determines the state at each instant. If both processes have the same key, they share
    their scattered paths, so that only the direct path appears and disappears.

    Parameters
    ----------
    large_scale
        Source of the line-of-sight state.
    los, nlos
        The fading in each state, and its law.
    """

    __slots__ = ("_laws", "_los", "_nlos", "large_scale")

    def __init__(
        self, large_scale: LargeScale, los: tuple[Fading, FadingLaw], nlos: tuple[Fading, FadingLaw]
    ) -> None:
        self.large_scale = large_scale
        (self._los, los_law), (self._nlos, nlos_law) = los, nlos
        self._laws = (nlos_law, los_law)

    @property
    def law(self) -> FadingLaw:
        """Distribution of the gains at time zero."""
        return self._laws[self.large_scale.at(0.0).is_los]

    def gain(self, at_s: float) -> float:
        """Return the power gain at an instant, linear."""
        return (self._los if self.large_scale.at(at_s).is_los else self._nlos).gain(at_s)

    def until_s(self, at_s: float) -> float:
        """Return the next instant at which the gain changes or may change."""
        state = self.large_scale.at(at_s)
        return min((self._los if state.is_los else self._nlos).until_s(at_s), state.until_s)
