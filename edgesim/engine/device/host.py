"""Hosts: the run-time state of devices, and the prices of model parts on each."""

from __future__ import annotations

from typing import Protocol

from edgesim.engine.device.group_hold import Hold, Holds
from edgesim.engine.device.price import Price
from edgesim.engine.device.service_draws import ServiceDraws
from edgesim.engine.device.station import Station
from edgesim.engine.device.watched import WatchedStation
from edgesim.engine.device.work import SharedStation
from edgesim.engine.process.verb import DeviceDown
from edgesim.engine.recording import Recording
from edgesim.errors import ContractError
from edgesim.model.architecture import Architecture, Slice
from edgesim.model.fill_timing import FillTiming
from edgesim.model.profile import Timing
from edgesim.trace.buffer import Spot
from edgesim.trace.laws.parts import FILL
from edgesim.trace.schema import SpanKind
from edgesim.world.device import Device
from edgesim.world.holdings import Holdings

__all__ = ["DirectHop", "Host", "Pricing"]


class DirectHop(Protocol):
    """The hop that carries a message to a neighbour: an :class:`edgesim.engine.network.hop.Hop`."""

    code: int

    def send(self, now_s: float, size_bytes: float) -> tuple[float, float]:
        """Book a message; return when its first bit leaves and when its last bit has arrived [s]."""
        ...


class Host(Station):
    """A device in a run: its compute station, its messaging station, its prices and its neighbours."""

    __slots__ = (
        "device",
        "direct",
        "down",
        "draws",
        "fills",
        "holds",
        "messaging",
        "n_requests",
        "prices",
        "shared",
        "start_up_s",
        "watched_messaging",
    )

    def __init__(self, device: Device) -> None:
        super().__init__()
        self.device = device
        self.messaging: Station = self if device.endpoint.on_compute else Station()
        self.watched_messaging: WatchedStation | None = None  # used instead on a device that may fail
        self.n_requests = 0  # requests that have or await memory here
        self.prices: dict[Slice, Price] = {}
        self.fills: dict[Slice, Price] = {}  # prices of keys and values alone
        self.shared: SharedStation | None = None  # used instead of this station where passes share it
        self.direct: dict[str, DirectHop | None] = {}  # by target; None if the route has several hops
        self.draws: ServiceDraws | None = None  # if service times are drawn
        self.down: str | None = None  # the reason while it is down; may be empty
        self.holds: Holds | None = None  # intervals occupied by groups that it is a member of
        self.start_up_s = device.start_up_s  # 0 once the first pass has been charged with it

    def started(self) -> float:
        """Return the start-up time to charge to a pass [s]: non-zero for the first one only."""
        start_up_s, self.start_up_s = self.start_up_s, 0.0
        return start_up_s

    def occupy(
        self,
        now_s: float,
        started_at_s: float,
        ended_at_s: float,
        *,
        compute_s: float,
        tx_s: float,
        rx_s: float,
    ) -> Hold:
        """Book an interval for which a group occupies the device, first come first served on all members.

        Parameters
        ----------
        compute_s, tx_s, rx_s
            Time within the interval for which the device computes, sends and receives.
        """
        if self.holds is None:
            self.holds = Holds()
        ready_at_s = max(now_s, self.free_at_s)
        if started_at_s > ready_at_s:  # idle until the other members are ready
            self.holds.add(now_s, Hold(ready_at_s, started_at_s, 0.0, 0.0, 0.0))
        length_s = ended_at_s - started_at_s
        shares = [each_s / length_s if length_s else 0.0 for each_s in (compute_s, tx_s, rx_s)]
        hold = Hold(started_at_s, ended_at_s, *shares)
        self.holds.add(now_s, hold)
        self.busy_s += compute_s
        self.free_at_s = ended_at_s
        return hold

    def busy_until(self, at_s: float) -> float:
        """Time spent computing up to an instant [s]."""
        if self.shared is not None:
            return self.shared.busy_until(at_s)
        # Work booked beyond the instant is contiguous, except for intervals occupied without computing.
        idle_s = 0.0 if self.holds is None else self.holds.idle_after_s(at_s)
        return super().busy_until(at_s) + idle_s

    @property
    def booked_until_s(self) -> float:
        """When the work booked so far will be done, first come first served [s]."""
        return getattr(self.shared, "free_at_s", self.free_at_s)

    def demand_up(self) -> None:
        """Raise DeviceDown while it is down."""
        if self.down is not None:
            raise DeviceDown(self.device.id, self.down)


class Pricing:
    """Compute the price of a part on a device at its first use there."""

    def __init__(self, model: Architecture, holdings: Holdings, recording: Recording) -> None:
        self._model = model
        self._holdings = holdings
        self._recording = recording

    def of(self, host: Host, part: Slice) -> Price:
        """Price a part and cache it in the host; raise ContractError if the device cannot compute it."""
        price = host.prices[part] = self._price(host, part, self._timing(host, part), str(part))
        return price

    def of_fill(self, host: Host, part: Slice) -> Price:
        """Price the computation of keys and values alone, and cache it likewise."""
        timing = FillTiming(self._timing(host, part), self._model)
        price = host.fills[part] = self._price(host, part, timing, f"{FILL}{part}")
        return price

    def _timing(self, host: Host, part: Slice) -> Timing:
        device = host.device
        self._holdings.check(device.id, part)
        if device.timing is None:
            raise ContractError(f"compute: {device.id!r} is a switch and computes nothing")
        return device.timing

    def _price(self, host: Host, part: Slice, timing: Timing, name: str) -> Price:
        spot = Spot(SpanKind.COMPUTE, host.device.id, via=name, power_w=host.device.power.active_w)
        return Price(timing, part, self._recording.code(spot), name)
