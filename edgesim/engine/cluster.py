"""The cluster: the verbs of which every strategy is made, and the only writer of the trace.

A verb begins when it is called, and ``yield from`` waits for its end::

    yield from cluster.send(request, here, there, token.activation_bytes)
    yield from cluster.compute(request, there, part, token)

Most verbs know their end at once, for first-come-first-served stations have a closed form; they return
the instant itself. Those of several steps (a message over several hops, a wait for memory) return a
generator, which goes on while it is waited for. So wait for a verb at once, or hand it to ``together``, which
waits for several; one that is put aside stands still after its first step.
"""

from __future__ import annotations

from collections.abc import Generator, Iterable, Mapping
from functools import partial
from itertools import pairwise
from typing import Any, NoReturn

import simpy

from edgesim.engine.clock import Clock, Course, Life, Step
from edgesim.engine.compute import Host, Price
from edgesim.engine.link import Hop, Network, via_of
from edgesim.engine.memory import Admission, Memory, NoRoom
from edgesim.engine.observation import Observation
from edgesim.engine.request import LiveRequest, Token
from edgesim.engine.serving import ContinuousBatching, ProcessorSharing, StaticBatching
from edgesim.engine.shared import BatchedStation, Pass, SharedStation, StaticStation, TimeSharedStation
from edgesim.engine.world import World
from edgesim.errors import ContractError
from edgesim.model.architecture import Slice
from edgesim.trace.buffer import SpanBuffer, Spot, pack_span
from edgesim.trace.schema import Outcome, SpanKind

__all__ = ["Cluster", "RequestFailed", "Verb"]

Verb = Iterable[Step] | Generator[Step, Any, Any]
"""What a verb returns, for ``yield from``."""

DONE: tuple[Step, ...] = ()


class RequestFailed(Exception):  # noqa: N818  # an outcome on its way to the engine, not an error
    """A request has failed; the message is the reason that goes into the trace."""


