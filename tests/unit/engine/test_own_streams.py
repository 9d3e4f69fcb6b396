"""Randomness of a strategy's own: a function of seed, replication, name and request, and of nothing else."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
from miniature import PerBlock, Serve, device, run, world

from edgesim.engine.own_streams import OwnStreams
from edgesim.model.architecture import Slice
from edgesim.rng import Streams

WHOLE = Slice(0, 4, embedding=True, head=True)
THERE = world([device("a", PerBlock(1e-3))], n_requests=4)


def drawn(there, *, order: str = "first", noise: bool = False) -> dict[int, list[float]]:
    """What each request draws, with others' draws in between or not."""
    told: dict[int, list[float]] = {}

    def serve(request, cluster):
        token = next(request.tokens())
        if noise:
            cluster.random("noise", request).random(7)
            cluster.random("explore").random(3)
        if order == "late":
            yield from cluster.sleep(10.0 - 2.5 * request.id)
        told[request.id] = cluster.random("explore", request).random(2).tolist()
        yield from cluster.compute(request, "a", WHOLE, token)
        told[request.id] += cluster.random("explore", request).random(2).tolist()
        yield from cluster.emit(request, "a", token)

    run(there, Serve(serve))
    return told


def test_draws_are_the_same_whatever_else_draws_and_in_whichever_order() -> None:
    plain = drawn(THERE)
    assert drawn(THERE, noise=True) == plain
    assert drawn(THERE, order="late", noise=True) == plain


def test_successive_calls_go_on_with_one_stream_and_others_differ() -> None:
    plain = drawn(THERE)
    values = [value for mine in plain.values() for value in mine]
    assert len(set(values)) == 16  # neither a call nor a request repeats another's
    again = drawn(replace(THERE, replication=1))
    assert not set(values) & {value for mine in again.values() for value in mine}


def test_a_streams_name_says_whose_it_is() -> None:
    """The stream is one of the replication's, by a name that no other pair of name and request has."""
    streams = OwnStreams(3, 2)
    expected = Streams(3, 2)["strategy 12 explore"].random(5)
    np.testing.assert_array_equal(streams.of("explore", 12).random(5), expected)
    assert streams.of("2 explore", 1).random() != streams.of("explore", 12).random()
    assert streams.of("explore").random() not in expected


def test_an_ended_request_leaves_nothing_behind() -> None:
    streams = OwnStreams(1, 0)
    first = streams.of("a", 5).random()
    streams.close(5)
    assert streams.of("a", 5).random() == first
