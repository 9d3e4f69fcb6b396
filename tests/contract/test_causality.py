"""Strategies that break the causality of data, each in one way: in a plain run, and in the public test.

Every mutant differs from the lawful strategy beside it by one verb, and is refused by a sentence that names
the law, on a world whose links take time as on one whose links take none.
"""

from __future__ import annotations

import math
from dataclasses import replace

import pytest

from edgesim.engine.simulation import simulate
from edgesim.errors import ContractError, PlacementError
from edgesim.model.architecture import Slice
from edgesim.strategies.local import Local
from edgesim.strategies.tensor_parallel import TensorParallel
from edgesim.strategy import Placement, Stage, Strategy, Token
from edgesim.testing import check_strategy, worlds
from edgesim.world.fleet import Fleet
from edgesim.world.link import Link


def on(name: str, *, free: bool = False):
    """One of the kit's worlds, its links taking no time if asked."""
    there = worlds()[name]
    if free:
        links = tuple(Link(between=link.between, rate_bps=math.inf) for link in there.links)
        there = replace(there, links=links)
    return there


def run(there, strategy):
    """A plain run, spans off."""
    placement = strategy.place(there.model, Fleet.of(there))
    told = []
    simulate(
        there,
        strategy,
        placement,
        placement.holdings,
        lambda name, table: told.append(table) if name == "requests" else None,
        keep_spans=False,
    )
    return [outcome for table in told for outcome in table["outcome"].to_pylist()]


class TwoStages(Strategy):
    """Embedding and half the blocks on server-0, the others and the head on server-1."""

    broken: str = ""

    def place(self, model, fleet):
        ids = [device.id for device in fleet.devices]
        if "server-1" not in ids:
            raise PlacementError("two servers are needed")
        front = Slice(0, 3, embedding=True)
        return Placement((Stage("server-0", front), Stage("server-1", Slice(3, 6, head=True))))

    def serve(self, request, cluster, placement):
        (a, front), (b, back) = ((stage.device, stage.part) for stage in placement.stages)
        broken = self.broken
        if broken == "admit":
            cluster.admit(request, (a, b))
        else:
            yield from cluster.admit(request, (a, b))
        prompt = request.prompt_bytes
        if broken == "prompt":
            pass
        elif broken == "send":
            cluster.send(request, request.source, a, prompt)
        elif broken == "short prompt":
            yield from cluster.send(request, request.source, a, prompt - 1)
        elif broken == "prompt elsewhere":
            yield from cluster.send(request, request.source, b, prompt)
        else:
            yield from cluster.send(request, request.source, a, prompt)
        for token in request.tokens():
            if broken == "compute":
                cluster.compute(request, a, front, token)
            elif broken == "sleep":
                cluster.sleep(0.5)
                yield from cluster.compute(request, a, front, token)
            elif broken == "early" and token.index:
                yield from cluster.together(
                    cluster.send(request, b, a, request.token_bytes),
                    cluster.compute(request, a, front, token),
                )
            else:
                yield from cluster.compute(request, a, front, token)
            if broken == "states":
                pass
            elif broken == "small states":
                yield from cluster.send(request, a, b, 1)
            elif broken == "states, later" and token.index:
                pass
            elif broken == "together":
                cluster.together(cluster.send(request, a, b, token.activation_bytes))
            else:
                yield from cluster.send(request, a, b, token.activation_bytes)
            yield from cluster.compute(request, b, back, token)
            if broken == "emit" or (broken == "emit, last" and token.is_last):
                cluster.emit(request, b, token)
            elif broken == "emit elsewhere":
                yield from cluster.emit(request, a, token)
            elif broken == "emit at the source":
                yield from cluster.emit(request, request.source, token)
            else:
                yield from cluster.emit(request, b, token)
            if broken not in ("id", "early") and not token.is_last:
                yield from cluster.send(request, b, a, request.token_bytes)


