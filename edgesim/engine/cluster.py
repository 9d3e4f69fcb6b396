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

from collections.abc import Callable, Generator, Hashable, Iterable, Mapping, Sequence
from functools import partial
from sys import exception
from typing import Any, NoReturn, get_args, overload

import numpy as np

from edgesim.engine.answers.answers import ALL, Answering, Worth, meet
from edgesim.engine.answers.exits import Exiting
from edgesim.engine.causality.begun import INSTANT, Call
from edgesim.engine.causality.moves import Move
from edgesim.engine.causality.needs import Datum
from edgesim.engine.collective.all_reduce import Messages, all_reduce_rounds, in_rounds
from edgesim.engine.collective.groups import Groups
from edgesim.engine.collective.sums import Summing
from edgesim.engine.decisions import Decisions
from edgesim.engine.device.host import Host, Pricing
from edgesim.engine.device.price import Price
from edgesim.engine.device.service_draws import draws_of
from edgesim.engine.dispatch import Sharing
from edgesim.engine.energy.discharge import Discharge
from edgesim.engine.energy.power import Drawn, drawn, most_w
from edgesim.engine.failure.downtime import Downtime
from edgesim.engine.ledger import Ledger
from edgesim.engine.memory.admission import Reservations
from edgesim.engine.network.delivery import Delivery
from edgesim.engine.network.hop import Hop
from edgesim.engine.network.transport import Transport
from edgesim.engine.observation.counting import Counting
from edgesim.engine.observation.looking import Looking
from edgesim.engine.observation.observation import Knowledge, Observation, View
from edgesim.engine.observation.reports import Reports
from edgesim.engine.own_streams import OwnStreams
from edgesim.engine.process.clock import Clock, Course, Life
from edgesim.engine.process.verb import DONE, RequestFailed, Verb, WorkLost, all_of
from edgesim.engine.recording import Recording
from edgesim.engine.request import LiveRequest
from edgesim.engine.token import Token
from edgesim.errors import ContractError
from edgesim.model.answers.exit_paths import CacheFill
from edgesim.model.answers.exit_rule import ExitRule
from edgesim.model.architecture import Slice
from edgesim.model.sharding import TensorShard
from edgesim.trace.buffer import SpanBuffer, pack_span
from edgesim.trace.counter_buffer import CounterBuffer
from edgesim.trace.schema import Outcome
from edgesim.world.holdings import Holdings
from edgesim.world.stages import check_stages
from edgesim.world.world import World

