"""Reports: what a device says of itself to another, in a message that takes its time and may be lost."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Hashable, Iterable, Mapping
from dataclasses import dataclass

from edgesim.engine.network.transport import Transport
from edgesim.engine.observation.device_state import DeviceState
from edgesim.engine.observation.link_state import LinkState
from edgesim.engine.observation.looking import Looking
from edgesim.engine.process.clock import Course
from edgesim.engine.process.verb import Verb, WorkLost
from edgesim.errors import ContractError
from edgesim.trace.buffer import NO_REQUEST

__all__ = ["Report", "Reports"]


@dataclass(frozen=True, slots=True)
class Report:
    """A device and its links at one instant, and what its strategy says besides.

    Attributes
    ----------
    made_at_s
        When it was sent [s]: the instant of all that it says.
    links
        From the device to neighbours.
    payload
        The strategy's own.
    """

    made_at_s: float
    device: DeviceState
    links: tuple[LinkState, ...]
    payload: Hashable


class Reports:
    """Carries reports, and keeps the newest that has arrived of each device at each.

    Not modelled: that a device which fails forgets them.
    """

    def __init__(self, looking: Looking, transport: Transport) -> None:
        self._looking, self._transport = looking, transport
        self._known: dict[str, dict[str, Report]] = defaultdict(dict)  # receiver -> device -> report

    def at(self, device: str) -> Mapping[str, Report]:
        """What has arrived at a device, by the device that it is from."""
        return self._known.get(device, {})

    def begin(
        self,
        source: str,
        target: str,
        size_bytes: float,
        payload: Hashable,
        links: Iterable[str] | None,
    ) -> Course:
        """Send a report now; what to wait for, which says whether it has arrived."""
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
        if source not in known or known[source].made_at_s <= report.made_at_s:  # it may have been overtaken
            known[source] = report
        return True


def _lost() -> Course:
    """A report that never left."""
    return False
    yield