class Wandering(Local):
    """The whole model everywhere; after the second token it goes on elsewhere."""

    how: str = "recompute"

    def place(self, model, fleet):
        if len(fleet.devices) < 2:
            raise PlacementError("two devices are needed")
        return Placement(tuple(Stage(device.id, model.whole) for device in fleet.devices))

    def serve(self, request, cluster, placement):
        first, second = placement.devices[:2]
        part, at = placement.stages[0].part, first
        model_bytes = 2 * 4 * 32 * 6 * 4  # a position's keys and values of the kit's model
        yield from cluster.admit(request, (first, second))
        if request.source != first:
            yield from cluster.send(request, request.source, first, request.prompt_bytes)
        for token in request.tokens():
            if token.index == 2:
                n_ids = request.n_prompt_tokens + token.index
                cache_bytes = model_bytes * (n_ids - 1)
                if self.how == "recompute":
                    yield from cluster.send(request, first, second, n_ids * request.token_bytes)
                    token = Token(2, n_ids, 0, n_ids * 1024, token.is_last)
                elif self.how == "move":
                    yield from cluster.send(request, first, second, request.token_bytes + cache_bytes)
                elif self.how == "move, named":  # in 4 bits per value
                    size_bytes = request.token_bytes + cache_bytes / 8
                    yield from cluster.send(request, first, second, size_bytes, carries=("cache", "ids"))
                elif self.how == "move, to nothing":
                    yield from cluster.send(request, first, second, 100, carries=("cache", "ids"))
                else:
                    yield from cluster.send(request, first, second, request.token_bytes)
                at = second
            yield from cluster.compute(request, at, part, token)
            yield from cluster.emit(request, at, token)


LAWS = {
    "prompt": "the embedding needs the prompt's ids there",
    "short prompt": "the embedding needs the prompt's ids there",
    "prompt elsewhere": "the embedding needs the prompt's ids there",
    "states": "block 3 needs the token's hidden state after block 2 there",
    "small states": "block 3 needs the token's hidden state after block 2 there",
    "states, later": "block 3 needs the token's hidden state after block 2 there",
    "id": "the embedding needs the id of token 0 there",
    "early": "needs the id of token 0 there.*a pass begins only after what it needs has arrived",
    "emit elsewhere": "the id of token 0 must be there",
    "emit at the source": "the id of token 0 must be there",
    "send": r"never waited for: send\(request 0, 'source-0', 'server-0', ",
    "compute": r"never waited for: compute\(request 0, 'server-0', embedding\+0-2, token 0\)",
    "together": r"never waited for: together\(",
    "sleep": r"never waited for: sleep\(0.5\)",
    "admit": r"never waited for: admit\(request 0, ",
    "emit": r"never waited for: emit\(request 0, ",
    "emit, last": r"never waited for: emit\(request \d+, .*token 5\)",
}


@pytest.mark.parametrize("free", [False, True], ids=["wired", "free"])
@pytest.mark.parametrize("broken", LAWS)
def test_a_plain_run_refuses_it(broken: str, free: bool) -> None:
    with pytest.raises(ContractError, match=LAWS[broken]) as caught:
        run(on("free links", free=free), TwoStages(broken=broken))
    assert "TwoStages" in str(caught.value)


@pytest.mark.parametrize("broken", LAWS)
def test_check_strategy_refuses_it(broken: str) -> None:
    with pytest.raises(ContractError, match=LAWS[broken]):
        check_strategy(TwoStages(broken=broken))


def test_the_lawful_one_beside_them_passes() -> None:
    check_strategy(TwoStages())
    assert set(run(on("free links", free=True), TwoStages())) == {"completed"}


@pytest.mark.parametrize("how", ["recompute", "move", "move, named"])
def test_a_request_may_go_on_elsewhere_with_its_cache(how: str) -> None:
    assert set(run(on("two devices"), Wandering(how=how))) == {"completed"}
    if how == "recompute":
        check_strategy(Wandering(how=how))


def test_a_request_may_not_go_on_elsewhere_without_its_cache() -> None:
    for there in (on("two devices"), on("two devices", free=True)):
        with pytest.raises(ContractError, match="block 0 needs the KV cache of all earlier tokens there"):
            run(there, Wandering(how="neither"))
    with pytest.raises(ContractError, match="KV cache"):
        check_strategy(Wandering(how="neither"))


