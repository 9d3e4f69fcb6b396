"""A radio link at any instant: received power, signal-to-interference-and-noise ratio, rate and block errors.

Everything here is a pure function of time. Results are cached, but there is no state: repeated calls, calls
in another order and calls by another strategy return the same values.

Uplink and downlink differ in transmit power, in noise figure, and in how a share of the band is used. A
terminal concentrates its whole power on its share, so a narrow share has a better ratio. A station spreads
its power over the band, so the ratio does not depend on the share. Noise and interference scale with the
share in both.

Not modelled: frequency selectivity within the band and scheduling over it, power control (terminals send at
full power), beams, and a station's sectors.
"""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import NamedTuple, Protocol, cast

import numpy as np

from edgesim.errors import InputError
from edgesim.radio.adaptation.air_interface import OUT_OF_REACH, AirInterface, Grant, Gridded
from edgesim.radio.channel.fading import Fading
from edgesim.radio.channel.large_scale import LargeScale
from edgesim.radio.channel.noise import thermal_noise_w
from edgesim.rng import keyed_normals, keyed_uniforms
from edgesim.units import db_to_linear, dbm_to_w, linear_to_db

__all__ = ["Estimation", "LinkReport", "RadioLink", "RadioState", "Transceiver", "goodput"]

N_NOMINAL = 256
_NOMINAL_KEY = (
    0x6E6F6D696E616C  # the same draws for every link, so that nominal rates differ by the links alone
)
_NARROWEST = 1.0 / 64.0
_LINEAR_FROM = 1.5  # bit/s/Hz; from here on, half the band at twice the ratio carries no more


class RadioState(NamedTuple):
    """State of one direction of a link at an instant."""

    sinr: float
    """True ratio of signal to interference and noise over the share of the band, linear."""
    sinr_estimate: float
    """The transmitter's estimate of that ratio, on which it bases the grant."""
    grant: Grant
    rate_bps: float
    """Gross rate over the share of the band, retransmissions not subtracted. 0 if out of reach."""
    errors: tuple[float, ...]
    """Probability that each attempt of a block fails, given that all attempts before it failed."""
    until_s: float
    """Instant until which this state is valid."""
    used_share: float = 1.0
    """Fraction of the share on which a weak terminal concentrates its power; the rest of it stays empty."""


class Estimation(Protocol):
    """Channel state information of the transmitter: its estimate of the fading gain over time."""

    def estimate(self, at_s: float) -> float:
        """Return the estimated power gain at an instant, linear."""
        ...

    def until_s(self, at_s: float) -> float:
        """Return the instant, later than the given one, at which the estimate next changes."""
        ...


@dataclass(frozen=True, slots=True, kw_only=True)
class Transceiver:
    """The radio of a device: transmit power, antenna gain and receiver noise.

    Parameters
    ----------
    power_dbm
        Transmit power, over the whole band.
    gain_dbi
        Antenna gain, the same in all directions; cable losses are negative gain.
    noise_figure_db
        Noise that the receiver adds to thermal noise.
    """

    power_dbm: float
    gain_dbi: float = 0.0
    noise_figure_db: float = 0.0


class LinkReport(NamedTuple):
    """A link at an instant, as printed by the link inspector; in decibels where these are customary."""

    at_s: float
    distance_m: float
    is_los: bool
    path_loss_db: float
    shadowing_db: float
    fading_db: float
    received_dbm: float
    sinr_db: float
    sinr_estimate_db: float
    mcs: int
    bler: float
    rate_bps: float
    goodput_bps: float


