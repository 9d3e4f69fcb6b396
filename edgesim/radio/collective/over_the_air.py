"""Sums over a group of terminals in a band set aside for them: how long each takes, and how wrong it is."""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import Literal, NamedTuple

import numpy as np
from numpy.typing import NDArray

from edgesim.radio.collective.band import CollectiveBand
from edgesim.radio.collective.errors_by_scheme import Mse, uncoded_mse
from edgesim.units import bits

__all__ = ["AirScheme", "AirSum", "OverTheAir", "Scaling"]

AirScheme = Literal["aircomp", "digital", "uncoded_fdma"]

Scaling = Literal["parts", "sum"]
"""To what analog values are scaled before they are sent: ``parts`` gives every terminal's part variance 1, by
one number for the group's size; ``sum`` the whole sum, by one number whatever the size, so that n parts
arrive with an n-th of it each and the error counts n times as much."""


class AirSum(NamedTuple):
    """One sum over the group."""

    uplink_s: tuple[float, ...]
    """Time for which each terminal sends."""
    broadcast_s: float
    """Time of telling all the result."""
    error_variance: float
    """Mean squared error over the variance of the sum, for independent parts of equal variance."""

    @property
    def seconds(self) -> float:
        """From the first bit up to the last bit down."""
        return max(self.uplink_s) + self.broadcast_s


class OverTheAir:
    """How one group sums in one band, by one scheme.

    What is asked of it is asked in the order of time, by one strategy: designs of a coherence block start
    from the block before. Everything else is a function of the instant. Channels are those of the coherence
    block in which a sum begins, to its end.

    Parameters
    ----------
    band
        The band and its channels.
    group
        Terminals that take part.
    scheme
        ``aircomp``: all at once on the air. ``digital``: values of so many bits, each terminal in its own
        part of the band. ``uncoded_fdma``: analog values, each terminal in its own part.
    value_bytes
        Of ``digital``: bytes that one value is quantised to, with its share of scales.
    mse
        Of ``aircomp``: how transceivers are found, and their error.
    token_values
        Entries of one token's vector, for which budgets are.
    budget_j
        Of the analog schemes: most that a terminal may spend on computing and sending of one token's part;
        what is left after computing limits its power. None: its radio alone limits it.
    energy_j
        Of the analog schemes: most energy that a terminal may send one token's part with, however long that
        takes.
    scaling
        Of the analog schemes.

    Not modelled: noise of the broadcast, and of ``digital`` what quantisation does to values (a table of
    measured answers tells), losses (repetitions count with their mean).
    """

    def __init__(
        self,
        band: CollectiveBand,
        group: Sequence[str],
        scheme: AirScheme,
        *,
        value_bytes: float = 1.0,
        mse: Mse = uncoded_mse,
        token_values: int | None = None,
        budget_j: float | None = None,
        energy_j: float | None = None,
        scaling: Scaling = "parts",
    ) -> None:
        self._band, self._group, self._scheme = band, tuple(group), scheme
        self._value_bytes, self._mse, self._token_values = value_bytes, mse, token_values
        self._budget_j, self._energy_j = budget_j, energy_j
        self._peak_w = band.powers_w(self._group)
        self._variance = band.n_streams * (len(self._group) if scaling == "parts" else 1)
        self._kept: tuple[tuple[int, int], dict[tuple[float, ...], AirSum]] = ((-1, -1), {})

    def sum(self, n_values: int, at_s: float, spent_j: Sequence[float] = ()) -> AirSum:
        """Sum a tensor that begins at an instant.

        Parameters
        ----------
        n_values
            Entries of the tensor.
        spent_j
            What each terminal has spent on computing its part of it; used with a budget only.
        """
        stretch, kept = self._kept
        now = self._band.stretch(at_s)
        if now != stretch:
            kept = {}
            self._kept = (now, kept)
        asked = (float(n_values), *(spent_j if self._budget_j is not None else ()))
        found = kept.get(asked)
        if found is None:
            found = kept[asked] = self._sum(n_values, at_s, spent_j)
        return found

    def _sum(self, n_values: int, at_s: float, spent_j: Sequence[float]) -> AirSum:
        band, group, n = self._band, self._group, len(self._group)
        if self._scheme == "digital":
            n_bits = bits(n_values * self._value_bytes)
            uplink_s = tuple(band.digital_uplink_s(n_bits, group, at_s).tolist())
            return AirSum(uplink_s, band.digital_broadcast_s(n_bits, group, at_s), 0.0)
        n_parts = 1 if self._scheme == "aircomp" else n
        seconds = band.analog_s(n_values, n_parts)
        n_tokens = 1.0 if self._token_values is None else n_values / self._token_values
        powers_w = self._powers_w(seconds, n_tokens, spent_j)
        mse = math.inf if (powers_w <= 0.0).any() else self._mse(band, group, at_s, powers_w)
        return AirSum((seconds,) * n, band.analog_s(n_values), mse / self._variance)

    def _powers_w(self, seconds: float, n_tokens: float, spent_j: Sequence[float]) -> NDArray[np.float64]:
        powers_w = self._peak_w
        if self._energy_j is not None:
            powers_w = np.minimum(powers_w, self._energy_j * n_tokens / seconds)
        if self._budget_j is not None:
            left_j = np.maximum(0.0, self._budget_j * n_tokens - np.asarray(spent_j, dtype=np.float64))
            powers_w = np.minimum(powers_w, left_j / seconds)
        return powers_w