class Group(TensorParallel):
    """Leaves out a member, the prompt, or a wait."""

    broken: str = ""

    def serve(self, request, cluster, placement):
        root, *_ = members = placement.devices
        yield from cluster.admit(request, members)
        if self.broken != "prompt":
            yield from cluster.send(request, request.source, root, request.prompt_bytes)
        for token in request.tokens():
            taking_part = members[:-1] if self.broken == "member" else members
            if self.broken == "wait":
                cluster.compute_together(request, members, token, placement.summing)
            else:
                yield from cluster.compute_together(request, taking_part, token, placement.summing)
            at = members[-1] if self.broken == "emit" else root
            yield from cluster.emit(request, at, token)


@pytest.mark.parametrize(
    ("broken", "law"),
    [
        ("prompt", "the embedding needs the prompt's ids there"),
        ("member", "a sum needs all parts"),
        ("wait", "never waited for: compute_together"),
        ("emit", "the id of token 0 must be there"),
    ],
)
def test_a_group_is_under_the_law_like_a_device(broken: str, law: str) -> None:
    for there in (on("free links"), on("free links", free=True)):
        with pytest.raises(ContractError, match=law):
            run(replace(there, horizon_s=None), Group(over=("server",), broken=broken))


class ByHand(TensorParallel):
    """A sharded pass and its sum by the single verbs."""

    broken: str = ""

    def serve(self, request, cluster, placement):
        root, other = placement.devices
        yield from cluster.send(request, request.source, root, request.prompt_bytes)
        token = next(request.tokens())
        half = Slice(0, 1)
        yield from cluster.compute(request, root, Slice(0, 0, embedding=True), token)
        yield from cluster.send(request, root, other, token.activation_bytes)
        if self.broken == "part":
            yield from cluster.compute(request, root, half, token)
        else:
            yield from cluster.together(
                cluster.compute(request, root, half, token), cluster.compute(request, other, half, token)
            )
        if self.broken == "all_reduce":
            cluster.all_reduce(request, (root, other), token.activation_bytes)
        elif self.broken != "sum":
            yield from cluster.all_reduce(request, (root, other), token.activation_bytes)
        yield from cluster.compute(request, root, Slice(1, 2), token)
        cluster.fail(request, "as far as it goes")


@pytest.mark.parametrize(
    ("broken", "law"),
    [
        ("part", "a sum needs every member's part, and 'server-1' has computed none"),
        ("sum", "the next step needs the sum of all parts"),
        ("all_reduce", "never waited for: all_reduce"),
    ],
)
def test_a_sum_needs_all_parts_and_the_next_half_block_its_result(broken: str, law: str) -> None:
    for free in (False, True):
        assert set(run(on("free links", free=free), ByHand(over=("server",)))) == {"failed"}
        with pytest.raises(ContractError, match=law):
            run(on("free links", free=free), ByHand(over=("server",), broken=broken))


class Exits(Local):
    """Leaves early, asks too late, or not at all."""

    broken: str = ""

    def serve(self, request, cluster, placement):
        for token in request.tokens():
            for first in (0, 2, 4):
                part = Slice(first, first + 2, embedding=first == 0, head=True)
                yield from cluster.compute(request, request.source, part, token)
                if self.broken == "unasked" or cluster.exits(request, token, first + 2, confidence=0.9):
                    break
            yield from cluster.emit(request, request.source, token)


def test_an_exits_answer_counts_once_the_token_may_leave_there() -> None:
    there = on("measured answers")
    assert set(run(there, Exits())) == {"completed"}
    with pytest.raises(ContractError, match="the id of token 0 must be there"):
        run(there, Exits(broken="unasked"))


class Careless(Local):
    """A controller that does not wait for its pause, or its message."""

    verb: str = "sleep"

    def control(self, cluster, placement):
        yield from cluster.sleep(0.1)
        if self.verb == "sleep":
            cluster.sleep(0.1)
        else:
            cluster.send(None, "source-0", "server-0", 10)
        yield from cluster.sleep(0.1)


