"""Reports: the state of a device, sent to another device in a message that takes time and may be lost."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Hashable, Iterable, Mapping
from dataclasses import dataclass

from edgesim.engine.network.transport import Transport
from edgesim.engine.observation.current_state import Looking
from edgesim.engine.observation.device_state import DeviceState
from edgesim.engine.observation.link_state import LinkState
from edgesim.engine.process.clock import Course
from edgesim.engine.process.verb import Verb, WorkLost
from edgesim.errors import ContractError
from edgesim.trace.buffer import NO_REQUEST

__all__ = ["Report", "Reports"]


@dataclass(frozen=True, slots=True)
class Report:
    """The state of a device and its links at one instant, with a payload of its strategy.

    Attributes
    ----------
    made_at_s
        When it was sent [s]: the instant of the reported state.
    links
        From the device to neighbours.
    payload
        Payload of the strategy.
    """

    made_at_s: float
    device: DeviceState
    links: tuple[LinkState, ...]
    payload: Hashable


class Reports:
    """Send reports, and store the newest report of each device that has arrived at each receiver.

    Not modelled: loss of the stored reports when a device fails.
    """

    def __init__(self, looking: Looking, transport: Transport) -> None:
        self._looking, self._transport = looking, transport
        self._known: dict[str, dict[str, Report]] = defaultdict(dict)  # receiver -> device -> report

    def at(self, device: str) -> Mapping[str, Report]:
        """Return the reports that have arrived at a device, by the device that they describe."""
        return self._known.get(device, {})

    def begin(
        self,
        source: str,
        target: str,
        size_bytes: float,
        payload: Hashable,
        links: Iterable[str] | None,
    ) -> Course:
        """Send a report now; return a process that returns whether it has arrived."""
        self._looking.check(source)
        self._looking.check(target)
        if not size_bytes >= 0:
            raise ContractError(f"report: found a size of {size_bytes} bytes; expected 0 or more")
        try:
            hash(payload)
        except TypeError:
            raise ContractError(
                f"report: the payload is a {type(payload).__name__}, which may still change; expected a "
                "frozen value: a number, a string, a tuple of these, a frozen dataclass"
            ) from None
        peers = self._looking.peers(source) if links is None else links
        report = Report(
            self._looking.now_s,
            self._looking.device(source),
            tuple(self._looking.link(source, peer) for peer in peers),
            payload,
        )
        try:
            sending = self._transport.message(NO_REQUEST, source, target, size_bytes, -1)
        except WorkLost:
            return _lost()
        return self._deliver(report, target, sending)

    def _deliver(self, report: Report, target: str, sending: Verb) -> Course:
        try:
            yield from sending
        except WorkLost:
            return False
        known, source = self._known[target], report.device.device
        if source not in known or known[source].made_at_s <= report.made_at_s:  # ignore it if overtaken
            known[source] = report
        return True


def _lost() -> Course:
    """Return False for a report that could not be sent."""
    return False
    yield
