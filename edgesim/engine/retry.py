"""Attempts at a request: serve it again after lost work if the scenario has a retry policy."""

from __future__ import annotations

from collections.abc import Callable

from edgesim.engine.life_cycle import LifeCycle
from edgesim.engine.process.clock import Clock, Course
from edgesim.engine.process.verb import WorkLost
from edgesim.engine.request import LiveRequest
from edgesim.errors import InputError
from edgesim.world.faults import Retry

__all__ = ["MOST_CHANGES", "attempts"]

MOST_CHANGES = 300_000
"""Failures and repairs allowed in one wait: they take ten seconds of processor time."""


def attempts(
    clock: Clock,
    life_cycle: LifeCycle,
    request: LiveRequest,
    serve: Callable[[], Course],
    retry: Retry | None,
    interrupt: Callable[[Exception], None],
    most_wait_s: float,
) -> Course:
    """Serve a request until an attempt succeeds or retries are exhausted; no retry once it has its answer.

    Parameters
    ----------
    serve
        Starts an attempt from the request's beginning.
    retry
        Limit and waits of retries; None: no retries.
    interrupt
        Throws an exception into the process that runs this.
    most_wait_s
        Longest permitted wait for an attempt [s].

    Raises
    ------
    InputError
        If a wait is longer: waits that double have then outgrown the simulated time.
    """
    while True:
        request.interrupt = interrupt
        try:
            life_cycle.begin(request)
            yield from serve()
        except WorkLost:
            if retry is None or request.attempt >= retry.limit or request.answered_at_s is not None:
                raise
        else:
            return
        request.interrupt = None
        life_cycle.start_over(request)
        wait_s = retry.wait_s(request.attempt)
        if wait_s > most_wait_s:
            raise InputError(
                f"retry: request {request.id} has been served {request.attempt} times in vain and would wait "
                f"{wait_s:g} s for the next attempt, in which over {MOST_CHANGES} failures and repairs are "
                "expected; lower its 'limit' or 'growth', give a 'horizon', or reduce failures"
            )
        yield clock._now + wait_s