@pytest.mark.parametrize("verb", ["sleep", "send"])
def test_a_controllers_verbs_are_to_be_waited_for(verb: str) -> None:
    with pytest.raises(ContractError, match=f"never waited for: {verb}"):
        run(on("two devices"), Careless(verb=verb))


def test_what_a_message_is_said_to_carry_must_be_there_and_be_known() -> None:
    class Boastful(Local):
        what: str = "state"

        def serve(self, request, cluster, placement):
            yield from cluster.send(request, request.source, "server-0", 10, carries=self.what)

    with pytest.raises(ContractError, match="the message is to carry 'state', and the sender has none"):
        run(on("two devices"), Boastful())
    with pytest.raises(ContractError, match="carries='thoughts' is not known; there are 'prompt', 'ids'"):
        run(on("two devices"), Boastful(what="thoughts"))


class Alone(TensorParallel):
    """Goes on past what a shard of a block can give."""

    broken: str = ""

    def serve(self, request, cluster, placement):
        members = placement.devices
        root, *others = members
        yield from cluster.send(request, request.source, root, request.prompt_bytes)
        for token in request.tokens():
            size = token.activation_bytes
            if self.broken == "whole":
                yield from cluster.compute(request, root, Slice(0, 6, embedding=True, head=True), token)
                yield from cluster.emit(request, root, token)
                continue
            yield from cluster.compute(request, root, Slice(0, 0, embedding=True), token)
            if self.broken == "no block":
                yield from cluster.compute(request, root, Slice(0, 0, head=True), token)
                yield from cluster.emit(request, root, token)
                continue
            yield from cluster.together(*(cluster.send(request, root, other, size) for other in others))
            step = 6 if self.broken == "one sum" else 1
            for first in range(0, 6, step):
                part = Slice(first, first + step, head=self.broken == "head" and first == 5)
                if self.broken == "another's part":
                    yield from cluster.compute(request, root, part, token)
                    yield from cluster.together(
                        *(cluster.send(request, root, other, size) for other in others)
                    )
                else:
                    yield from cluster.together(
                        *(cluster.compute(request, device, part, token) for device in members)
                    )
                if self.broken == "embedded anew":
                    yield from cluster.compute(request, root, Slice(0, 0, embedding=True), token)
                else:
                    yield from cluster.all_reduce(request, members, size)
            yield from cluster.compute(request, root, Slice(6, 6, head=True), token)
            yield from cluster.emit(request, root, token)


@pytest.mark.parametrize(
    ("broken", "law"),
    [
        ("whole", "block 1 needs the sum of all parts of block 0"),
        ("one sum", "block 1 needs the sum of all parts of block 0"),
        ("head", "the head needs the sum of all parts of block 5"),
        ("embedded anew", "the next step needs the sum of all parts"),
        ("another's part", "'server-1' has only another member's"),
        ("no block", "the id of token 0 must be there"),
    ],
)
def test_a_shards_part_is_not_the_models(broken: str, law: str) -> None:
    for free in (False, True):
        assert set(run(on("free links", free=free), Alone(over=("server",)))) == {"completed"}
        with pytest.raises(ContractError, match=law):
            run(on("free links", free=free), Alone(over=("server",), broken=broken))


class GivesUp(Local):
    """Fails its requests, with a verb before that."""

    broken: str = ""

    def serve(self, request, cluster, placement):
        here, there = request.source, "server-0"
        if self.broken == "send":
            cluster.send(request, here, there, 10)
        elif self.broken == "after others":
            yield from cluster.together(
                cluster.send(request, here, there, 10), cluster.send(request, here, there, 10)
            )
            cluster.send(request, here, there, 10)
        elif self.broken == "admit":
            cluster.admit(request, (here,))
        elif self.broken == "sleep":
            cluster.sleep(1.0)
        elif self.broken == "later":
            cluster.send(request, here, there, 10)
            yield from cluster.sleep(1.0)
        elif self.broken == "":
            yield from cluster.together(self.fail(request, cluster), cluster.send(request, here, there, 1e6))
        cluster.fail(request, "no")
        yield

    def fail(self, request, cluster):
        yield from cluster.sleep(1e-4)
        cluster.fail(request, "no, while a message is under way")


