"""A request's life cycle: it begins, starts over after lost work, ends, or is cut off."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Protocol

from edgesim.engine.answers.by_request import RequestAnswers
from edgesim.engine.device.host import Host
from edgesim.engine.own_streams import OwnStreams
from edgesim.engine.process.clock import Clock
from edgesim.engine.progress import Progress
from edgesim.engine.request import LiveRequest
from edgesim.errors import ContractError
from edgesim.trace.schema import Outcome

__all__ = ["LifeCycle", "Owner"]


class Owner(Protocol):
    """A part of the engine that keeps state of every request being served."""

    def forget(self, request: LiveRequest) -> None:
        """Drop the state of an attempt that has failed, or of a request that has ended."""
        ...


class LifeCycle:
    """Begin and end requests, and have their state dropped.

    Parameters
    ----------
    owners
        All parts that keep state of a request, in the order in which they drop it.
    """

    def __init__(
        self,
        clock: Clock,
        hosts: dict[str, Host],
        answers: RequestAnswers,
        progress: Progress,
        own_streams: OwnStreams,
        owners: Iterable[Owner],
    ) -> None:
        self._clock = clock
        self._hosts = hosts
        self._answers = answers
        self._progress = progress
        self._own_streams = own_streams
        self._owners = tuple(owners)
        self._in_service: dict[int, LiveRequest] = {}

    def in_service(self) -> Iterable[LiveRequest]:
        """Requests being served, in runs where work can be lost."""
        return self._in_service.values()

    def begin(self, request: LiveRequest) -> None:
        """Begin an attempt at a request, where work can be lost; raise DeviceDown if the source is down."""
        self._in_service[request.id] = request
        self._hosts[request.source].demand_up()

    def start_over(self, request: LiveRequest) -> None:
        """Drop an attempt that has failed, with all its reservations and waits."""
        self._forget(request)
        request.attempt += 1
        request.token = 0

    def end(self, request: LiveRequest) -> None:
        """Close a request whose strategy process has ended."""
        self._progress.end(request)
        if request.n_emitted_tokens != request.n_output_tokens:
            raise ContractError(
                f"serve: request {request.id} ended with {request.n_emitted_tokens} of its "
                f"{request.n_output_tokens} tokens emitted; emit every token, or fail the request"
            )
        self._close(request, Outcome.COMPLETED, None)

    def end_failed(self, request: LiveRequest, reason: str) -> None:
        """Close a request that has failed; if it has its answer already, it counts as completed."""
        if request.answered_at_s is None:
            self._close(request, Outcome.FAILED, reason)
        else:
            self._close(request, Outcome.COMPLETED, None)

    def cut_off(self, request: LiveRequest, stuck: str | None) -> None:
        """Record the state of a request in flight at the end of the run, and why it would never end."""
        if stuck is not None:
            request.reason = stuck
        elif request.answered_at_s is not None:
            request.outcome, request.ended_at_s = Outcome.COMPLETED, request.answered_at_s
        request.worth = self._answers.worth(request)

    def _close(self, request: LiveRequest, outcome: Outcome, reason: str | None) -> None:
        request.outcome, request.reason = outcome, reason
        # The strategy's steps after the last delivery do not count towards the user's waiting time.
        is_failed = outcome is Outcome.FAILED
        request.ended_at_s = self._clock._now if is_failed else request.answered_at_s
        request.interrupt = None
        request.worth = self._answers.worth(request)
        self._in_service.pop(request.id, None)
        self._own_streams.close(request.id)
        self._forget(request)

    def _forget(self, request: LiveRequest) -> None:
        for owner in self._owners:
            owner.forget(request)
