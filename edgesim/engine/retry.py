"""A request's attempts: it is served, and served again where work was lost and the scenario says so."""

from __future__ import annotations

from collections.abc import Callable

from edgesim.engine.cluster import Cluster
from edgesim.engine.process.clock import Clock, Course
from edgesim.engine.process.verb import WorkLost
from edgesim.engine.request import LiveRequest
from edgesim.world.faults import Retry

__all__ = ["attempts"]


def attempts(
    clock: Clock,
    cluster: Cluster,
    request: LiveRequest,
    serve: Callable[[], Course],
    retry: Retry | None,
    interrupt: Callable[[Exception], None],
) -> Course:
    """Serve a request until an attempt succeeds, or fails for good; not again once it has its answer.

    Parameters
    ----------
    serve
        Begins an attempt, from the request's beginning.
    retry
        How often and after what; None: never.
    interrupt
        Throws an exception into the process that runs this.
    """
    request.delivered = set()
    while True:
        request.interrupt = interrupt
        try:
            cluster.begin(request)
            yield from serve()
        except WorkLost:
            if retry is None or request.attempt >= retry.limit or request.answered_at_s is not None:
                raise
        else:
            return
        request.interrupt = None
        cluster.start_over(request)
        yield clock._now + retry.wait_s(request.attempt)
