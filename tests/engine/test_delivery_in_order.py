"""Tokens that overtake one another on their way home are read in order: every instant by hand.

Two replicas, 4 s for a token on each: b-0, 10 s away from the source, and c-0, next to it. Token 0 is what
b-0 makes of the prompt, from 10 s to 14 s, and is home at 24 s. All others come from c-0, which works from
0 s on: tokens 1, 2 and 3 are home at 8 s, 12 s and 16 s.
"""

from __future__ import annotations

import math
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
from kept import kept
from miniature import N_BLOCKS, Serve, Tables, device, run, world

from edgesim.errors import ContractError
from edgesim.model.architecture import Slice
from edgesim.radio.motion.outages import ScheduledOutages
from edgesim.strategy import Placement, Stage
from edgesim.workload.lengths import Fixed
from edgesim.world.faults import Faults, Retry
from edgesim.world.link import Link
from edgesim.world.world import World

WHOLE = Slice(0, N_BLOCKS, embedding=True, head=True)


def replicas(**facts: Any) -> World:
    links = [
        Link(between=("a-0", "b-0"), rate_bps=math.inf, latency_s=10.0),
        Link(between=("a-0", "c-0"), rate_bps=math.inf),
    ]
    return world([device("a-0"), device("b-0"), device("c-0")], links, **({"output": Fixed(4)} | facts))


def down(*windows: tuple[float, float]) -> Faults:
    return Faults(devices={"c-0": ScheduledOutages(windows)})


class FirstFromAfar(Serve):
    def place(self, model: Any, fleet: Any) -> Placement:
        return Placement(tuple(Stage(name, WHOLE) for name in ("a-0", "b-0", "c-0")))


def both(request, cluster):
    """The first attempt, as above; a second one on c-0 alone."""
    first, *rest = request.tokens()

    def afar():
        yield from cluster.send(request, "a-0", "b-0", request.prompt_bytes)
        yield from cluster.compute(request, "b-0", WHOLE, first)
        yield from cluster.emit(request, "b-0", first)

    def near():
        yield from cluster.send(request, "a-0", "c-0", request.prompt_bytes)
        for token in (first, *rest):
            yield from cluster.compute(request, "c-0", WHOLE, token)
            if token is not first or request.attempt:
                yield from cluster.emit(request, "c-0", token)

    yield from cluster.together(near(), *([] if request.attempt else [afar()]))


def home_s(ran: Tables) -> list[tuple[int, float]]:
    return [row[1:] for row in ran.log("kind", "token", "ended_at_s") if row[0] == "emit"]


@pytest.mark.parametrize("faults", [None, down((1e6, 2e6))], ids=["nothing fails", "it might"])
def test_a_token_is_read_when_those_before_it_are_there(faults: Faults | None, tmp_path: Path) -> None:
    there = replicas(faults=faults)
    ran = run(there, FirstFromAfar(both))
    assert home_s(ran) == [(0, 24.0), (1, 24.0), (2, 24.0), (3, 24.0)]
    (request,) = ran.requests.itertuples()
    assert (request.outcome, request.n_emitted_tokens) == ("completed", 4)
    assert (request.first_token_at_s, request.ended_at_s) == (24.0, 24.0)
    assert kept(there, FirstFromAfar(both), tmp_path / "trace").check() == []


def test_what_has_waited_there_in_vain_is_not_read() -> None:
    """c-0 fails at 13.5 s, when tokens 1 and 2 wait for token 0: nothing has been read."""
    ran = run(replicas(faults=down((13.5, 13.6))), FirstFromAfar(both))
    assert home_s(ran) == []
    assert ran.requests["n_emitted_tokens"].tolist() == [0]
    assert ran.requests["first_token_at_s"].isna().all()


def test_a_second_attempt_has_no_use_for_what_waited_in_the_first() -> None:
    """It begins at 14 s, and brings a token every 4 s; token 0 of the first, home at 24 s, counts no more."""
    there = replicas(faults=down((13.5, 13.6)), retry=Retry(limit=1, backoff_s=0.5))
    assert home_s(run(there, FirstFromAfar(both))) == [(0, 18.0), (1, 22.0), (2, 26.0), (3, 30.0)]


def test_what_waits_there_at_the_end_of_the_run_has_not_been_read(tmp_path: Path) -> None:
    """The horizon meets tokens 1, 2 and 3, which wait for token 0."""
    there = replace(replicas(), horizon_s=20.0)
    ran = run(there, FirstFromAfar(both))
    assert ran.requests[["outcome", "n_emitted_tokens"]].to_numpy().tolist() == [["censored", 0]]
    assert kept(there, FirstFromAfar(both), tmp_path / "trace").check() == []


def test_a_second_attempt_waits_for_none_of_the_first() -> None:
    """The source fails at 20 s, when the last token waits for the first; from 20.5 s on all come anew."""
    faults = Faults(devices={"a-0": ScheduledOutages([(20.0, 20.2)])})
    there = replicas(faults=faults, retry=Retry(limit=1, backoff_s=0.5))
    assert home_s(run(there, FirstFromAfar(both))) == [(0, 24.5), (1, 28.5), (2, 32.5), (3, 36.5)]


def test_a_token_that_is_emitted_twice_without_faults_is_a_breach_of_contract() -> None:
    def twice(request: Any, cluster: Any) -> Any:
        for token in request.tokens():
            yield from cluster.compute(request, "a-0", WHOLE, token)
            for _ in range(2 if token.index == 0 else 1):
                yield from cluster.emit(request, "a-0", token)

    with pytest.raises(ContractError, match="ended with 4 of its 3 tokens emitted"):
        run(world([device("a-0")], output=Fixed(3)), Serve(twice))