@pytest.mark.parametrize("broken", ["send", "after others", "admit", "sleep", "later"])
def test_a_request_that_gives_up_has_waited_for_its_verbs(broken: str) -> None:
    for free in (False, True):
        assert set(run(on("two devices", free=free), GivesUp())) == {"failed"}
        with pytest.raises(ContractError, match="GivesUp: a verb was begun and never waited for"):
            run(on("two devices", free=free), GivesUp(broken=broken))


class Yields(Local):
    """Yields a verb itself."""

    verb: str = "send"

    def serve(self, request, cluster, placement):
        token = next(request.tokens())
        here, there = request.source, "server-0"
        if self.verb == "send":
            yield cluster.send(request, here, there, 10)
        elif self.verb == "in together":
            yield from cluster.together(self.part(request, cluster))
        elif self.verb == "sleep":
            yield cluster.sleep(1.0)
        elif self.verb == "together":
            yield cluster.together(cluster.send(request, here, there, 10))
        elif self.verb == "all_reduce":
            yield from cluster.compute(request, here, placement.stages[0].part, token)
            yield cluster.all_reduce(request, (here,), 10)
        elif self.verb == "generator":
            yield self.part(request, cluster)
        yield from cluster.compute(request, here, placement.stages[0].part, token)
        if self.verb == "emit":
            yield cluster.emit(request, here, token)

    def part(self, request, cluster):
        yield cluster.send(request, request.source, "server-0", 10)


@pytest.mark.parametrize(
    ("verb", "named"),
    [
        ("send", r"request 0: send\(request 0, 'source-0', 'server-0', 10\) "),
        ("in together", r"request 0: send\(request 0, 'source-0', 'server-0', 10\) "),
        ("sleep", r"request 0: sleep\(1.0\) "),
        ("together", r"request 0: together\("),
        ("all_reduce", r"request 0: all_reduce\("),
        ("emit", r"request 0: emit\(request 0, token 0\) "),
        ("generator", "request 0: a verb "),
    ],
)
def test_a_verb_is_to_be_gone_through(verb: str, named: str) -> None:
    with pytest.raises(ContractError, match=f"Yields: {named}.*write 'yield from'"):
        run(on("two devices"), Yields(verb=verb))


def test_a_controllers_verb_is_to_be_gone_through() -> None:
    class Controls(Local):
        def control(self, cluster, placement):
            yield cluster.sleep(0.1)

    with pytest.raises(ContractError, match=r"Controls: sleep\(0.1\) .*write 'yield from'"):
        run(on("two devices"), Controls())


class Squeezed(TwoStages):
    """Says what its messages carry, in too few bytes."""

    n_bytes: float = 0.0
    what: str = "prompt"

    def serve(self, request, cluster, placement):
        (a, front), (b, back) = ((stage.device, stage.part) for stage in placement.stages)

        def size(what, own_bytes):
            return self.n_bytes if what == self.what else own_bytes

        prompt_bytes = size("prompt", request.prompt_bytes / 4)
        yield from cluster.send(request, request.source, a, prompt_bytes, carries="prompt")
        for token in request.tokens():
            yield from cluster.compute(request, a, front, token)
            n_bytes = size("state", token.activation_bytes / 32)
            yield from cluster.send(request, a, b, n_bytes, carries="state")
            yield from cluster.compute(request, b, back, token)
            yield from cluster.emit(request, b, token)
            yield from cluster.send(request, b, a, size("ids", request.token_bytes / 4), carries="ids")
            if self.what == "cache":
                yield from cluster.send(request, b, a, self.n_bytes, carries="cache")


@pytest.mark.parametrize("what", ["prompt", "state", "ids", "cache"])
def test_what_a_message_carries_must_have_room_in_it(what: str) -> None:
    assert set(run(on("free links"), Squeezed(what="none"))) == {"completed"}
    for n_bytes in (0, 0.9):
        expected = f"the message is to carry '{what}' in {n_bytes} bytes, and at least"
        with pytest.raises(ContractError, match=expected):
            run(on("free links"), Squeezed(what=what, n_bytes=n_bytes))


