"""Looking at a world in mid run: what strategies see at given instants, and what lookers must not change."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from contextlib import suppress
from typing import Any

from airwaves import Message
from miniature import Serve, Tables, answered, run

from edgesim.engine.request import LiveRequest
from edgesim.engine.token import Token
from edgesim.strategy import WorkLost
from edgesim.workload.requests import Request
from edgesim.world.world import World


def watched(
    there: World, messages: Sequence[Message], looks: Sequence[float], look: Callable[[Any], Any]
) -> tuple[list[Any], Tables]:
    """Send messages at their instants, each for somebody else, and look at the cluster at others.

    The run ends when all messages have arrived or are lost, and all looks are taken.
    """
    seen: list[Any] = []

    def serve(request: Any, cluster: Any) -> Any:
        def send(number: int, message: Message) -> Any:
            if message.at_s > 0.0:
                yield from cluster.sleep(message.at_s)
            token = Token(number, 1, 0, 0, False)
            owner = LiveRequest(Request(number + 1, message.source, 0, 0.0, 1, 1), there.model, 4)
            answered(owner, message.source)
            with suppress(WorkLost):
                yield from cluster.send(
                    owner, message.source, message.target, message.n_bits / 8, token=token, carries=()
                )

        def watch() -> Any:
            for at_s in looks:
                yield from cluster.sleep(at_s - cluster.now_s)
                seen.append(look(cluster))

        answered(request, request.source)
        yield from cluster.together(watch(), *(send(i, message) for i, message in enumerate(messages)))
        yield from cluster.emit(request, request.source, next(request.tokens()))

    return seen, run(there, Serve(serve))