class RadioLink:
    """A radio link: a terminal, a station, and the channel between them.

    Parameters
    ----------
    large_scale
        Path loss and shadowing over time.
    terminal, station
        The radios at the two ends.
    air
        Maps ratios to rates and block errors.
    bandwidth_hz
        Width of the band, in both directions unless ``uplink_bandwidth_hz`` is given.
    fading
        Small-scale power gain over time, with mean 1; of both directions unless ``uplink_fading`` is given.
        A channel on one carrier (TDD, Wi-Fi) is reciprocal: one fading. Two carriers (FDD) fade
        independently.
    csi, uplink_csi
        The transmitter's estimate of that fading; None: the exact gain, without delay.
    outer_offset_db
        Offset subtracted from the estimate before a scheme is chosen: where an outer loop has settled.
    """

    def __init__(
        self,
        large_scale: LargeScale,
        *,
        terminal: Transceiver,
        station: Transceiver,
        air: AirInterface,
        bandwidth_hz: float,
        fading: Fading,
        uplink_bandwidth_hz: float | None = None,
        uplink_fading: Fading | None = None,
        csi: Estimation | None = None,
        uplink_csi: Estimation | None = None,
        outer_offset_db: float = 0.0,
    ) -> None:
        if not bandwidth_hz > 0:
            raise InputError(f"radio: bandwidth is {bandwidth_hz:g} Hz; expected more than 0: correct it")
        self.large_scale = large_scale
        self.terminal, self.station, self.air = terminal, station, air
        antennas_db = terminal.gain_dbi + station.gain_dbi
        self._backoff = backoff = db_to_linear(-outer_offset_db)
        up_hz = bandwidth_hz if uplink_bandwidth_hz is None else uplink_bandwidth_hz
        both_fade_alike = uplink_fading is None
        self._down = _Direction(
            self, station, terminal, antennas_db, bandwidth_hz, fading, csi, backoff, False
        )
        up_fading = fading if uplink_fading is None else uplink_fading
        up_csi = csi if uplink_csi is None and both_fade_alike else uplink_csi
        self._up = _Direction(self, terminal, station, antennas_db, up_hz, up_fading, up_csi, backoff, True)

    def bandwidth_hz(self, *, uplink: bool) -> float:
        """Return the width of the band in a direction."""
        return (self._up if uplink else self._down).bandwidth_hz

    def state(
        self, at_s: float, *, uplink: bool, band_share: float = 1.0, interference_w: float = 0.0
    ) -> RadioState:
        """Return the state of a direction at an instant.

        Parameters
        ----------
        uplink
            True for the direction from the terminal to the station.
        band_share
            Share of the band that the transmission occupies.
        interference_w
            Power received from other senders over the whole band.
        """
        return (self._up if uplink else self._down).state(at_s, band_share, interference_w)

    def fewest_prb(self, state: RadioState, n_bits: float, *, uplink: bool) -> int:
        """Return the fewest resource blocks of a 5G carrier that carry ``n_bits`` in a slot.

        Parameters
        ----------
        state
            State of the direction over the whole band.
        """
        return cast("Gridded", self.air).fewest_prb(
            self._backoff * state.sinr_estimate * state.used_share, n_bits, concentrates=uplink
        )

    def gain(self, at_s: float, *, uplink: bool) -> float:
        """Return the power gain at an instant, linear: antennas, path loss, shadowing and fading."""
        return (self._up if uplink else self._down).gain(at_s)

    def received_w(self, at_s: float, *, uplink: bool) -> float:
        """Return the received power at an instant, for full transmit power over the whole band."""
        direction = self._up if uplink else self._down
        return direction.power_w * direction.gain(at_s)

    def mean_received_dbm(self, at_s: float, *, uplink: bool = False) -> float:
        """Return the received power averaged over fading, which handover measures."""
        direction = self._up if uplink else self._down
        return direction.power_dbm + direction.antennas_db - self.large_scale.at(at_s).total_db

    def mean_received_w(self, at_s: float, *, uplink: bool) -> float:
        """Return the received power in watts, averaged over fading, which interferes with other links."""
        direction = self._up if uplink else self._down
        return direction.power_w * direction.mean_gain(at_s)

    def until_s(self, at_s: float, *, uplink: bool) -> float:
        """Return the instant at which the channel's gain or its estimate next changes."""
        return (self._up if uplink else self._down).until_s(at_s)

    def mean_goodput_bps(self, *, uplink: bool, at_s: float = 0.0) -> float:
        """Return the goodput over the whole band, averaged over fading, for the large scale at an instant.

        The average is over a fixed set of draws from the fading's distribution, the same for every link. It
        is meant for planners; the goodput in a run differs with fading, movement, sharing and interference.
        """
        return (self._up if uplink else self._down).mean_goodput_bps(at_s)

    def report(self, at_s: float, *, uplink: bool, interference_w: float = 0.0) -> LinkReport:
        """Return the link budget and rates of a direction at an instant."""
        direction = self._up if uplink else self._down
        loss, state = self.large_scale.at(at_s), direction.state(at_s, 1.0, interference_w)
        return LinkReport(
            at_s=at_s,
            distance_m=loss.distance_m,
            is_los=loss.is_los,
            path_loss_db=loss.path_loss_db,
            shadowing_db=loss.shadowing_db,
            fading_db=_db(direction.fading.gain(at_s)),
            received_dbm=_db(direction.power_w * direction.gain(at_s)) + 30.0,
            sinr_db=_db(state.sinr),
            sinr_estimate_db=_db(state.sinr_estimate),
            mcs=state.grant.mcs,
            bler=state.errors[0],
            rate_bps=state.rate_bps,
            goodput_bps=goodput(state.rate_bps, state.errors),
        )