def test_a_whole_cache_needs_more_room_than_what_a_token_adds() -> None:
    with pytest.raises(ContractError, match="'ids', 'cache' in 100 bytes, and at least"):
        run(on("two devices"), Wandering(how="move, to nothing"))


class Replicas(TwoStages):
    """Both servers compute the second half."""

    def place(self, model, fleet):
        _, (_, back) = ((stage.device, stage.part) for stage in super().place(model, fleet).stages)
        return Placement((Stage("server-0", model.whole), Stage("server-1", back)))

    def serve(self, request, cluster, placement):
        (a, _), (b, back) = ((stage.device, stage.part) for stage in placement.stages)
        front = Slice(0, 3, embedding=True)
        yield from cluster.admit(request, (a, b))
        yield from cluster.send(request, request.source, a, request.prompt_bytes)
        for token in request.tokens():
            yield from cluster.compute(request, a, front, token)
            yield from cluster.send(request, a, b, token.activation_bytes)
            yield from cluster.together(
                cluster.compute(request, a, back, token), cluster.compute(request, b, back, token)
            )
            yield from cluster.emit(request, a if token.index % 2 else b, token)


def test_replicas_pass_the_public_test() -> None:
    check_strategy(Replicas())


class Counting(Local):
    """The whole model on two devices, and passes of the strategy's own making."""

    how: str = ""

    def place(self, model, fleet):
        if len(fleet.devices) < 2:
            raise PlacementError("two devices are needed")
        return Placement(tuple(Stage(device.id, model.whole) for device in fleet.devices))

    def serve(self, request, cluster, placement):
        here, there = placement.devices[:2]
        whole = placement.stages[0].part
        yield from cluster.admit(request, (here, there))
        yield from cluster.send(request, request.source, there, request.prompt_bytes)
        device = here
        for token in request.tokens():
            for one in self.passes(token):
                yield from cluster.compute(request, device, whole, one)
            yield from cluster.emit(request, device, token)
            if self.how in ("ping-pong", "chunked anew") and not token.is_last:
                other = there if device == here else here
                yield from cluster.send(request, device, other, request.token_bytes)
                device = other

    def passes(self, token):
        def one(n_new, n_context):
            return Token(token.index, n_new, n_context, 1024 * n_new, token.is_last)

        n, n_context = token.n_new, token.n_context
        if self.how in ("ping-pong", "nothing cached") and token.index:
            return [one(1, 0)]
        if self.how == "little cached" and token.index:
            return [one(1, 1)]
        if self.how == "last prompt token":
            return [one(1, n - 1)] if token.index == 0 else [token]
        if self.how == "first prompt token":
            return [one(1, 0)] if token.index == 0 else [token]
        if self.how == "gap" and token.index == 0:
            return [one(1, 0), one(n - 2, 2)]
        if self.how == "chunked" and token.index == 0:
            return [one(1, 0), one(n - 1, 1)]
        if self.how == "chunked anew" and token.index:
            n_all = n_context + 1
            return [one(3, 0), one(n_all - 3, 3)]
        return [token]


@pytest.mark.parametrize("how", ["", "chunked", "chunked anew"])
def test_passes_may_be_cut_and_done_anew(how: str) -> None:
    assert set(run(on("two devices"), Counting(how=how))) == {"completed"}
    check_strategy(Counting(how=how))


@pytest.mark.parametrize(
    ("how", "law"),
    [
        ("ping-pong", r"the id of token 1 .*all \d+ positions before it, but its pass ends after 1:"),
        (
            "nothing cached",
            r"the id of token 1 .*all \d+ positions before it, but its pass ends after 1:",
        ),
        (
            "little cached",
            r"the id of token 1 .*all \d+ positions before it, but its pass ends after 2:",
        ),
        ("last prompt token", r"is to find \d+ earlier positions in the KV cache, and 0 have been computed"),
        ("first prompt token", r"the id of token 0 .*all \d+ positions before it, .* ends after 1:"),
        ("gap", "is to find 2 earlier positions in the KV cache, and 1 have been computed"),
    ],
)
def test_a_pass_goes_on_where_the_last_has_ended(how: str, law: str) -> None:
    for free in (False, True):
        with pytest.raises(ContractError, match=law):
            run(on("two devices", free=free), Counting(how=how))
    with pytest.raises(ContractError, match=law):
        check_strategy(Counting(how=how))


