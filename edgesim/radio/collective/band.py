"""A band in which a group of terminals and a station sum tensors, over the air or in separate parts.

Three schemes use the same antennas and band, and the same power unless something else limits it:

* over the air: all terminals at once in the whole band; the channel adds
  (:mod:`edgesim.radio.collective.aircomp`);
* digital: each terminal has an equal part of the band (OFDMA) and sends quantised values over up to as many
  spatial streams (rank adaptation), with the link adaptation and repetitions of its air interface;
* uncoded: each terminal has an equal part of the band and sends analog values, whose errors add up.

The errors of analog sums are in :mod:`edgesim.radio.collective.errors_by_scheme`.

The sum is broadcast to all terminals: analog, or digital at the rate of the weakest.

Not modelled: other traffic in this band (it is reserved), and noise of an analog broadcast, whose station
has ample power.
"""

from __future__ import annotations

import math
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field

import numpy as np
from numpy.typing import NDArray

from edgesim.errors import InputError
from edgesim.radio.adaptation.air_interface import AirInterface
from edgesim.radio.channel.mimo import RicianMatrices
from edgesim.radio.channel.noise import thermal_noise_w
from edgesim.radio.collective.aircomp import channel_uses
from edgesim.radio.collective.aircomp_impairments import PERFECT, ChannelEstimate, Synchronisation, estimated
from edgesim.radio.radio_link import RadioLink, goodput
from edgesim.units import db_to_linear, dbm_to_w

__all__ = ["CollectiveBand", "Member", "band_of", "stream_sinrs"]

Matrices = NDArray[np.complex128]
Ratios = NDArray[np.float64]

_STRIDE = 64  # blocks whose matrices are drawn together


@dataclass(frozen=True, slots=True, kw_only=True)
class Member:
    """A terminal of the band.

    Attributes
    ----------
    link
        Radio link to the station: power, noise figures and large-scale gain. Its small-scale fading is
        not used: ``matrices`` replaces it.
    matrices
        Small-scale channel between the arrays, mean power 1 per entry: [station antennas, terminal antennas].
    errors
        Errors of the estimates of the scattered part: entries of mean 0 and power 1, of the same shape.
        None if channels are known.
    """

    link: RadioLink
    matrices: RicianMatrices
    errors: RicianMatrices | None = None

    def gain(self, at_s: float) -> float:
        """Return the large-scale power gain at an instant, antenna gains included."""
        return self.link.mean_received_w(at_s, uplink=True) / self.power_w

    @property
    def power_w(self) -> float:
        """Largest transmit power of the terminal."""
        return dbm_to_w(self.link.terminal.power_dbm)


