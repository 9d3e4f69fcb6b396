"""Failures that meet what is under way: a message at a relay, a token of an attempt that is over."""

from __future__ import annotations

import math
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
from kept import kept
from miniature import N_BLOCKS, Serve, Tables, device, run, world

from edgesim.engine.cluster import Cluster
from edgesim.engine.process.clock import Clock
from edgesim.engine.request import LiveRequest
from edgesim.errors import ContractError
from edgesim.model.architecture import Slice
from edgesim.radio.motion.outages import ScheduledOutages
from edgesim.strategy import Placement, Stage
from edgesim.workload.lengths import Fixed
from edgesim.world.device import Endpoint, Power
from edgesim.world.faults import Faults, Retry
from edgesim.world.link import Link
from edgesim.world.world import World

WHOLE = Slice(0, N_BLOCKS, embedding=True, head=True)
LAST_HOP = "a-0--s-0"


def ends(ran: Tables) -> list[tuple[Any, ...]]:
    columns = ["outcome", "reason", "ended_at_s", "n_emitted_tokens"]
    told = ran.requests.sort_values("request_id")[columns].astype(object)
    return [tuple(row) for row in told.where(told.notna(), None).itertuples(index=False)]


def remote(request, cluster):
    """The prompt to b-0, 4 s a token there, tokens home."""
    yield from cluster.send(request, "a-0", "b-0", request.prompt_bytes)
    for token in request.tokens():
        yield from cluster.compute(request, "b-0", WHOLE, token)
        yield from cluster.emit(request, "b-0", token)


# --- what is down sends nothing ---------------------------------------------------------------------


def test_a_message_that_reaches_a_relay_as_it_fails_goes_no_further() -> None:
    """A second a hop: it is at the relay at 1 s, wholly, and the relay is down from then on."""
    power = Power(tx_w=3.0, rx_w=2.0)
    relay = device("s-0", timing=None, memory_bytes=0, power=power)
    devices = [device("a-0", power=power), relay, device("b-0", power=power)]
    hops = [Link(between=ends_, rate_bps=8e6) for ends_ in (("a-0", "s-0"), ("s-0", "b-0"))]
    faults = Faults(devices={"s-0": ScheduledOutages([(1.0, 5.0)])})

    def a_second(request, cluster):
        yield from cluster.send(request, "a-0", "b-0", 1e6)

    ran = run(world(devices, hops, faults=faults), Serve(a_second))
    assert ends(ran) == [("failed", "device down: s-0", 1.0, 0)]
    assert ran.log("kind", "device", "started_at_s", "ended_at_s") == [("send", "a-0", 0.0, 1.0)]
    # The first hop, a second at 3 W and at 2 W, and nothing of a dead board.
    assert ran.devices["energy_tx_j"].tolist() == pytest.approx([3.0, 0.0, 0.0])
    assert ran.devices["energy_rx_j"].tolist() == pytest.approx([0.0, 2.0, 0.0])


@pytest.mark.parametrize("endpoint", [Endpoint(), Endpoint(overhead_s=1.0)], ids=["free", "costly"])
def test_a_token_that_is_ready_as_its_device_fails_never_leaves_it(endpoint: Endpoint) -> None:
    """The pass ends at the instant of the failure, and is done; its token would have to be sent after it."""
    free = Link(between=("a-0", "b-0"), rate_bps=math.inf)
    ready_at_s = 4.0 + endpoint.overhead_s  # the prompt's handling comes first
    faults = Faults(devices={"b-0": ScheduledOutages([(ready_at_s, ready_at_s + 1.0)])})
    there = world([device("a-0"), device("b-0", endpoint=endpoint)], [free], faults=faults)
    ran = run(there, Serve(remote))
    assert ends(ran) == [("failed", "device down: b-0", ready_at_s, 0)]
    assert [row for row in ran.log("kind", "ended_at_s") if row[0] == "compute"] == [("compute", ready_at_s)]
    assert "emit" not in set(ran.spans["kind"])


# --- tokens of an attempt that is over ---------------------------------------------------------------


