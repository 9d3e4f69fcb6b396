"""Fading of a link whose line of sight comes and goes."""

from __future__ import annotations

from edgesim.radio.channel.fading import Fading
from edgesim.radio.channel.fading_law import FadingLaw
from edgesim.radio.channel.large_scale import LargeScale

__all__ = ["FadingBySight"]


class FadingBySight:
    """One fading in line of sight, another without; the large scale says which, at each instant.

    Two of one key have their scattered paths in common: what appears and disappears is the direct path.

    Parameters
    ----------
    large_scale
        Tells the state of the line of sight.
    los, nlos
        The gains in either state, and their laws.
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
        """How gains are distributed at the start."""
        return self._laws[self.large_scale.at(0.0).is_los]

    def gain(self, at_s: float) -> float:
        """Power gain at an instant, linear."""
        return (self._los if self.large_scale.at(at_s).is_los else self._nlos).gain(at_s)

    def until_s(self, at_s: float) -> float:
        """When the gain next changes, or may."""
        state = self.large_scale.at(at_s)
        return min((self._los if state.is_los else self._nlos).until_s(at_s), state.until_s)