@dataclass(frozen=True, slots=True, kw_only=True)
class CollectiveBand:
    """A band reserved for the sums of one station and its terminals.

    Parameters
    ----------
    station
        Station that owns the band.
    bandwidth_hz
        Width of the band.
    n_streams
        L: values sent in one channel use.
    coherence_s
        Time for which a channel stays constant; then all matrices are drawn again (block fading).
    members
        Terminals by name.
    lost_share
        Share of band and time that analog values lose to guard bands, pilots and control. Digital values have
        the overhead of their air interface.
    csi_error
        Share of the scattered part that an estimate misses, from 0 (nothing) to 1 (all of it):
        :func:`edgesim.radio.collective.aircomp_impairments.estimated`. Applies to analog sums; digital ones
        adapt to the true channel.
    synchronisation
        Synchronisation errors of the terminals; applies to analog sums.
    """

    station: str
    bandwidth_hz: float
    n_streams: int
    coherence_s: float
    members: Mapping[str, Member]
    lost_share: float = 0.0
    csi_error: float = 0.0
    synchronisation: Synchronisation = PERFECT
    _drawn: dict[int, tuple[int, Matrices]] = field(
        default_factory=dict, init=False, repr=False, compare=False
    )
    """Cache of the last matrices by key, with their block; they are pure functions of the block."""

    _ratios: dict[tuple[str, ...], tuple[int, Ratios, Ratios]] = field(
        default_factory=dict, init=False, repr=False, compare=False
    )
    """Cache of the ratios of digital sums by group, likewise."""
    _path_step_s: float = field(default=math.inf, init=False, repr=False, compare=False)
    """Time for which path gains stay constant; infinite if nothing moves."""

    def __post_init__(self) -> None:
        steps_s = [member.link.large_scale.step_s for member in self.members.values()]
        object.__setattr__(self, "_path_step_s", min(steps_s, default=math.inf))
        if not self.bandwidth_hz > 0:
            raise InputError(f"over the air: bandwidth is {self.bandwidth_hz:g} Hz; expected more than 0")
        if not 0 <= self.lost_share < 1:
            raise InputError(f"over the air: an overhead of {self.lost_share:g}; expected 0 to below 1")
        for name, member in self.members.items():
            if self.csi_error > 0 and member.errors is None:
                raise InputError(f"over the air: no estimation errors of {name}'s channel; give 'errors'")
            antennas = min(member.matrices.n_receive, member.matrices.n_transmit)
            if not 1 <= self.n_streams <= antennas:
                raise InputError(
                    f"over the air: {self.n_streams} streams between {self.station} and {name}, whose "
                    f"smaller array has {antennas} antennas; expected 1 to {antennas} streams"
                )

    def block(self, at_s: float) -> int:
        """Return the number of the coherence block at an instant."""
        return 0 if math.isinf(self.coherence_s) else int(at_s // self.coherence_s)

    @property
    def is_constant(self) -> bool:
        """Whether the channels never change."""
        return math.isinf(self.coherence_s) and math.isinf(self._path_step_s)

    def stretch(self, at_s: float) -> tuple[int, int]:
        """Return numbers that identify an interval in which neither fading nor path gains change."""
        step_s = self._path_step_s
        return self.block(at_s), 0 if math.isinf(step_s) else int(at_s // step_s)

    def channels(self, group: Sequence[str], at_s: float) -> Matrices:
        """Return the channels to the station, with path gains: [n_terminals, n_receive, n_transmit]."""
        return self.draw(group, self.block(at_s), at_s)

    def draw(self, group: Sequence[str], block: int, at_s: float = 0.0) -> Matrices:
        """Return the channels of a numbered block, with the path gains of an instant; as :meth:`channels`."""
        return np.stack(
            [
                math.sqrt(self.members[name].gain(at_s)) * self._matrix(self.members[name].matrices, block)
                for name in group
            ]
        )

    @property
    def is_perfect(self) -> bool:
        """Whether channels are known exactly and devices are synchronised."""
        return self.csi_error == 0 and self.synchronisation == PERFECT

    def estimate(self, group: Sequence[str], at_s: float) -> ChannelEstimate:
        """Return the channel estimates at an instant."""
        channels = self.channels(group, at_s)
        if self.csi_error == 0:
            return ChannelEstimate(channels, channels, np.zeros(len(group)))
        block = self.block(at_s)
        gains = np.array([self.members[name].gain(at_s) for name in group])
        k = np.array([db_to_linear(self.members[name].matrices.k_db) for name in group])
        scattered, direct = (
            np.sqrt(gains * part)[:, np.newaxis, np.newaxis] for part in (1 / (k + 1), k / (k + 1))
        )
        drawn = [self._matrix(self.members[name].errors, block) for name in group]  # type: ignore[arg-type]
        return estimated(
            channels,
            scattered * np.stack(drawn),
            self.csi_error,
            direct + 0j,
            gains / (k + 1),
        )

    def _matrix(self, matrices: RicianMatrices, block: int) -> Matrices:
        """Return a small-scale matrix of a block; those of the blocks around it are drawn with it."""
        stride, place = divmod(block, _STRIDE)
        known = self._drawn.get(matrices.key)
        if known is None or known[0] != stride:
            blocks = np.arange(stride * _STRIDE, (stride + 1) * _STRIDE)
            known = self._drawn[matrices.key] = (stride, matrices.matrices(blocks))
        drawn: Matrices = known[1][place]
        return drawn

    def powers_w(self, group: Sequence[str]) -> NDArray[np.float64]:
        """Return the transmit powers of terminals."""
        return np.array([self.members[name].power_w for name in group])

    @property
    def antennas(self) -> tuple[int, int]:
        """Number of antennas of the station and of a terminal."""
        matrices = next(iter(self.members.values())).matrices
        return matrices.n_receive, matrices.n_transmit

    @property
    def noise_w(self) -> float:
        """Noise power at each antenna of the station over the whole band."""
        link = next(iter(self.members.values())).link
        return thermal_noise_w(self.bandwidth_hz, link.station.noise_figure_db)

    # --- durations --------------------------------------------------------------------------------

    def analog_s(self, n_values: int, n_parts: int = 1) -> float:
        """Return the time that analog values take in one of ``n_parts`` equal parts of the band."""
        uses = channel_uses(n_values, self.n_streams)
        return uses * n_parts / (self.bandwidth_hz * (1.0 - self.lost_share))

    def digital_uplink_s(self, n_bits: float, group: Sequence[str], at_s: float) -> NDArray[np.float64]:
        """Return the time that each terminal takes to deliver ``n_bits`` in its part of the band.

        Infinite if a terminal is out of reach. Repetitions count with their mean.
        """
        part_hz = self.bandwidth_hz / len(group)
        airs = [self.members[name].link.air for name in group]
        return _times_s(n_bits, _most_bps(airs, part_hz, self._digital_ratios(group, at_s)[0]))

    def digital_broadcast_s(self, n_bits: float, group: Sequence[str], at_s: float) -> float:
        """Return the time to send ``n_bits`` to all terminals at once, at the weakest's rate on each stream.

        The station directs its streams into the subspace that the terminals' channels share most. It uses the
        number of streams, up to L, that delivers most.
        """
        air = self.members[group[0]].link.air
        ratios = self._digital_ratios(group, at_s)[1]
        return float(_times_s(n_bits, _most_bps([air], self.bandwidth_hz, ratios[np.newaxis]))[0])

    def _digital_ratios(self, group: Sequence[str], at_s: float) -> tuple[Ratios, Ratios]:
        """Return :meth:`_all_ratios` of the block at an instant.

        If nothing moves, the ratios of many blocks are computed together.
        """
        block = self.block(at_s)
        if not math.isinf(self._path_step_s):
            up, down = self._all_ratios(group, self.draw(group, block, at_s)[np.newaxis])
            return up[0], down[0]
        stride, place = divmod(block, _STRIDE)
        known = self._ratios.get(tuple(group))
        if known is None or known[0] != stride:
            blocks = range(stride * _STRIDE, (stride + 1) * _STRIDE)
            channels = np.stack([self.draw(group, each) for each in blocks])
            known = self._ratios[tuple(group)] = (stride, *self._all_ratios(group, channels))
        return known[1][place], known[2][place]

    def _all_ratios(self, group: Sequence[str], channels: Matrices) -> tuple[Ratios, Ratios]:
        """Return the signal-to-noise ratios of streams, a row per number of streams that share the power.

        Parameters
        ----------
        channels : [n_blocks, n_terminals, n_receive, n_transmit]

        Returns
        -------
        Uplink, [n_blocks, n_terminals, L, L], and downlink to the weakest terminal, [n_blocks, L, L].
        """
        n_streams, links = self.n_streams, [self.members[name].link for name in group]
        # Streams along singular vectors arrive orthogonal to one another, each with its singular value.
        singular = np.linalg.svd(channels, compute_uv=False)[..., :n_streams]
        snrs = (self.powers_w(group) / (self.noise_w / len(group)))[:, np.newaxis] * singular**2
        up = snrs[..., np.newaxis, :] / np.arange(1, n_streams + 1)[:, np.newaxis]
        side_by_side = channels.swapaxes(1, 2).reshape(len(channels), channels.shape[2], -1)
        shared = np.linalg.svd(side_by_side, full_matrices=False)[0]
        sent_w = np.array([dbm_to_w(link.station.power_dbm) for link in links])
        noise_w = [thermal_noise_w(self.bandwidth_hz, link.terminal.noise_figure_db) for link in links]
        down = np.zeros((len(channels), n_streams, n_streams))
        for n in range(1, n_streams + 1):
            received = channels.swapaxes(2, 3) @ shared[:, np.newaxis, :, :n].conj()
            alike = stream_sinrs(received, 1.0, 1.0)  # at power and noise 1; scaled per terminal below
            down[:, n - 1, :n] = (alike * (sent_w / noise_w)[:, np.newaxis] / n).min(axis=1)
        return up, down


def band_of(bands: Iterable[CollectiveBand], group: Iterable[str]) -> CollectiveBand | None:
    """Return the first band that contains all members of a group; None if there is none."""
    members = set(group)
    return next((band for band in bands if band.members.keys() >= members), None)


def stream_sinrs(channel: Matrices, power_w: float, noise_w: float) -> NDArray[np.float64]:
    """Return the signal-to-noise ratios of spatial streams after a zero-forcing receiver.

    ``power / (noise [(H^H H)^-1]_ll)`` (Tse and Viswanath 2005, section 8.3.1: the decorrelator). All are 0
    if the channel has fewer independent directions than streams.

    Parameters
    ----------
    channel : [..., n_receive, n_streams]
        Channel of each stream.
    power_w
        Power of each stream.
    """
    gram = channel.conj().swapaxes(-1, -2) @ channel
    try:
        inverse = np.linalg.inv(gram)
    except np.linalg.LinAlgError:
        if channel.ndim > 2:
            return np.stack([stream_sinrs(one, power_w, noise_w) for one in channel])
        return np.zeros(channel.shape[1])
    return np.asarray(power_w / (noise_w * np.diagonal(inverse, axis1=-2, axis2=-1).real))


def _delivered_bps(air: AirInterface, sinr: float, bandwidth_hz: float) -> float:
    grant = air.grant(sinr, bandwidth_hz)
    if grant.mcs < 0:
        return 0.0
    return goodput(grant.efficiency * bandwidth_hz, air.errors(grant, sinr))


def _most_bps(
    airs: Sequence[AirInterface], bandwidth_hz: float, ratios: NDArray[np.float64]
) -> NDArray[np.float64]:
    """Return the rate with the number of streams of most capacity; if it is out of reach, of the next best.

    Parameters
    ----------
    airs : [n_links]
    ratios : [n_links, n_streams, n_streams]
        Signal-to-noise ratios, a row for each number of streams; only that many entries of a row count.

    Returns
    -------
    Rates, [n_links]; 0 if no stream is in reach.
    """
    counted = np.tri(ratios.shape[-1])
    capacities = (np.log2(1.0 + ratios) * counted).sum(axis=2)
    best = np.argsort(-capacities, axis=1, kind="stable").tolist()
    rates_bps = []
    for air, rows, order in zip(airs, ratios.tolist(), best, strict=True):
        found = (
            sum(_delivered_bps(air, sinr, bandwidth_hz) for sinr in rows[row][: row + 1]) for row in order
        )
        rates_bps.append(next((rate_bps for rate_bps in found if rate_bps > 0), 0.0))
    return np.array(rates_bps)


def _times_s(n_bits: float, rates_bps: NDArray[np.float64]) -> NDArray[np.float64]:
    times_s = np.full(len(rates_bps), np.inf)
    np.divide(n_bits, rates_bps, out=times_s, where=rates_bps > 0)
    return times_s