class Cluster:
    """Devices, links and memory at work during one run, behind the verbs of a strategy.

    Parameters
    ----------
    world
        The replication that is simulated.
    clock
        Its clock.
    holdings
        Which parts of the model each device holds; computing anything else there is a mistake.
    spans
        Where spans are recorded; None keeps none (the requests and devices tables remain).
    """

    def __init__(
        self,
        world: World,
        clock: Clock,
        holdings: Mapping[str, tuple[Slice, ...]],
        spans: SpanBuffer | None = None,
    ) -> None:
        self._clock = clock
        self._world = world
        self._model = world.model
        self._spans = spans
        self._add = None if spans is None else spans.add
        self._holdings = holdings
        self.network = Network(world.devices, world.links, world.model.activation_bytes(1))
        self.hosts = {device.id: Host(device) for device in world.devices.values()}
        self._codes_of_emits = {id_: self._code(Spot(SpanKind.EMIT, id_)) for id_ in world.devices}
        self._codes_of_endpoints = {
            device.id: self._code(Spot(SpanKind.ENDPOINT, device.id, power_w=device.endpoint_power_w))
            for device in world.devices.values()
        }
        self.hops: dict[tuple[str, str], Hop] = {}
        for link in world.links:
            for sender, peer in (link.between, link.between[::-1]):
                if self.network.link(sender, peer) is link:
                    power_w = world.devices[sender].power.tx_w + world.devices[peer].power.rx_w
                    spot = Spot(SpanKind.SEND, sender, peer, via_of(link), power_w, link.latency_s)
                    self.hops[sender, peer] = Hop(link, sender, peer, self._code(spot))
        self.memories = {
            device.id: Memory(device.memory_bytes, device.process_bytes + self._weight_bytes(device.id))
            for device in world.devices.values()
        }
        self._admission = Admission(clock, self.memories, world.memory_policy, world.queue_limit)
        self._sharing = [host for host in self.hosts.values() if host.device.serving is not None]
        for host in self._sharing:
            host.shared = self._station(host)

    # --- verbs -----------------------------------------------------------------------------------

    @property
    def now_s(self) -> float:
        """The present instant [s]."""
        return self._clock._now

    def compute(
        self,
        request: LiveRequest,
        device: str,
        part: Slice,
        token: Token,
        *,
        keep: tuple[Slice, Token] | None = None,
    ) -> Verb:
        """Run one pass of a part of the model on a device, first come first served.

        On a device where the request holds no KV cache yet, room for the blocks that the placement
        put there is reserved first, for the request's full length.

        Parameters
        ----------
        part
            Blocks to run, with or without the embedding before and the head after them.
        token
            The pass; its numbers of new and cached tokens set the price.
        keep
            Work that this request does next on the same device, without letting anybody in between:
            the station is kept for it, and the request's next ``compute`` must ask for just that. Where
            passes share the device there is nothing to keep, and it is asked for as any other.
        """
        host = self.hosts[device]
        if host.shared is not None:
            return self._compute_shared(request, host, part, token)
        if device not in request.held:
            admitted = self.admit(request, (device,))
            if admitted is not DONE:
                return self._compute_once(admitted, request, device, part, token, keep)
        if request.kept is not None:
            return self._compute_kept(request, device, part, token)
        try:
            price = host.prices[part]
        except KeyError:
            price = self._price(host, part)
        try:
            service_s = price.decode_s[token.n_context] if token.n_new == 1 else price.of(token)
        except IndexError:
            service_s = price.of(token)
        # Station.book, written out: this verb and `send` are what a simulation consists of.
        now_s = self._clock._now
        free_at_s = host.free_at_s
        started_at_s = now_s if now_s > free_at_s else free_at_s
        host.free_at_s = ended_at_s = started_at_s + service_s
        host.busy_s += service_s
        if self._add is not None:
            self._add(
                pack_span(
                    request.id, token.index, price.code, token.n_new, 0, now_s, started_at_s, ended_at_s, 1.0
                )
            )
        if keep is not None:
            self._keep(request, host, keep, ended_at_s)
        return (ended_at_s,)

    def send(
        self,
        request: LiveRequest | None,
        source: str,
        target: str,
        size_bytes: float,
        *,
        token: Token | None = None,
    ) -> Verb:
        """Carry a message from one device to another, store and forward over the cheapest route.

        It pays the sender's endpoint cost, then each hop in turn (queue, transmission, latency), then
        the receiver's endpoint cost. From a device to itself it costs nothing.

        Parameters
        ----------
        request
            For whom; None for control traffic.
        token
            The pass it belongs to; the one in hand if not given.
        """
        if source == target:
            return DONE
        host = self.hosts[source]
        try:
            hop = host.direct[target]
        except KeyError:
            hop = self._direct(host, target)
        index = -1 if request is None else request.token if token is None else token.index
        if hop is None:
            return self._message(request, source, target, size_bytes, index)
        now_s = self._clock._now
        if hop.s_per_byte is None:
            started_at_s, arrived_at_s = hop.send(now_s, size_bytes)
        else:  # Hop.send, written out
            free_at_s = hop.free_at_s
            started_at_s = now_s if now_s > free_at_s else free_at_s
            service_s = size_bytes * hop.s_per_byte
            hop.free_at_s = ended_at_s = started_at_s + service_s
            hop.busy_s += service_s
            arrived_at_s = ended_at_s + hop.latency_s
        if self._add is not None:
            owner = -1 if request is None else request.id
            self._add(
                pack_span(owner, index, hop.code, 0, size_bytes, now_s, started_at_s, arrived_at_s, 1.0)
            )
        return (arrived_at_s,)

    def emit(self, request: LiveRequest, device: str, token: Token) -> Verb:
        """Deliver a token to the request's source from the device that has made it.

        Tokens stream: decoding goes on while one is on its way, so only the last is waited for. The
        instants of delivery are what time to first token and inter-token latency are made of.
        """
        if device == request.source:
            self._deliver(request, token)
            return DONE
        sending = self.send(request, device, request.source, request.token_bytes, token=token)
        request.n_under_way += 1
        delivery = self._carry_home(request, sending, token)
        if token.is_last:
            return delivery
        Life(self._clock, delivery)
        return DONE

    def together(self, *verbs: Verb) -> Verb:
        """Wait for several verbs, all of them begun now; returns their values in order.

        If one fails, what waits for all fails at once, and the request with it; the others, which have been
        booked, run on.
        """
        values: list[Any] = [None] * len(verbs)
        settled = self._clock.event()
        settled.defused = True  # it reaches whoever waits, now or later
        left = set(range(len(verbs)))

        def end(number: int, value: Any) -> None:
            values[number] = value
            left.discard(number)
            if not left and not settled.triggered:
                settled.succeed(values)

        def fail(error: Exception) -> bool:
            if not settled.triggered:
                settled.fail(error)
            return True

        for number, verb in enumerate(verbs):
            Life(self._clock, _course(verb), on_end=partial(end, number), on_error=fail)
        if not verbs:
            settled.succeed(values)
        return _heard(settled)

    def all_reduce(
        self, request: LiveRequest, group: Iterable[str], size_bytes: float, *, via: str = "ring"
    ) -> Verb:
        """Sum a tensor over a group of devices by messages; returns the error variance, which is 0.

        Parameters
        ----------
        size_bytes
            Size of the whole tensor, as every member holds it before and after.
        via
            ``ring``: reduce-scatter and all-gather around the group, 2(N-1) rounds of size/N each
            (Patarasuk and Yuan 2009). ``star``: all send to the first, which sends the sum back.
        """
        members = tuple(group)
        token = request.token
        if via == "ring":
            share_bytes = size_bytes / len(members)
            ring = list(zip(members, (*members[1:], members[0]), strict=True))
            rounds = [[(a, b, share_bytes) for a, b in ring]] * (2 * (len(members) - 1))
        elif via == "star":
            root, *others = members
            rounds = [
                [(other, root, size_bytes) for other in others],
                [(root, other, size_bytes) for other in others],
            ]
        else:
            raise ContractError(f"all_reduce: via={via!r} is not known; there are 'ring' and 'star'")

        def begin(messages: list[tuple[str, str, float]]) -> Verb:
            return self.together(*(self._message(request, a, b, size, token) for a, b, size in messages))

        def go_on(first: Verb) -> Course:
            yield from first
            for messages in rounds[1:]:
                yield from begin(messages)
            return 0.0

        return go_on(begin(rounds[0]) if rounds else DONE)

    def admit(self, request: LiveRequest, devices: Iterable[str]) -> Verb:
        """Reserve the request's KV cache on several devices at one instant, or wait for all of them.

        What is reserved is the full length (prompt and output) for the blocks that the placement put on
        each device. With the scenario's ``reject`` policy, or where it can never fit, the request fails.
        """
        n_tokens = request.n_prompt_tokens + request.n_output_tokens
        missing = [device for device in devices if device not in request.held]
        earlier = [request.awaiting[device] for device in missing if device in request.awaiting]
        ever_bytes = {
            device: n_tokens * self._model.kv_bytes_per_token(self._n_blocks(device))
            for device in missing
            if device not in request.awaiting
        }
        sizes_bytes = {
            device: size_bytes * request.n_prompt_tokens // n_tokens if self._grows(device) else size_bytes
            for device, size_bytes in ever_bytes.items()
        }
        for device in sizes_bytes:
            self.hosts[device].n_requests += 1
        request.awaited.extend(sizes_bytes)
        try:
            admitted = self._admission.ask(request, sizes_bytes, ever_bytes)
        except NoRoom as fact:
            raise RequestFailed(f"memory: {fact}") from None
        if admitted is None and not earlier:
            return DONE
        return self._wait_for_memory(request, sizes_bytes, admitted, earlier)

    def sleep(self, seconds: float) -> Verb:
        """Let time pass."""
        if not seconds >= 0:
            raise ContractError(f"sleep: expected 0 seconds or more, got {seconds}")
        return (self._clock._now + seconds,)

    def observe(self) -> Observation:
        """What a scheduler could know now: queues, requests and memory at every device."""
        return Observation(self._clock._now, self.hosts, self.memories)

    @property
    def measures_answers(self) -> bool:
        """Whether the world carries measured answers for :meth:`exits` to replay."""
        return self._world.exits is not None

    def exits(self, request: LiveRequest, token: Token, block: int, *, confidence: float) -> bool:
        """Whether a token may leave the model after this many blocks: replayed from measured answers.

        The block at which each token has left, and whether its answer was right, go into the trace.

        Parameters
        ----------
        block
            Blocks that the token has passed; an exit of the measured model must stand there.
        confidence
            Least confidence with which it may leave. The model's own head always lets it go.
        """
        if self._world.exits is None:
            raise ContractError("exits: this world carries no measured answers to replay")
        try:
            told = self._world.exits.at(request.sample, token.index, block)
        except KeyError:
            stand = ", ".join(map(str, self._world.exits.blocks))
            raise ContractError(f"exits: none stands after block {block}; they stand after {stand}") from None
        leaves = told.confidence >= confidence or block == self._world.exits.blocks[-1]
        if leaves:
            request.exits[token.index] = (block, told.is_correct)
        return leaves

    def fail(self, request: LiveRequest, reason: str) -> NoReturn:
        """End a request without its answer; the reason goes into the trace."""
        raise RequestFailed(reason)

    # --- how they do it --------------------------------------------------------------------------

    def _code(self, spot: Spot) -> int:
        return 0 if self._spans is None else self._spans.code_of(spot)

    def _weight_bytes(self, device: str) -> int:
        return self._model.held_bytes(self._holdings.get(device, ()))

    def _n_blocks(self, device: str) -> int:
        return sum(part.n_blocks for part in self._holdings.get(device, ()))

    def _price(self, host: Host, part: Slice) -> Price:
        device = host.device
        held = self._holdings.get(device.id, ())
        blocks = {block for slice_ in held for block in range(slice_.first, slice_.last)}
        ends = (any(s.embedding for s in held), any(s.head for s in held))
        if (
            not blocks.issuperset(range(part.first, part.last))
            or (part.embedding and not ends[0])
            or (part.head and not ends[1])
        ):
            raise ContractError(
                f"compute: {device.id!r} does not hold {part}; its placement gives it "
                f"{', '.join(map(str, held)) or 'nothing'}"
            )
        if device.timing is None:
            raise ContractError(f"compute: {device.id!r} is a switch and computes nothing")
        code = self._code(Spot(SpanKind.COMPUTE, device.id, via=str(part), power_w=device.power.active_w))
        price = host.prices[part] = Price(device.timing, part, code)
        return price

    def _keep(self, request: LiveRequest, host: Host, keep: tuple[Slice, Token], from_s: float) -> None:
        part, token = keep
        price = host.prices.get(part) or self._price(host, part)
        service_s = price.of(token)
        host.free_at_s = until_s = from_s + service_s
        host.busy_s += service_s
        request.kept = (host.device.id, part, token, from_s, until_s)
        if self._add is not None:
            self._add(
                pack_span(request.id, token.index, price.code, token.n_new, 0, from_s, from_s, until_s, 1.0)
            )

    def _compute_kept(self, request: LiveRequest, device: str, part: Slice, token: Token) -> Verb:
        assert request.kept is not None
        *kept_for, _, until_s = request.kept
        if kept_for[:2] != [device, part] or kept_for[2] is not token:
            raise ContractError(
                f"compute: request {request.id} kept {kept_for[0]!r} for {kept_for[1]} and asks for else"
            )
        request.kept = None
        return (until_s,)

    # --- devices that serve several requests at once ---------------------------------------------

    def _station(self, host: Host) -> SharedStation:
        """The station that a device's serving discipline asks for."""

        def record(work: Pass, n_tokens: int, started_at_s: float, ended_at_s: float, share: float) -> None:
            if self._add is not None:
                row = (work.request.id, work.token, work.price.code, n_tokens, 0)
                self._add(pack_span(*row, work.asked_at_s, started_at_s, ended_at_s, share))

        serving = host.device.serving
        if isinstance(serving, ProcessorSharing):
            return TimeSharedStation(self._clock, record)
        if isinstance(serving, StaticBatching):
            return StaticStation(self._clock, serving, record)
        assert isinstance(serving, ContinuousBatching)
        make_room = partial(self._make_room, host) if serving.cache == "grow" else None
        return BatchedStation(self._clock, serving, record, make_room)

    def _grows(self, device: str) -> bool:
        serving = self.hosts[device].device.serving
        return isinstance(serving, ContinuousBatching) and serving.cache == "grow"

    def _compute_shared(self, request: LiveRequest, host: Host, part: Slice, token: Token) -> Verb:
        device = host.device.id
        admitted = DONE if device in request.held else self.admit(request, (device,))
        if admitted is not DONE:
            return self._share_once(admitted, request, host, part, token)
        return self._share(request, host, part, token)

    def _share_once(
        self, admitted: Verb, request: LiveRequest, host: Host, part: Slice, token: Token
    ) -> Course:
        yield from admitted
        yield from self._share(request, host, part, token)

    def _share(self, request: LiveRequest, host: Host, part: Slice, token: Token) -> Course:
        assert host.shared is not None
        price = host.prices.get(part) or self._price(host, part)
        work = Pass(request, token, price, self._clock._now, self._clock.event())
        host.shared.ask(work)
        return _heard(work.done)

    def _make_room(self, host: Host, waiting: list[Pass]) -> list[Pass]:
        """Let caches grow by the token that comes next, oldest request first; who is preempted for it."""
        device = host.device.id
        token_bytes = self._model.kv_bytes_per_token(self._n_blocks(device))
        in_order = sorted(waiting, key=lambda work: work.request.id)
        evicted: list[Pass] = []
        for work in in_order:
            if work in evicted:
                continue
            more_bytes = (work.n_context + work.n_new) * token_bytes - work.request.held[device]
            while more_bytes > 0 and not self._admission.grow(work.request, device, more_bytes):
                last = next(other for other in reversed(in_order) if other not in evicted)
                evicted.append(last)
                self._preempt(host, last, token_bytes)
                if last is work:
                    break
        return evicted

    def _preempt(self, host: Host, work: Pass, token_bytes: int) -> None:
        """Drop a request's cache; it comes back with all its tokens to compute anew."""
        device = host.device.id
        self._admission.drop(work.request, device)
        size_bytes = (work.n_context + work.n_new) * token_bytes
        let_in = self._admission.ask_again(work.request, device, size_bytes)
        Life(self._clock, self._come_back(host, work, let_in, size_bytes, self._clock._now))

    def _come_back(
        self, host: Host, work: Pass, let_in: simpy.Event, size_bytes: int, asked_at_s: float
    ) -> Course:
        yield let_in
        now_s = self._clock._now
        if self._spans is not None:
            code = self._spans.code_of(Spot(SpanKind.WAIT, host.device.id))
            row = (work.request.id, work.token, code, 0, size_bytes)
            self._spans.add(pack_span(*row, asked_at_s, asked_at_s, now_s, 1.0))
        work.n_new, work.n_context, work.n_done, work.asked_at_s = work.n_context + work.n_new, 0, 0, now_s
        assert host.shared is not None
        host.shared.ask(work)

    def close(self, at_s: float) -> None:
        """Close the books at the end of the run."""
        for host in self._sharing:
            assert host.shared is not None
            host.shared.close(at_s)

    def _compute_once(
        self,
        admitted: Verb,
        request: LiveRequest,
        device: str,
        part: Slice,
        token: Token,
        keep: tuple[Slice, Token] | None,
    ) -> Course:
        yield from admitted
        yield from self.compute(request, device, part, token, keep=keep)

    def _wait_for_memory(
        self,
        request: LiveRequest,
        sizes_bytes: Mapping[str, int],
        admitted: simpy.Event | None,
        earlier: list[simpy.Event],
    ) -> Course:
        asked_at_s = self._clock._now
        if admitted is not None:
            request.awaiting.update(dict.fromkeys(sizes_bytes, admitted))
            if self._world.patience_s is not None:
                Life(self._clock, self._lose_patience(request, admitted, self._world.patience_s))
        return self._waited(request, sizes_bytes, admitted, earlier, asked_at_s)

    def _lose_patience(self, request: LiveRequest, admitted: simpy.Event, patience_s: float) -> Course:
        yield self._clock._now + patience_s
        if not admitted.triggered and request.ended_at_s is None:
            self._admission.forget(request)
            admitted.defused = True  # it reaches whoever waits
            admitted.fail(RequestFailed(f"timeout: waited {patience_s:g} s for memory"))

    def _waited(
        self,
        request: LiveRequest,
        sizes_bytes: Mapping[str, int],
        admitted: simpy.Event | None,
        earlier: list[simpy.Event],
        asked_at_s: float,
    ) -> Course:
        for event in earlier:  # noqa: UP028  # a list's iterator cannot be sent the events' values
            yield event
        if admitted is None:
            return
        yield admitted
        now_s = self._clock._now
        for device, size_bytes in sizes_bytes.items():
            request.awaiting.pop(device, None)
            if self._spans is not None:
                code = self._spans.code_of(Spot(SpanKind.WAIT, device))
                self._spans.add(
                    pack_span(
                        request.id, request.token, code, 0, size_bytes, asked_at_s, asked_at_s, now_s, 1.0
                    )
                )

    def _direct(self, host: Host, target: str) -> Hop | None:
        """The one hop to a neighbour without endpoint costs; None where a message takes more."""
        source = host.device.id
        path = self.network.path(source, target)
        free = all(self.hosts[end].device.endpoint.is_free for end in (source, target))
        hop = self.hops[source, target] if len(path) == 2 and free else None
        host.direct[target] = hop
        return hop

    def _message(
        self, request: LiveRequest | None, source: str, target: str, size_bytes: float, index: int
    ) -> Verb:
        """Begin a message over any route: its first booking is made now."""
        if source == target:
            return DONE
        owner = -1 if request is None else request.id
        hops = [self.hops[pair] for pair in pairwise(self.network.path(source, target))]
        begun = self._handle(owner, self.hosts[source], size_bytes, index)
        if begun is DONE:
            begun = self._transmit(owner, hops.pop(0), size_bytes, index)
        if not hops and self.hosts[target].device.endpoint.is_free:
            return begun
        return self._carry_on(begun, owner, hops, target, size_bytes, index)

    def _carry_on(
        self, begun: Verb, owner: int, hops: list[Hop], target: str, size_bytes: float, index: int
    ) -> Course:
        yield from begun
        for hop in hops:
            yield from self._transmit(owner, hop, size_bytes, index)
        yield from self._handle(owner, self.hosts[target], size_bytes, index)

    def _transmit(self, owner: int, hop: Hop, size_bytes: float, index: int) -> Verb:
        now_s = self._clock._now
        started_at_s, arrived_at_s = hop.send(now_s, size_bytes)
        if self._add is not None:
            self._add(
                pack_span(owner, index, hop.code, 0, size_bytes, now_s, started_at_s, arrived_at_s, 1.0)
            )
        return (arrived_at_s,)

    def _handle(self, owner: int, host: Host, size_bytes: float, index: int) -> Verb:
        """Pay one end's cost of a message."""
        endpoint = host.device.endpoint
        if endpoint.is_free:
            return DONE
        now_s = self._clock._now
        started_at_s, ended_at_s = host.messaging.book(now_s, endpoint.seconds(size_bytes))
        if self._add is not None:
            code = self._codes_of_endpoints[host.device.id]
            self._add(pack_span(owner, index, code, 0, size_bytes, now_s, started_at_s, ended_at_s, 1.0))
        return (ended_at_s,)

    def _carry_home(self, request: LiveRequest, sending: Verb, token: Token) -> Course:
        yield from sending
        self._deliver(request, token)
        request.n_under_way -= 1
        if token.is_last and request.n_under_way:  # it overtook one ahead of it
            request.all_home = self._clock.event()
            yield request.all_home
        elif request.all_home is not None and not request.n_under_way:
            request.all_home.succeed()

    def _deliver(self, request: LiveRequest, token: Token) -> None:
        if request.ended_at_s is not None:
            return  # it failed while this token was on its way
        now_s = self._clock._now
        if request.first_token_at_s is None:
            request.first_token_at_s = now_s
        request.n_emitted_tokens += 1
        if self._add is not None:
            code = self._codes_of_emits[request.source]
            self._add(pack_span(request.id, token.index, code, 1, 0, now_s, now_s, now_s, 1.0))
            if self._spans is not None and self._spans.is_full:
                self._spans.flush(now_s)

    # --- a request's life ------------------------------------------------------------------------

    def end(self, request: LiveRequest) -> None:
        """Close a request whose strategy has come to its end."""
        if request.n_emitted_tokens != request.n_output_tokens:
            raise ContractError(
                f"serve: request {request.id} ended with {request.n_emitted_tokens} of its "
                f"{request.n_output_tokens} tokens emitted; emit every token, or fail the request"
            )
        self._close(request, Outcome.COMPLETED, None)

    def end_failed(self, request: LiveRequest, reason: str) -> None:
        """Close a request that has failed."""
        self._close(request, Outcome.FAILED, reason)

    def _close(self, request: LiveRequest, outcome: Outcome, reason: str | None) -> None:
        request.outcome, request.reason = outcome, reason
        request.ended_at_s = self._clock._now
        for device in request.awaited:
            self.hosts[device].n_requests -= 1
        for host in self._sharing:
            assert host.shared is not None
            host.shared.leave(request)
        self._admission.forget(request)
        self._admission.release(request)


def _heard(event: simpy.Event) -> Course:
    """Wait for an event, as a verb."""
    return (yield event)


def _course(verb: Verb) -> Course:
    """A verb as a process of its own."""
    return (yield from verb)