class _Direction:
    """One direction of a link, with its constants precomputed and its latest states cached."""

    __slots__ = (
        "_backoff",
        "_csi",
        "_estimate",
        "_fades",
        "_from_s",
        "_link",
        "_noise_w",
        "_received_w",
        "_states",
        "_until_s",
        "_uplink",
        "antennas_db",
        "bandwidth_hz",
        "fading",
        "power_dbm",
        "power_w",
    )

    def __init__(
        self,
        link: RadioLink,
        sender: Transceiver,
        receiver: Transceiver,
        antennas_db: float,
        bandwidth_hz: float,
        fading: Fading,
        csi: Estimation | None,
        backoff: float,
        uplink: bool,
    ) -> None:
        self._link, self.fading, self._csi = link, fading, csi
        self.power_dbm, self.antennas_db, self.bandwidth_hz = sender.power_dbm, antennas_db, bandwidth_hz
        self.power_w = dbm_to_w(sender.power_dbm)
        self._noise_w = thermal_noise_w(bandwidth_hz, receiver.noise_figure_db)
        self._backoff, self._uplink = backoff, uplink
        self._states: dict[tuple[float, float], RadioState] = {}
        self._from_s, self._until_s = math.inf, -math.inf  # validity of the cached channel
        self._fades = self._estimate = self._received_w = 0.0

    def mean_gain(self, at_s: float) -> float:
        """Return the large-scale gain with both antennas, linear."""
        loss = self._link.large_scale.at(at_s)
        return float(10.0 ** (0.1 * (self.antennas_db - loss.total_db)))

    def gain(self, at_s: float) -> float:
        return self.mean_gain(at_s) * self.fading.gain(at_s)

    def until_s(self, at_s: float) -> float:
        until_s = min(self.fading.until_s(at_s), self._link.large_scale.at(at_s).until_s)
        return until_s if self._csi is None else min(until_s, self._csi.until_s(at_s))

    def state(self, at_s: float, band_share: float, interference_w: float) -> RadioState:
        if self._from_s <= at_s < self._until_s:
            kept = self._states.get((band_share, interference_w))
            if kept is not None:
                return kept
        else:  # the channel has changed
            self._from_s, self._until_s = at_s, self.until_s(at_s)
            self._states = {}
            self._fades = self.fading.gain(at_s)
            self._estimate = self._fades if self._csi is None else self._csi.estimate(at_s)
            self._received_w = self.power_w * self.mean_gain(at_s)
        fading, estimate = self._fades, self._estimate
        mean = self._received_w / (self._noise_w + interference_w)
        if self._uplink:
            mean /= band_share
        state = self._adapted(mean * fading, mean * estimate, band_share, self._until_s)
        self._states[band_share, interference_w] = state
        return state

    def _adapted(self, sinr: float, estimate: float, band_share: float, until_s: float) -> RadioState:
        """Adapt the link to an estimate; narrow a weak terminal's share as long as the rate rises."""
        air, bandwidth_hz = self._link.air, band_share * self.bandwidth_hz
        trusted = estimate * self._backoff
        grant, used = air.grant(trusted, bandwidth_hz), 1.0
        takes_whole_band = getattr(air, "takes_whole_band", False)
        if self._uplink and grant.efficiency < _LINEAR_FROM and not takes_whole_band:
            narrow = 0.5
            while narrow >= _NARROWEST:
                other = air.grant(trusted / narrow, bandwidth_hz * narrow)
                if other.efficiency * narrow > grant.efficiency * used:
                    grant, used = other, narrow
                elif grant.mcs >= 0:
                    break
                narrow *= 0.5
        if grant.mcs < 0:
            return RadioState(sinr, estimate, OUT_OF_REACH, 0.0, (1.0,), until_s)
        rate_bps = grant.efficiency * bandwidth_hz * used
        errors = air.errors(grant, sinr / used)
        return RadioState(sinr / used, estimate / used, grant, rate_bps, errors, until_s, used)

    def mean_goodput_bps(self, at_s: float) -> float:
        mean = self.power_w * self.mean_gain(at_s) / self._noise_w
        states = [self._adapted(mean * gain, mean * gain, 1.0, math.inf) for gain in self._nominal_gains()]
        return math.fsum(goodput(state.rate_bps, state.errors) for state in states) / len(states)

    def _nominal_gains(self) -> list[float]:
        law = getattr(self.fading, "law", None)
        if law is None:
            return [1.0]
        counters = np.arange(N_NOMINAL)
        parts = keyed_normals(_NOMINAL_KEY, np.arange(2 * N_NOMINAL)) * math.sqrt(0.5)
        direct_rad = 2.0 * math.pi * keyed_uniforms(_NOMINAL_KEY + 1, counters)
        gains = law.gains(parts[:N_NOMINAL], parts[N_NOMINAL:], direct_rad)
        return [float(gain) for gain in gains]


def goodput(rate_bps: float, errors: tuple[float, ...]) -> float:
    """Return the delivered bits per second at a gross rate: delivery probability over attempts per block.

    With M attempts whose conditional error probabilities are p1, …, pM, a block is sent
    1 + p1 + p1 p2 + … times on average and is delivered with probability 1 - p1 p2 … pM.
    """
    undelivered, n_attempts = 1.0, 0.0
    for error in errors:
        n_attempts += undelivered
        undelivered *= error
    return rate_bps * (1.0 - undelivered) / n_attempts


def _db(ratio: float) -> float:
    return float(linear_to_db(ratio)) if ratio > 0 else -math.inf
