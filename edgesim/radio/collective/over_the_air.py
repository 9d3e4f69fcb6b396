"""Sums of a group in a reserved radio band: their duration and error."""

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
"""Scaling of analog values before they are sent. ``parts``: every terminal's part has variance 1, by one
factor for the group's size. ``sum``: the whole sum has variance 1, by one factor for any size, so that each
of n parts has an n-th of it and the error counts n times as much."""


class AirSum(NamedTuple):
    """Duration and error of one sum over the group."""

    uplink_s: tuple[float, ...]
    """Time for which each terminal sends."""
    broadcast_s: float
    """Time to send the result to all."""
    error_variance: float
    """Mean squared error over the variance of the sum, for independent parts of equal variance."""

    @property
    def seconds(self) -> float:
        """Time from the first bit of the uplink to the last bit of the broadcast."""
        return max(self.uplink_s) + self.broadcast_s


class OverTheAir:
    """Sums of one group in one band, by one scheme.

    Calls must be in the order of time and by one strategy, because the design of a coherence block starts
    from that of the block before. Everything else is a function of the instant. A sum uses the channels of
    the coherence block in which it begins, to its end.

    Parameters
    ----------
    band
        The band and its channels.
    group
        Terminals that take part.
    scheme
        ``aircomp``: all at once over the air. ``digital``: quantised values, each terminal in its own
        part of the band. ``uncoded_fdma``: analog values, each terminal in its own part.
    value_bytes
        Of ``digital``: bytes of one quantised value, with its share of the scales.
    mse
        Of ``aircomp``: transceiver design, and its error.
    token_values
        Entries of one token's vector, to which budgets refer.
    budget_j
        Of the analog schemes: energy that a terminal may spend on computing and sending one token's part.
        What remains after computing limits its transmit power. None: only its radio limits the power.
    energy_j
        Of the analog schemes: energy that a terminal may spend on sending one token's part, for any duration.
    scaling
        Of the analog schemes.

    Not modelled: noise of the broadcast; for ``digital`` the effect of quantisation on values (which a
    table of measured answers gives) and losses (repetitions count with their mean).
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
        """Return duration and error of a tensor's sum that begins at an instant.

        Parameters
        ----------
        n_values
            Entries of the tensor.
        spent_j
            Energy that each terminal has spent on computing its part; used only with a budget.
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
