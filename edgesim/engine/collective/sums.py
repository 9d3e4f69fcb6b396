"""All-reduce of a group: by messages over wires, or in a band of a radio station."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Literal, get_args

from edgesim.engine.collective.all_reduce import all_reduce_rounds
from edgesim.engine.collective.idle_rounds import IdleRounds
from edgesim.engine.collective.tensor_group import Sum
from edgesim.planning.transceiver import DesignerName
from edgesim.radio.collective.errors_by_scheme import InversionName
from edgesim.radio.collective.over_the_air import AirScheme, OverTheAir, Scaling
from edgesim.trace.schema import LinkKind
from edgesim.units import bits
from edgesim.world.device import Endpoint

__all__ = ["AirSums", "MessageSums", "Scheme", "Summing"]

Scheme = Literal["ring", "star", "aircomp", "digital", "uncoded_fdma"]


@dataclass(frozen=True, slots=True, kw_only=True)
class Summing:
    """The all-reduce method chosen by a strategy.

    Attributes
    ----------
    scheme
        ``ring``, ``star``: messages over wires. ``aircomp``, ``digital``, ``uncoded_fdma``: in the band that
        a station's radio links reserve (`over_the_air`).
    value_bytes
        Size of one value in a message or in a digital band.
    is_rounded
        Whether values are sent with fewer bits than they have in the model.
    overhead_s
        Additional time of every sum, for synchronising the group.
    transceiver
        For ``aircomp``: how the station's combiner, or the powers of single antennas, are computed.
    truncation
        For the transceiver ``truncated-inversion``: fading gain below which a member is silent.
    budget_j
        For the analog schemes: greatest energy of a member for computing and sending its part of one token's
        sum.
    energy_j
        For the analog schemes: greatest energy for sending it alone.
    scaling
        For the analog schemes: how values are scaled before they are sent.
    """

    scheme: Scheme
    value_bytes: float
    is_rounded: bool = False
    overhead_s: float = 0.0
    transceiver: DesignerName | InversionName = "first-order"
    truncation: float = 0.1
    budget_j: float | None = None
    energy_j: float | None = None
    scaling: Scaling = "parts"

    @property
    def is_analog(self) -> bool:
        """Whether values arrive with an error from the channel."""
        return self.scheme in ("aircomp", "uncoded_fdma")

    @property
    def bits(self) -> float | None:
        """Bits of a value, for measured answers; None if values are sent in the model's precision."""
        return bits(self.value_bytes) if self.is_rounded and not self.is_analog else None

    @property
    def is_on_air(self) -> bool:
        """Whether sums are computed in a radio band."""
        return self.scheme in get_args(AirScheme)


class MessageSums:
    """Sums by messages over idle wires.

    Not modelled: other messages on the same wires during a pass.
    """

    is_constant = True
    link_kind = LinkKind.WIRED

    def __init__(self, wires: IdleRounds, group: Sequence[str], scheme: str, value_bytes: float) -> None:
        self._wires, self._group, self._scheme = wires, tuple(group), scheme
        self._value_bytes = value_bytes
        self._known: dict[int, Sum] = {}

    def sum(self, n_values: int, at_s: float, spent_j: Sequence[float]) -> Sum:
        """Simulate the rounds once for each size."""
        if n_values not in self._known:
            size_bytes = n_values * self._value_bytes
            summed = self._wires.of(all_reduce_rounds(self._group, size_bytes, self._scheme))
            tx_s, rx_s, handling_s = (
                tuple(each.get(device, 0.0) for device in self._group)
                for each in (summed.tx_s, summed.rx_s, summed.handling_s)
            )
            self._known[n_values] = Sum(summed.seconds, tx_s, rx_s, handling_s, summed.at_ends_s)
        return self._known[n_values]


class AirSums:
    """Sums in a band of a radio station: every member sends one message and receives one.

    Parameters
    ----------
    air
        Over-the-air sums in the band.
    endpoints
        Endpoints of the members.
    value_bytes
        Size of a value in a member's memory.
    latency_s
        Latency of the slowest member's link, each way.
    is_constant
        Whether channels never change.

    Not modelled: the station's cost of a message.
    """

    link_kind = LinkKind.RADIO

    def __init__(
        self,
        air: OverTheAir,
        endpoints: Sequence[Endpoint],
        *,
        value_bytes: float,
        latency_s: float = 0.0,
        is_constant: bool,
    ) -> None:
        self._air, self._endpoints, self._value_bytes = air, tuple(endpoints), value_bytes
        self._latency_s, self.is_constant = latency_s, is_constant
        self._known: dict[int, tuple[float, tuple[float, ...]]] = {}  # by size: slowest end, all ends

    def sum(self, n_values: int, at_s: float, spent_j: Sequence[float]) -> Sum:
        """Sum in the coherence block of the instant at which all members have sent theirs."""
        known = self._known.get(n_values)
        if known is None:
            size_bytes = n_values * self._value_bytes
            slowest_s = max(end.passing_s(size_bytes) for end in self._endpoints)
            known = slowest_s, tuple(2.0 * end.seconds(size_bytes) for end in self._endpoints)
            self._known[n_values] = known
        slowest_s, handling_s = known
        summed = self._air.sum(n_values, at_s + slowest_s, spent_j)
        return Sum(
            summed.seconds + 2.0 * (slowest_s + self._latency_s),
            tx_s=summed.uplink_s,
            rx_s=(summed.broadcast_s,) * len(handling_s),
            handling_s=handling_s,
            at_ends_s=2.0 * slowest_s,
            error=summed.error_variance,
        )