def relayed(link_is_cut: bool, **facts: Any) -> World:
    """Free hops over s-0, that to b-0 with a latency of 1 s; b-0 is down from 5.5 to 5.6 s.

    The first attempt: the prompt is at b-0 at 1 s, token 0 is ready at 5 s, and at s-0 at 6 s. The failure
    takes token 1, which is computed meanwhile, and not token 0, which has left. The second attempt begins at
    5.7 s: its prompt is at b-0 at 6.7 s, its tokens are ready at 10.7 s and 14.7 s, and home a second later.
    """
    devices = [device("a-0"), device("s-0", timing=None, memory_bytes=0), device("b-0")]
    hops = [
        Link(between=("a-0", "s-0"), rate_bps=math.inf),
        Link(between=("b-0", "s-0"), rate_bps=math.inf, latency_s=1.0),
    ]
    links = {LAST_HOP: ScheduledOutages([(5.9, 6.5)])} if link_is_cut else {}
    faults = Faults(devices={"b-0": ScheduledOutages([(5.5, 5.6)])}, links=links)
    return world(devices, hops, **({"output": Fixed(2), "faults": faults} | facts))


@pytest.mark.parametrize("link_is_cut", [True, False], ids=["lost", "arrives"])
def test_a_token_of_the_attempt_before_neither_helps_nor_harms_the_next(link_is_cut: bool) -> None:
    """Lost at 6 s or not: the one retry that there is goes on, and brings all tokens itself."""
    ran = run(relayed(link_is_cut, retry=Retry(limit=1, backoff_s=0.2)), Serve(remote))
    assert ends(ran) == [("completed", None, pytest.approx(15.7), 2)]
    emits = [row[1:] for row in ran.log("kind", "token", "ended_at_s") if row[0] == "emit"]
    assert emits == [(0, 11.7), (1, 15.7)]
    assert ran.requests["first_token_at_s"].tolist() == [pytest.approx(11.7)]


def test_a_token_of_the_attempt_before_may_outlast_its_request(tmp_path: Path) -> None:
    """It takes 6 s a hop, leaves at 16 s, and is home at 28 s; the source fails at 17 s.

    The next attempt begins at 17.5 s where the request arose, and is done at 25.5 s. A lawful trace shows the
    token on its last hop all the same. Request 1 keeps the run going: it sleeps until 57.5 s.
    """

    class AfarThenHere(Serve):
        def place(self, model: Any, fleet: Any) -> Placement:
            return Placement((Stage("a-0", WHOLE), Stage("b-0", WHOLE)))

    def serve(request, cluster):
        here = "a-0" if request.attempt or request.id else "b-0"
        yield from cluster.sleep(40.0 * request.id)
        yield from cluster.send(request, "a-0", here, request.prompt_bytes)
        for token in request.tokens():
            yield from cluster.compute(request, here, WHOLE, token)
            yield from cluster.emit(request, here, token)

    there = relayed(False, n_requests=2, retry=Retry(limit=1, backoff_s=0.5))
    links = tuple(replace(link, latency_s=6.0) for link in there.links)
    there = replace(there, links=links, faults=Faults(devices={"a-0": ScheduledOutages([(17.0, 17.2)])}))
    ran = run(there, AfarThenHere(serve))
    assert ends(ran) == [("completed", None, 25.5, 2), ("completed", None, 65.5, 2)]
    hops = [row[1:] for row in ran.log("kind", "peer", "started_at_s", "ended_at_s") if row[0] == "send"]
    assert hops[2:] == [("s-0", 16.0, 22.0), ("a-0", 22.0, 28.0)]
    assert kept(there, AfarThenHere(serve), tmp_path / "trace").check() == []


def test_a_token_lost_after_its_request_has_given_up_concerns_nobody() -> None:
    """Request 0 gives up at 5 s, as its token leaves; the token is lost at 6 s, at a link that is down."""

    def one_gives_up(request, cluster):
        if request.id == 1:
            for token in request.tokens():
                yield from cluster.compute(request, "a-0", WHOLE, token)
                yield from cluster.emit(request, "a-0", token)
            return
        yield from cluster.send(request, "a-0", "b-0", request.prompt_bytes)
        token = next(request.tokens())
        yield from cluster.compute(request, "b-0", WHOLE, token)
        yield from cluster.emit(request, "b-0", token)
        cluster.fail(request, "one is enough")

    links = {LAST_HOP: ScheduledOutages([(5.9, 6.5)])}
    ran = run(relayed(True, faults=Faults(links=links), n_requests=2), Serve(one_gives_up))
    assert ends(ran) == [("failed", "one is enough", 5.0, 0), ("completed", None, 9.0, 2)]
    assert [row[1:] for row in ran.log("kind", "request_id") if row[0] == "emit"] == [(1,), (1,)]