def test_blocks_that_took_no_part_in_a_chunk_lack_its_cache() -> None:
    class Shallow(Local):
        def serve(self, request, cluster, placement):
            for token in request.tokens():
                if token.index == 0:
                    early = Token(0, token.n_new - 1, 0, 0, False)
                    yield from cluster.compute(request, request.source, Slice(0, 0, embedding=True), early)
                    token = Token(0, 1, token.n_new - 1, 1024, token.is_last)
                yield from cluster.compute(request, request.source, Slice(0, 6, True, True), token)
                yield from cluster.emit(request, request.source, token)

    with pytest.raises(ContractError, match="block 0 needs the KV cache of all earlier tokens there"):
        run(on("one device"), Shallow())


class Chunks(TwoStages):
    """The prompt in two chunks, of which the second enters the first stage before the first leaves it."""

    def serve(self, request, cluster, placement):
        (a, front), (b, back) = ((stage.device, stage.part) for stage in placement.stages)
        yield from cluster.admit(request, (a, b))
        yield from cluster.send(request, request.source, a, request.prompt_bytes)

        def later(chunk):
            if self.broken != "no states":
                yield from cluster.send(request, a, b, chunk.activation_bytes)
            yield from cluster.compute(request, b, back, chunk)

        for token in request.tokens():
            n, size = token.n_new, 1024
            if token.index == 0:
                early = Token(0, n - 2, 0, (n - 2) * size, False)
                rest = Token(0, 2, n - 2, 2 * size, token.is_last)
                yield from cluster.compute(request, a, front, early)
                if self.broken == "in step":
                    yield from later(early)
                    yield from cluster.compute(request, a, front, rest)
                elif self.broken == "":
                    yield from cluster.together(
                        cluster.send(request, a, b, early.activation_bytes),
                        cluster.compute(request, a, front, rest),
                    )
                    yield from cluster.compute(request, b, back, early)
                else:
                    yield from cluster.compute(request, a, front, rest)
                    yield from later(early)
                token = rest
            else:
                yield from cluster.compute(request, a, front, token)
            yield from cluster.send(request, a, b, token.activation_bytes)
            yield from cluster.compute(request, b, back, token)
            last = [] if token.is_last else [cluster.send(request, b, a, request.token_bytes)]
            yield from cluster.together(cluster.emit(request, b, token), *last)


@pytest.mark.parametrize("name", ["two servers", "free", "batches"])
def test_a_chunk_that_comes_late_needs_its_hidden_states(name: str) -> None:
    there = on("batches" if name == "batches" else "free links", free=name == "free")
    for lawful in ("", "in step", "late"):
        assert set(run(there, Chunks(broken=lawful))) == {"completed"}
    with pytest.raises(ContractError, match="block 3 needs the hidden state of its own pass there"):
        run(there, Chunks(broken="no states"))


class Laggard(Replicas):
    """The replica is a token behind."""

    def serve(self, request, cluster, placement):
        (a, _), (b, back) = ((stage.device, stage.part) for stage in placement.stages)
        front = Slice(0, 3, embedding=True)
        yield from cluster.admit(request, (a, b))
        yield from cluster.send(request, request.source, a, request.prompt_bytes)
        before = None
        for token in request.tokens():
            yield from cluster.compute(request, a, front, token)
            if before is not None:
                yield from cluster.compute(request, b, back, before)
            if self.broken != "states":
                yield from cluster.send(request, a, b, token.activation_bytes)
            yield from cluster.compute(request, a, back, token)
            before = token
            yield from cluster.emit(request, a, token)


@pytest.mark.parametrize("name", ["free links", "batches"])
def test_a_replica_that_lags_needs_its_hidden_states(name: str) -> None:
    for free in (False, True):
        there = on(name, free=free)
        assert set(run(there, Laggard())) == {"completed"}
        with pytest.raises(ContractError, match="block 3 needs the hidden state of its own pass there"):
            run(there, Laggard(broken="states"))