__all__ = ["Cluster", "RequestFailed", "Verb"]


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
        shards: Mapping[str, TensorShard] | None = None,
    ) -> None:
        check_stages(world.model, world.devices, holdings)
        self._clock = clock
        self._world = world
        self.answering = Answering(world.model.n_blocks, world.exits, world.quality)
        self.exiting = Exiting(world.exits, world.paths)
        self._own_streams = OwnStreams(world.seed, world.replication)
        self.decisions = Decisions(clock)
        self._recording = Recording(spans)
        self._add = self._recording.add
        self.hosts = {device.id: Host(device) for device in world.devices.values()}
        self._delivery = Delivery(clock, world.devices, self._recording)
        can_fail = {id_ for id_, host in self.hosts.items() if host.device.battery is not None}
        if world.faults is not None:
            can_fail |= set(world.faults.devices)
        self._transport = Transport(world, clock, self.hosts, self._recording, can_fail)
        held = Holdings(world.model, holdings, shards)
        self._held = held
        self._pricing = Pricing(world.model, held, self._recording)
        self.ledger = Ledger(clock, world.model, held.shards, world.answer_bytes_per_token)
        self._reservations = Reservations(world, clock, self.hosts, held, self._recording)
        self.hops, self.memories = self._transport.hops, self._reservations.memories
        self._groups = Groups(world, self.hosts, held, self._transport.network, self.hops, self._recording)
        self._sharing = Sharing(
            clock,
            world.model,
            self.hosts,
            held,
            self._pricing,
            self._reservations,
            self._recording,
            self._transport,
            can_fail,
            partial(draws_of, world),
        )
        self._in_service: dict[int, LiveRequest] = {}  # where work can be lost
        self._downtime = Downtime(
            world,
            clock,
            self.hosts,
            self._sharing,
            self._transport,
            self._reservations,
            self._in_service.values,
            self.ledger,
        )
        self._out: dict[str, list[Hop]] = {id_: [] for id_ in self.hosts}
        self._into: dict[str, list[Hop]] = {id_: [] for id_ in self.hosts}
        for hop in self.hops.values():
            self._out[hop.sender].append(hop)
            self._into[hop.peer].append(hop)
        self._discharges = {
            id_: Discharge(
                clock,
                host.device.battery,
                partial(self._drawn_now_j, id_),
                most_w(host, len(self._out[id_]), len(self._into[id_])),
                partial(self._downtime.empty, id_),
            )
            for id_, host in self.hosts.items()
            if host.device.battery is not None
        }
        self._looking = Looking(world, clock, self.hosts, self.memories, self._discharges, self._transport)
        self._reports = Reports(self._looking, self._transport)

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

        Where earlier tokens of the request left before this part, and so have no keys and values in it, they
        pass it together with this one (recompute; EE-LLM, Chen et al. 2024, arXiv 2312.04916): a pass of so
        many more tokens, at its price. Their hidden states must be there (:meth:`missing`). If they are to
        be propagated, :meth:`fill` comes first.

        Parameters
        ----------
        part
            Blocks to run, with or without the embedding before and the head after them. Earlier tokens must
            lack all of its blocks or none: cut it at exits.
        token
            The pass; its numbers of new and cached tokens set the price.
        keep
            Work that this request does next on the same device, without letting anybody in between:
            the station is kept for it, and the request's next ``compute`` must ask for just that. Where
            passes share the device there is nothing to keep, and it is asked for as any other.
        """
        if request.kept is not None:
            return self._compute_kept(request, device, part, token)
        now_s = self._clock._now
        before = request.in_hand
        try:
            if token is before:
                move = request.move.after[device]
            elif (
                token.index == before.index + 1  # type: ignore[union-attr]
                and token.n_new == 1
                and token.n_context == before.n_context + before.n_new  # type: ignore[union-attr]
                and not request.exits
            ):
                move = request.move.opens[device]
            else:
                return self._compute_otherwise(request, device, part, token, keep)
        except (KeyError, AttributeError):  # not known, or no pass has been opened yet
            return self._compute_otherwise(request, device, part, token, keep)
        if now_s != request.until_s or move.part is not part or not (move.is_held or device in request.held):
            return self._compute_otherwise(request, device, part, token, keep)
        request.in_hand = token
        host, price = move.host, move.price
        # What _book does, written out: this verb and `send` are what a simulation consists of.
        try:
            service_s = price.decode_s[token.n_context] if token.n_new == 1 else price.of(token)
        except IndexError:
            service_s = price.of(token)
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
            move = self._keep(request, host, keep, ended_at_s, move)
        request.move = move
        request.until_s = ended_at_s if ended_at_s > now_s else INSTANT
        request.begun = verb = iter((ended_at_s,))
        return verb

    def fill(self, request: LiveRequest, device: str, part: Slice) -> Verb:
        """Make the keys and values that earlier tokens lack in a part, of their states as they are.

        Propagation (Elbayad et al. 2020, arXiv 1910.10073; CALM, Schuster et al. 2022, arXiv 2207.07061) of
        all tokens before the one in hand that left before this part: neither attention nor MLP is computed,
        what it takes is in :mod:`edgesim.model.fill_timing`. Where nothing is lacking, nothing is done. Their
        hidden states must be there (:meth:`missing`), and stay as they are: what answers are worth is what
        was measured so (``exits(..., caches='propagate')``).

        Parameters
        ----------
        part
            Blocks; its embedding and head, if it has them, do nothing.
        """
        blocks = Slice(part.first, part.last)
        host = self.hosts[device]
        move = self.ledger.fill(request, device, blocks)
        in_hand = request.in_hand
        if move is None or in_hand is None:
            return self.ledger.at_once(request, Call("fill", (device, part), request.id))
        price = host.fills.get(blocks) or self._pricing.of_fill(host, blocks)
        n_new = move.n_along
        token = Token(in_hand.index, n_new, 0, self._world.model.activation_bytes(n_new), is_last=False)
        if host.shared is not None:
            self._sharing.demand_up(request, host, in_hand)
            filling = self._sharing.compute(request, host, blocks, token, price=price)
            return self.ledger.began(request, move, filling)
        if device not in request.held:
            admitted = self._reservations.admit(request, (device,))
            if admitted is not DONE:
                once = self._fill_once(admitted, request, device, blocks)
                return self.ledger.waited(request, Call("fill", (device, part), request.id), once)
        return self.ledger.began(request, move, (self._book(host, price, request, token),))

    def missing(self, request: LiveRequest, block: int) -> int:
        """How many tokens before the one in hand have no keys and values in a block: they left early.

        A message to where that block is computed next has to carry their hidden states beside those of the
        pass in hand, each of ``request.token_activation_bytes``.
        """
        return self.ledger.missing(request, block)

    def send(
        self,
        request: LiveRequest | None,
        source: str,
        target: str,
        size_bytes: float,
        *,
        token: Token | None = None,
        carries: Datum | Iterable[Datum] | None = None,
        unacknowledged: bool = False,
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
        carries
            What of the request's data it carries, where its size does not say so: ``prompt``, ``ids``,
            ``state`` (the hidden states of the pass in hand), ``waiting`` (those of earlier tokens that left
            before the block where the pass in hand stands) or ``cache`` (the KV caches of the sender's
            blocks), or several of them. If not given: what the sender has and the size has room for, hidden
            states from 4 bits per value on, and those of earlier tokens in the number format. The sender must
            have what is named.
        unacknowledged
            Leave blocks that the radio's own attempts do not deliver missing, instead of having the ARQ
            above repeat them (RLC's unacknowledged mode, TS 38.322): the message arrives all the same, and
            ``yield from`` gives the share that is missing, 0 to 1 (None from a device to itself). On wires
            and Wi-Fi nothing goes missing. What that does to an answer, :meth:`impair` says.
        """
        now_s = self._clock._now
        if unacknowledged or request is None or now_s != request.until_s:
            return self._send_otherwise(request, source, target, size_bytes, token, carries, unacknowledged)
        try:
            move = request.move.sends[target]
        except KeyError:  # not known
            return self._send_otherwise(request, source, target, size_bytes, token, carries)
        if size_bytes != move.size_bytes or move.device != source or carries is not None:
            return self._send_otherwise(request, source, target, size_bytes, token, carries)
        hop = move.hop
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
            index = request.token if token is None else token.index
            self._add(
                pack_span(request.id, index, hop.code, 0, size_bytes, now_s, started_at_s, arrived_at_s, 1.0)
            )
        request.move = move
        request.until_s = arrived_at_s if arrived_at_s > now_s else INSTANT
        request.begun = verb = iter((arrived_at_s,))
        return verb

    def emit(self, request: LiveRequest, device: str, token: Token) -> Verb:
        """Deliver a token to the request's source from the device that has made it.

        Tokens stream: decoding goes on while one is on its way, so only the last is waited for. The
        instants of delivery are what time to first token and inter-token latency are made of.
        """
        in_hand, lag = request.in_hand, request.move.tells.get(device)
        if (
            lag is None
            or in_hand is None
            or in_hand.index - token.index < lag
            or self._clock._now != request.until_s
        ):
            self.ledger.emit(request, device, token)
        if device == request.source:
            self._delivery.deliver(request, token)
        else:
            sending = self._message(request.id, device, request.source, request.token_bytes, token.index)
            request.n_under_way += 1
            attempt = request.attempt
            delivery = self._delivery.carry_home(request, sending, token, attempt)
            if token.is_last:
                return self.ledger.waited(request, Call("emit", (device, token), request.id), delivery)
            Life(self._clock, delivery, on_error=partial(self._delivery.lost, request, attempt))
        told = request.told
        if told.is_attended:  # Ledger.at_once, written out
            told.is_attended = False
            told.call = token
            return told
        return self.ledger.at_once(request, token)

    def together(self, *verbs: Verb) -> Verb:
        """Wait for several verbs, all of them begun now; returns their values in order.

        If one fails, what waits for all fails at once, and the request with it; the others, which have been
        booked, run on.
        """
        return self.ledger.attendance.note(Call("together", ("...",)), all_of(self._clock, verbs))

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
        token, members = request.token, tuple(group)
        move = self.ledger.sum(request, members)

        def begin(messages: Messages) -> Verb:
            return all_of(
                self._clock,
                [self._transport.message(request.id, a, b, size, token) for a, b, size in messages],
            )

        summing = in_rounds(all_reduce_rounds(members, size_bytes, via), begin)
        return self.ledger.began(request, move, summing)

    def compute_together(
        self, request: LiveRequest, group: Iterable[str], token: Token, summing: Summing
    ) -> Verb:
        """Run one pass of the whole model on a group whose members hold a shard of every block each.

        Two sums over the group in every block, one after attention and one after the MLP, for which all wait
        for the slowest. The group is held for the whole pass, first come first served on all members at
        once; its sums' errors go to the trace. The group's KV caches are reserved first.

        Not modelled: members that fail during a pass, members that batch or share their time, and sums
        that begin before the slowest member is ready.

        Parameters
        ----------
        group
            The members; the first is the root, which holds embedding and head besides.
        summing
            How they sum.
        """
        members = tuple(group)
        missing = [device for device in members if device not in request.held]
        if missing:
            admitted = self._reservations.admit(request, members)
            if admitted is not DONE:
                once = self._together_once(admitted, request, members, token, summing)
                return self.ledger.waited(
                    request, Call("compute_together", (members, token), request.id), once
                )
        team = self._groups.of(members, summing)
        move = self.ledger.compute(request, members, team.part, token, team, "compute_together")
        done = team.run(request, token, self._clock._now)
        self._note_errors(request, members, summing, token, done.errors)
        return self.ledger.began(request, move, (done.ended_at_s,))

    def check_group(self, group: Iterable[str], summing: Summing, *, max_new: int, max_context: int) -> None:
        """Raise InputError unless a group can :meth:`compute_together`, up to these lengths."""
        self._groups.of(tuple(group), summing).check(max_new=max_new, max_context=max_context)

    def admit(self, request: LiveRequest, devices: Iterable[str]) -> Verb:
        """Reserve the request's KV cache on several devices at one instant, or wait for all of them.

        What is reserved is the full length (prompt and output) for the blocks that the placement put on
        each device. With the scenario's ``reject`` policy, or where it can never fit, the request fails.
        """
        asked = tuple(devices)
        admitted = self._reservations.admit(request, asked)
        return self.ledger.waited(request, Call("admit", (asked,), request.id), admitted)

    def sleep(self, seconds: float) -> Verb:
        """Let time pass."""
        if not seconds >= 0:
            raise ContractError(f"sleep: expected 0 seconds or more, got {seconds}")
        return self.ledger.attendance.note(Call("sleep", (seconds,)), (self._clock._now + seconds,))

    def report(
        self,
        source: str,
        target: str,
        size_bytes: float,
        *,
        payload: Hashable = None,
        links: Iterable[str] | None = None,
        wait: bool = True,
    ) -> Verb:
        """Let a device tell another how it stands, in a control message; returns whether it has arrived.

        What it says is the state of `source` and of its links at the instant of sending. It travels like any
        message, for bytes, time and energy, and may be lost. From its arrival on ``observe(at=target)``
        shows it; one that is overtaken by a newer one is dropped, and one that is lost leaves what was known.

        Parameters
        ----------
        size_bytes
            Of the message, as the strategy's protocol would have it.
        payload
            Something of the strategy's own, which must be frozen (hashable): marginal costs, thresholds.
        links
            Neighbours, to which the links are to be told of; None: all. With hundreds of neighbours, name
            those that matter: looking at a radio link takes tens of microseconds.
        wait
            False: it goes its way by itself, and nothing need be waited for. Else ``yield from`` gives True
            when it has arrived and False when it is lost, for which no exception is raised.
        """
        sending = self._reports.begin(source, target, size_bytes, payload, links)
        if wait:
            return self.ledger.attendance.note(Call("report", (source, target, size_bytes)), sending)
        Life(self._clock, sending)
        return DONE

    @overload
    def observe(self) -> Observation: ...

    @overload
    def observe(self, *, at: str) -> Knowledge: ...

    def observe(self, *, at: str | None = None) -> View:
        """What a scheduler could know now: queues, requests, memory, battery, links, and who is up.

        Parameters
        ----------
        at
            A device: then only what this one knows, itself now and others as their last reports said that
            have arrived there (:meth:`report`). None: everything, now.
        """
        return (
            Observation(self._looking) if at is None else Knowledge(self._looking, at, self._reports.at(at))
        )

    def ask(
        self,
        name: str,
        seen: Sequence[float],
        choose: Callable[[], int],
        *,
        n_actions: int,
        allowed: Sequence[bool] | None = None,
        request: LiveRequest | None = None,
    ) -> Generator[Any, Any, int]:
        """Decide, where others may want to: ``action = yield from cluster.ask(...)``.

        In a run it is what `choose` returns, at once; no time passes. In an environment for learners that
        makes the decisions of this name (``edgesim.gym.DecisionEnv``), the run stops here and goes on with
        the learner's action; `choose` is not called then.

        Parameters
        ----------
        name
            Which decision it is, among those of the strategy: ``split``, ``server``.
        seen
            What it is made of; finite numbers, as many of one decision every time.
        choose
            The strategy's own choice, an action.
        n_actions
            Actions are 0, ..., `n_actions` - 1, as many of one decision every time.
        allowed
            Which are possible now; None: all.
        request
            Whose decision it is, if one request's.

        Raises
        ------
        ContractError
            If an action is chosen that is none or not allowed, none is allowed, or what is seen is not finite
            or changes its length.
        """
        asking = self.decisions.ask(name, seen, choose, n_actions=n_actions, allowed=allowed, request=request)
        call = Call("ask", (name,), None if request is None else request.id)
        return self.ledger.attendance.note(call, asking)  # type: ignore[return-value]

    def random(self, name: str, request: LiveRequest | None = None) -> np.random.Generator:
        """A stream of random numbers of the strategy's own, with which successive calls go on.

        Its draws follow from the scenario's seed, the replication, the name and the request, and from
        nothing else, so that a strategy's choices are the same whatever else draws, and in whichever order.
        Strategies that use the same names meet the same numbers.

        Parameters
        ----------
        name
            What it is for, such as ``explore``.
        request
            Whose it is, until that has ended (attempts at it go on with one stream); None: the run's. In
            ``serve`` ask for the request's: draws from one stream of the run are dealt out in the order in
            which requests come to draw.
        """
        return self._own_streams.of(name) if request is None else self._own_streams.of(name, request.id)

    @property
    def measures_answers(self) -> bool:
        """Whether the world carries measured answers for :meth:`exits` to replay."""
        return self._world.exits is not None

    @property
    def exit_blocks(self) -> tuple[int, ...]:
        """After how many blocks exits were measured, the model's own head the last; none if none were."""
        return () if self._world.exits is None else self._world.exits.blocks

    def impair(
        self,
        request: LiveRequest,
        name: str,
        level: float,
        *,
        block: int | None = None,
        n_devices: int | None = None,
        token: Token | None = None,
        count: int = 1,
    ) -> None:
        """Note what a channel has done to tensors of a request; its answer counts as measured under that.

        Parameters
        ----------
        name, level, block, n_devices
            As measured (:mod:`edgesim.model.answers.impairment`): ``noise`` and its normalised error on the
            sums of an all-reduce, ``erasure`` and its probability after a block, ... What counts is the mean
            error over all that a token has met of a kind, in the attempt that delivered it.
        token
            Whose pass it was; that token's answer alone is the worse for it. None: all tokens'.
        count
            How many sums or messages have met this level.

        Raises
        ------
        InputError
            If the scenario has measured answers, but none under this kind.
        ContractError
            If there is no such level or block.
        """
        kind = (name, block, n_devices)
        is_split = block is None or (isinstance(block, int) and 1 <= block <= self._world.model.n_blocks)
        is_group = n_devices is None or (isinstance(n_devices, int) and n_devices >= 1)
        if not level >= 0 or count < 1 or not is_split or not is_group:
            raise ContractError(
                f"impair: {name} at level {level}, {count} times, after block {block}; expected a level of 0 "
                f"or more, at least once, after one of {self._world.model.n_blocks} blocks or none"
            )
        self.answering.check(kind)
        if token is None or token.index >= request.n_brought_before:
            meet(request.harms, kind, ALL if token is None else token.index, level, count)

    def exits(
        self,
        request: LiveRequest,
        token: Token,
        block: int,
        *,
        confidence: float | None = None,
        entropy: float | None = None,
        rule: ExitRule | None = None,
        caches: CacheFill | str | None = None,
    ) -> bool:
        """Whether a token may leave the model after this many blocks: replayed from measured answers.

        The block at which each token has left, and whether its answer was right, go into the trace.

        A token that leaves has no keys and values in later blocks. If a later token goes deeper, they are
        computed with it (see :meth:`compute`), propagated (:meth:`fill`), or no token goes deeper than the
        first: what exits say then is not the same, and all of a request is asked with the same `caches`.

        Parameters
        ----------
        block
            Blocks that the token has passed; an exit of the measured model must stand there.
        confidence
            Least confidence with which it may leave. The model's own head always lets it go.
        entropy
            Or the most entropy [nats] with which it may.
        rule
            Or thresholds for all exits, of which this exit's counts.
        caches
            ``recompute`` (if not given), ``propagate`` or ``same-path``: see
            :mod:`edgesim.model.answers.exit_paths`. ``propagate`` needs a rule, the same for all tokens of a
            request, and one that was measured; every exit is to be asked in turn. With ``same-path`` the exit
            that token 0 takes is that of all.

        Raises
        ------
        InputError
            If answers with propagated caches were not measured, or not with this rule; see
            :meth:`check_exits`.
        """
        left = self.exiting.leaves(
            request, token.index, block, confidence=confidence, entropy=entropy, rule=rule, caches=caches
        )
        if left is None:
            return False
        request.exits[token.index] = (block, left)
        self.ledger.leave(request, token, block)
        return True

    def check_exits(self, rule: ExitRule, caches: CacheFill | str) -> None:
        """Raise InputError unless what exits say was measured with this rule and these caches."""
        self.exiting.check(rule, CacheFill(caches))

    def fail(self, request: LiveRequest, reason: str) -> NoReturn:
        """End a request without its answer; the reason goes into the trace."""
        if not isinstance(exception(), WorkLost):  # else verbs may have been lost with what it was to do
            self.ledger.give_up(request)
        raise RequestFailed(reason)

    # --- how they do it --------------------------------------------------------------------------

    def _note_errors(
        self,
        request: LiveRequest,
        members: tuple[str, ...],
        summing: Summing,
        token: Token,
        errors: tuple[float, ...],
    ) -> None:
        """Tell the request's answer what its sums have done to it."""
        n = len(members)
        if n == 1:
            return
        if summing.is_analog:
            # Noise of that power, over the parts' powers, is what was measured with noise on every part.
            by_part = self.answering.knows("device-noise")
            kind, devices = ("device-noise", n) if by_part else ("noise", None)
            mean = sum(errors) / len(errors)
            self.impair(request, kind, mean, n_devices=devices, token=token, count=len(errors))
        elif summing.bits is not None:
            self.impair(request, "quantised", summing.bits, n_devices=n, token=token, count=len(errors))

    def _together_once(
        self,
        admitted: Verb,
        request: LiveRequest,
        members: tuple[str, ...],
        token: Token,
        summing: Summing,
    ) -> Course:
        yield from admitted
        yield from self.compute_together(request, members, token, summing)

    def _message(self, owner: int, source: str, target: str, size_bytes: float, token: int) -> Verb:
        """A message, booked whatever it carries; -1 stands for no request and no token."""
        host = self.hosts[source]
        hop = host.direct[target] if target in host.direct else self._transport.direct(source, target)
        if hop is None:
            return self._transport.message(owner, source, target, size_bytes, token)
        now_s = self._clock._now
        started_at_s, arrived_at_s = hop.send(now_s, size_bytes)
        if self._add is not None:
            self._add(
                pack_span(owner, token, hop.code, 0, size_bytes, now_s, started_at_s, arrived_at_s, 1.0)
            )
        return (arrived_at_s,)

    def _send_otherwise(
        self,
        request: LiveRequest | None,
        source: str,
        target: str,
        size_bytes: float,
        token: Token | None,
        carries: Datum | Iterable[Datum] | None,
        unacknowledged: bool = False,
    ) -> Verb:
        """A message that is nobody's, not known to the ledger, takes several hops, or can be lost."""
        if source == target:
            call = Call("send", (source, target, size_bytes), None if request is None else request.id)
            return (
                self.ledger.attendance.note(call, DONE)
                if request is None
                else self.ledger.at_once(request, call)
            )
        if request is None:
            sending = self._message(-1, source, target, size_bytes, -1)
            return self.ledger.attendance.note(Call("send", (source, target, size_bytes)), sending)
        move = self.ledger.send(request, source, target, size_bytes, _data(carries))
        index = request.token if token is None else token.index
        if unacknowledged:
            sending = self._transport.unacknowledged(request.id, source, target, size_bytes, index)
            return self.ledger.began(request, move, sending)
        sending = self._message(request.id, source, target, size_bytes, index)
        if move.hop is None and self.hosts[source].direct[target] is not None:
            move.hop = self.hosts[source].direct[target]
            self.ledger.hasten(move, target)
        return self.ledger.began(request, move, sending)

    def _compute_otherwise(
        self,
        request: LiveRequest,
        device: str,
        part: Slice,
        token: Token,
        keep: tuple[Slice, Token] | None,
    ) -> Verb:
        """A pass that is not known to the ledger, that waits for memory, or on a shared device."""
        host = self.hosts[device]
        if host.shared is not None:
            return self._compute_shared(request, host, part, token, keep)
        if device not in request.held:
            admitted = self._reservations.admit(request, (device,))
            if admitted is not DONE:
                once = self._compute_once(admitted, request, device, part, token, keep)
                return self.ledger.waited(request, Call("compute", (device, part, token), request.id), once)
        price = host.prices.get(part) or self._pricing.of(host, part)
        move = self.ledger.compute(request, (device,), part, token, part)
        if move.n_along:
            token = token.with_earlier(move.n_along)
        elif move.price is None:
            move.part, move.host, move.price = part, host, price
            self.ledger.hasten(move, device)
        ended_at_s = self._book(host, price, request, token)
        if keep is not None:
            move = self._keep(request, host, keep, ended_at_s, move)
        return self.ledger.began(request, move, (ended_at_s,))

    def _book(self, host: Host, price: Price, request: LiveRequest, token: Token) -> float:
        """Book a pass on a device of its own, first come first served; when it ends [s]."""
        now_s = self._clock._now
        started_at_s, ended_at_s = host.book(now_s, price.of(token) + host.started())
        self._recording.span(
            request.id, token.index, price.code, now_s, started_at_s, ended_at_s, n_tokens=token.n_new
        )
        return ended_at_s

    def _compute_shared(
        self,
        request: LiveRequest,
        host: Host,
        part: Slice,
        token: Token,
        keep: tuple[Slice, Token] | None,
    ) -> Verb:
        """A pass on a device that several passes share, that may fail, or whose times are drawn."""
        self._sharing.demand_up(request, host, token)
        device = host.device.id
        if part not in host.prices:
            self._pricing.of(host, part)
        move = self.ledger.compute(request, (device,), part, token, part)
        if move.n_along:
            token = token.with_earlier(move.n_along)
        if keep is not None:
            self.ledger.keep(request, move, device, *keep)
        return self.ledger.began(request, move, self._sharing.compute(request, host, part, token, keep))

    def _keep(
        self, request: LiveRequest, host: Host, keep: tuple[Slice, Token], from_s: float, move: Move
    ) -> Move:
        part, token = keep
        before = request.in_hand
        if token is before:
            kept = move.kept
        else:
            assert before is not None
            goes_on = token.index == before.index + 1 and token.n_new == 1
            goes_on = goes_on and token.n_context == before.n_context + before.n_new
            kept = move.kept_next if goes_on else None
        if kept is None or kept.part is not part:
            kept = self.ledger.keep(request, move, host.device.id, part, token)
            kept.part = part
            kept.price = host.prices.get(part) or self._pricing.of(host, part)
        price = kept.price
        try:
            service_s = price.decode_s[token.n_context] if token.n_new == 1 else price.of(token)
        except IndexError:
            service_s = price.of(token)
        host.free_at_s = until_s = from_s + service_s
        host.busy_s += service_s
        request.kept = (host.device.id, part, token, until_s)
        if self._add is not None:
            row = (request.id, token.index, price.code, token.n_new, 0)
            self._add(pack_span(*row, from_s, from_s, until_s, 1.0))
        return kept

    def _compute_kept(self, request: LiveRequest, device: str, part: Slice, token: Token) -> Verb:
        assert request.kept is not None
        kept_device, kept_part, kept_token, until_s = request.kept
        if kept_token is not token or kept_device != device or kept_part != part:
            raise ContractError(
                f"compute: request {request.id} kept {kept_device!r} for {kept_part} and asks for else"
            )
        request.kept = None
        move, now_s = request.move.then, self._clock._now
        if move is None or now_s != request.until_s or until_s <= now_s:
            before = request.move
            move = self.ledger.compute(request, (device,), part, token, part)
            self.ledger.then(request, before, move)
            return self.ledger.began(request, move, (until_s,))
        request.in_hand = token
        request.move = move
        request.until_s = until_s
        request.begun = verb = iter((until_s,))
        return verb

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

    def _fill_once(self, admitted: Verb, request: LiveRequest, device: str, part: Slice) -> Course:
        yield from admitted
        yield from self.fill(request, device, part)

    # --- a request's life ------------------------------------------------------------------------

    def begin(self, request: LiveRequest) -> None:
        """Begin with an attempt at a request, where work can be lost; DeviceDown if its source is."""
        self._in_service[request.id] = request
        self.hosts[request.source].demand_up()

    def start_over(self, request: LiveRequest) -> None:
        """Forget an attempt that has failed: all that it held and waited for."""
        self._sharing.leave(request)
        self._reservations.leave(request)
        request.attempt += 1
        request.n_brought_before = request.n_emitted_tokens
        home = request.delivered or set()  # what has been delivered counts as it was computed
        request.exits = {token: told for token, told in request.exits.items() if token in home}
        request.harms = {
            kind: {token: met for token, met in of.items() if token in home}
            for kind, of in request.harms.items()
        }
        request.caches = request.rule = None
        request.token = request.n_under_way = 0
        request.awaited, request.awaiting, request.lost = [], {}, {}
        request.all_home = request.kept = request.kept_pass = None
        request.early = []
        request.forget()

    def end(self, request: LiveRequest) -> None:
        """Close a request whose strategy has come to its end."""
        self.ledger.end(request)
        if request.n_emitted_tokens != request.n_output_tokens:
            raise ContractError(
                f"serve: request {request.id} ended with {request.n_emitted_tokens} of its "
                f"{request.n_output_tokens} tokens emitted; emit every token, or fail the request"
            )
        self._close(request, Outcome.COMPLETED, None)

    def end_failed(self, request: LiveRequest, reason: str) -> None:
        """Close a request that has failed; one that has its answer by then is complete all the same."""
        if request.answered_at_s is None:
            self._close(request, Outcome.FAILED, reason)
        else:
            self._close(request, Outcome.COMPLETED, None)

    @staticmethod
    def cut_off(request: LiveRequest, stuck: str | None) -> None:
        """Say how a request stands that the end of the run has met in flight, and why it would never end."""
        if stuck is not None:
            request.reason = stuck
        elif request.answered_at_s is not None:
            request.outcome, request.ended_at_s = Outcome.COMPLETED, request.answered_at_s

    def _close(self, request: LiveRequest, outcome: Outcome, reason: str | None) -> None:
        request.outcome, request.reason = outcome, reason
        # What a strategy does after the last delivery is none of the time that its user waits.
        is_failed = outcome is Outcome.FAILED
        request.ended_at_s = self._clock._now if is_failed else request.answered_at_s
        request.interrupt = None
        self._in_service.pop(request.id, None)
        self._own_streams.close(request.id)
        self._sharing.leave(request)
        self._reservations.leave(request)

    def close(self, at_s: float) -> None:
        """Close the books at the end of the run."""
        self._sharing.close(at_s)
        self._transport.close(at_s)

    def worth(self, request: LiveRequest) -> Worth:
        """What a request's answer is worth, as far as it has been delivered."""
        path = self.exiting.path_of(request)
        return self.answering.of(request.sample, request.n_emitted_tokens, request.exits, request.harms, path)

    def owners(self) -> set[int]:
        """Requests, ended or not, of which spans are yet to be recorded."""
        return self._sharing.owners() | self._transport.owners()

    def drawn(self, device: str, at_s: float) -> Drawn:
        """Energy that a device has drawn up to an instant after which nothing was booked."""
        uptime = self._downtime.uptime.get(device)
        return drawn(self.hosts[device], self._out[device], self._into[device], uptime, at_s)

    def counting(self, buffer: CounterBuffer) -> Counting:
        """Count over time from now on, into a buffer."""
        return Counting(self._looking, self.memories, self.hops, buffer)

    def up_s(self, device: str, at_s: float) -> float:
        """For how long a device has been up, up to an instant [s]."""
        uptime = self._downtime.uptime.get(device)
        return at_s if uptime is None else uptime.until(at_s)

    def n_failures(self, device: str) -> int:
        """How often a device has gone down."""
        uptime = self._downtime.uptime.get(device)
        return 0 if uptime is None else uptime.n_failures

    def _drawn_now_j(self, device: str) -> float:
        return self.drawn(device, self._clock._now).total_j


def _data(carries: Datum | Iterable[Datum] | None) -> Iterable[Datum] | None:
    """What a message is said to carry, checked."""
    if carries is None:
        return None
    named: tuple[Datum, ...] = (carries,) if isinstance(carries, str) else tuple(carries)
    unknown = [datum for datum in named if datum not in get_args(Datum)]
    if unknown:
        raise ContractError(
            f"send: carries={unknown[0]!r} is not known; there are {', '.join(map(repr, get_args(Datum)))}"
        )
    return named