def test_the_last_token_does_not_wait_for_one_of_the_attempt_before() -> None:
    """Of three tokens two are under way as the attempt fails; none of them comes, and the answer is whole.

    The hop to b-0 takes 6 s. Prompt at b-0 at 6 s; tokens 0 and 1 leave at 10 s and 14 s; b-0 is down from
    14.5 to 14.6 s. The second attempt begins at 14.7 s; prompt there at 20.7 s; tokens leave at 24.7 s,
    28.7 s and 32.7 s. Those of the first attempt would be home at 16 s and 20 s, and are lost at s-0.
    """
    there = relayed(True, output=Fixed(3), retry=Retry(limit=1, backoff_s=0.2))
    links = tuple(
        link if "a-0" in link.between else Link(between=link.between, rate_bps=math.inf, latency_s=6.0)
        for link in there.links
    )
    faults = Faults(
        devices={"b-0": ScheduledOutages([(14.5, 14.6)])}, links={LAST_HOP: ScheduledOutages([(15.0, 20.5)])}
    )
    ran = run(replace(there, links=links, faults=faults), Serve(remote))
    assert ends(ran) == [("completed", None, pytest.approx(38.7), 3)]


# --- what a lost attempt has noted -------------------------------------------------------------------


def test_a_token_counts_as_impaired_as_in_the_attempt_that_brought_it() -> None:
    """Token 0 comes with an error of 0.1, token 1 was to come with 0.9; the next attempt meets 0.3 each time.

    That attempt brings token 1 alone: the mean over the two tokens is (0.1 + 0.3) / 2.
    """
    levels = {(0, 0): 0.1, (0, 1): 0.9}

    def noisy(request, cluster):
        for token in request.tokens():
            cluster.impair(request, "noise", levels.get((request.attempt, token.index), 0.3), token=token)
            yield from cluster.compute(request, "a-0", WHOLE, token)
            yield from cluster.emit(request, "a-0", token)

    faults = Faults(devices={"a-0": ScheduledOutages([(6.0, 6.5)])})
    there = world([device("a-0")], output=Fixed(2), faults=faults, retry=Retry(limit=1, backoff_s=1.0))
    ran = run(there, Serve(noisy))
    assert ends(ran) == [("completed", None, 15.0, 2)]
    assert ran.requests["error_variance"].tolist() == [pytest.approx(0.2)]


def test_a_second_attempt_finds_nothing_where_the_first_has_sent_it() -> None:
    """The source fails at 6 s, when b-0 has the prompt; served again, the request must send it again."""

    def sends_once(request, cluster):
        if not request.attempt:
            yield from cluster.send(request, "a-0", "b-0", request.prompt_bytes)
        for token in request.tokens():
            yield from cluster.compute(request, "b-0", WHOLE, token)
            yield from cluster.emit(request, "b-0", token)

    faults = Faults(devices={"a-0": ScheduledOutages([(6.0, 6.5)])})
    there = relayed(False, faults=faults, retry=Retry(limit=1, backoff_s=1.0))
    with pytest.raises(ContractError, match="the embedding needs the prompt's ids there"):
        run(there, Serve(sends_once))


def test_what_was_noted_of_tokens_that_never_came_is_forgotten() -> None:
    there = world([device("a-0")], output=Fixed(3))
    (asked,) = there.requests()
    request, kind = LiveRequest(asked, there.model, 4), ("noise", None, None)
    parts = Cluster(there, Clock(), {}).parts
    request.n_emitted_tokens = 1
    answer = parts.answers.of(request)
    answer.exits = {0: (2, True), 1: (2, False)}
    answer.errors = {kind: {0: (0.1, 1), 1: (0.9, 3)}}
    parts.life_cycle.start_over(request)
    answer = parts.answers.of(request)
    assert answer.exits == {0: (2, True)}
    assert answer.errors == {kind: {0: (0.1, 1)}}
