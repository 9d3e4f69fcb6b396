"""The cluster: the verbs that strategies call, and the only writer of the trace.

A verb begins when it is called, and ``yield from`` waits for its end::

    yield from cluster.send(request, here, there, token.activation_bytes)
    yield from cluster.compute(request, there, part, token)

Most verbs compute their end when called, because first-come-first-served stations have a closed form; they
return that instant. Verbs of several steps (a message over several hops, a wait for memory) return a
generator, which advances only while a process waits for it. So wait for a verb immediately, or pass it to
``together``, which waits for several; a generator that is stored instead stops after its first step.
"""

from __future__ import annotations

from collections.abc import Hashable, Iterable, Mapping
from sys import exception
from typing import NoReturn

from edgesim.engine.assembly import Assembly
from edgesim.engine.causality.begun_verb import INSTANT, Call
from edgesim.engine.causality.needs import Datum
from edgesim.engine.collective.sums import Summing
from edgesim.engine.instant_verbs import Insight
from edgesim.engine.process.clock import Clock, Life
from edgesim.engine.process.verb import DONE, RequestFailed, Verb, WorkLost, all_of
from edgesim.engine.request import LiveRequest
from edgesim.engine.token import Token
from edgesim.errors import ContractError
from edgesim.model.architecture import Slice
from edgesim.model.sharding import TensorShard
from edgesim.trace.buffer import SpanBuffer, pack_span
from edgesim.world.world import World

__all__ = ["Cluster", "RequestFailed", "Verb"]


class Cluster(Insight):
    """Devices, links and memory during one run, with the verbs that a strategy calls.

    Parameters
    ----------
    world
        The replication to simulate.
    clock
        The clock of the run.
    holdings
        Parts of the model stored on each device; computing any other part there is an error.
    spans
        Buffer in which spans are recorded; None records none (the requests and devices tables remain).
    shards
        By device, the shard that it stores of each of its blocks; None: whole blocks.

    Attributes
    ----------
    parts
        Internal parts of the run, for the simulation; strategies do not need them.
    hosts, hops, memories, decisions
        Parts to inspect after a run: the states of devices and links, memory, and the decisions requested.
    """

    def __init__(
        self,
        world: World,
        clock: Clock,
        holdings: Mapping[str, tuple[Slice, ...]],
        spans: SpanBuffer | None = None,
        shards: Mapping[str, TensorShard] | None = None,
    ) -> None:
        parts = Assembly(world, clock, holdings, spans, shards)
        super().__init__(world, clock, parts)
        self._add = parts.recording.add
        self._transport = parts.transport
        self._passes, self._messages, self._delivery = parts.passes, parts.messages, parts.delivery
        self._has_cache = parts.reservations.has_cache
        self.hosts, self.hops = parts.hosts, parts.transport.hops
        self.memories = parts.reservations.memories

    # --- verbs -----------------------------------------------------------------------------------

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

        If the request has no KV cache on the device yet, memory is reserved first: for the blocks that the
        placement put there, at the request's full length.

        Earlier tokens of the request that exited before this part have no keys and values in it. They pass
        through it together with this token (recompute; EE-LLM, Chen et al. 2024, arXiv 2312.04916): the pass
        has that many more tokens and is priced accordingly. Their hidden states must be on the device
        (:meth:`missing`). To propagate them instead, call :meth:`fill` first.

        Parameters
        ----------
        part
            Blocks to run, with or without the embedding before and the head after them. Earlier tokens must
            lack keys and values in all of its blocks or in none: split the part at exits.
        token
            The pass; its numbers of new and cached tokens set the price.
        keep
            Part and pass that this request computes next on the same device, with nothing in between: the
            station is reserved for it, and the request's next ``compute`` must be exactly this one. On a
            device shared by several passes nothing is reserved, and the next pass queues like any other.
        """
        trail = request.trail
        if trail.kept is not None:
            return self._passes.compute_kept(request, device, part, token)
        now_s = self._clock._now
        before = trail.in_hand
        try:
            if token is before:
                move = trail.move.after[device]
            elif (
                token.index == before.index + 1  # type: ignore[union-attr]
                and token.n_new == 1
                and token.n_context == before.n_context + before.n_new  # type: ignore[union-attr]
                and not trail.left
            ):
                move = trail.move.opens[device]
            else:
                return self._passes.compute(request, device, part, token, keep)
        except (KeyError, AttributeError):  # no such move cached, or no pass opened yet
            return self._passes.compute(request, device, part, token, keep)
        if now_s != trail.until_s or move.part is not part:
            return self._passes.compute(request, device, part, token, keep)
        if not (move.has_cache or self._has_cache(request, device)):
            return self._passes.compute(request, device, part, token, keep)
        trail.in_hand = token
        host, price = move.host, move.price
        # Booking inlined for speed: this verb and `send` take most of a simulation's time.
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
            move = self._passes.keep(request, host, keep, ended_at_s, move)
        trail.move = move
        trail.until_s = ended_at_s if ended_at_s > now_s else INSTANT
        trail.begun = verb = iter((ended_at_s,))
        return verb

    def fill(self, request: LiveRequest, device: str, part: Slice) -> Verb:
        """Compute the missing keys and values of earlier tokens in a part from their unchanged hidden states.

        Propagation (Elbayad et al. 2020, arXiv 1910.10073; CALM, Schuster et al. 2022, arXiv 2207.07061) for
        all tokens before the one in hand that exited before this part: neither attention nor MLP is computed;
        :mod:`edgesim.model.fill_timing` gives the time. If no keys and values are missing, nothing is done.
        The hidden states must be on the device (:meth:`missing`) and do not change: answer quality is as
        measured with propagation (``exits(..., caches='propagate')``).

        Parameters
        ----------
        part
            Blocks; its embedding and head, if it has them, are ignored.
        """
        return self._passes.fill(request, device, part)

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
        """Send a message from one device to another, store and forward over the cheapest route.

        The message incurs the sender's endpoint cost, then each hop in order (queue, transmission, latency),
        then the receiver's endpoint cost. From a device to itself it costs nothing.

        Parameters
        ----------
        request
            The request that the message serves; None for control traffic.
        token
            The pass that the message belongs to; the one in hand if not given.
        carries
            The request's data in the message, where its size does not determine them: ``prompt``, ``ids``,
            ``state`` (the hidden states of the pass in hand), ``waiting`` (those of earlier tokens that
            exited before the block that the pass in hand has reached) or ``cache`` (the KV caches of the
            sender's blocks), or several of these. If not given: the data that the sender has and the size has
            room for; hidden states need at least 4 bits per value, and those of earlier tokens the number
            format. The sender must have the named data.
        unacknowledged
            Leave blocks missing that the radio's own attempts do not deliver, instead of having the ARQ above
            repeat them (RLC's unacknowledged mode, TS 38.322): the message still arrives, and ``yield from``
            returns the missing share, 0 to 1 (None from a device to itself). On wires and Wi-Fi nothing is
            lost. Use :meth:`impair` to apply the loss to the answer.
        """
        now_s = self._clock._now
        if unacknowledged or request is None or now_s != (trail := request.trail).until_s:
            return self._messages.send(
                request, source, target, size_bytes, token, carries, unacknowledged=unacknowledged
            )
        try:
            move = trail.move.sends[target]
        except KeyError:  # no such move cached
            return self._messages.send(request, source, target, size_bytes, token, carries)
        if size_bytes != move.size_bytes or move.device != source or carries is not None:
            return self._messages.send(request, source, target, size_bytes, token, carries)
        hop, service_s = move.hop, move.service_s
        if service_s is None:
            started_at_s, arrived_at_s = hop.send(now_s, size_bytes)
        else:  # Hop.send, inlined
            free_at_s = hop.free_at_s
            started_at_s = now_s if now_s > free_at_s else free_at_s
            hop.free_at_s = ended_at_s = started_at_s + service_s
            hop.busy_s += service_s
            arrived_at_s = ended_at_s + hop.latency_s
        if self._add is not None:
            index = request.token if token is None else token.index
            self._add(
                pack_span(request.id, index, hop.code, 0, size_bytes, now_s, started_at_s, arrived_at_s, 1.0)
            )
        trail.move = move
        trail.until_s = arrived_at_s if arrived_at_s > now_s else INSTANT
        trail.begun = verb = iter((arrived_at_s,))
        return verb

    def emit(self, request: LiveRequest, device: str, token: Token) -> Verb:
        """Deliver a token to the request's source from the device that generated it.

        Tokens are streamed: decoding continues while a token is in transit, so only the last is waited for.
        Time to first token and inter-token latency are computed from the instants of delivery.
        """
        trail = request.trail
        in_hand = trail.in_hand
        lag = trail.move.lags.get(device)
        if (
            lag is None
            or in_hand is None
            or in_hand.index - token.index < lag
            or self._clock._now != trail.until_s
        ):
            self._ledger.emit(request, device, token)
        if device == request.source:
            self._delivery.deliver(request, token)
        else:
            last = self._messages.emit_afar(request, device, token)
            if last is not None:
                return last
        immediate = trail.immediate
        if immediate.is_attended:  # Progress.at_once, inlined
            immediate.is_attended = False
            immediate.call = token
            return immediate
        return self._progress.at_once(request, token)

    def together(self, *verbs: Verb) -> Verb:
        """Wait for several verbs, all begun now; return their values in order.

        If one fails, this wait and with it the request fail at once; the other verbs are already booked and
        continue.
        """
        return self._progress.attendance.note(Call("together", ("...",)), all_of(self._clock, verbs))

    def all_reduce(
        self, request: LiveRequest, group: Iterable[str], size_bytes: float, *, via: str = "ring"
    ) -> Verb:
        """Sum a tensor over a group of devices by messages; return the error variance, which is 0.

        Parameters
        ----------
        size_bytes
            Size of the whole tensor, which every member stores before and after.
        via
            ``ring``: reduce-scatter and all-gather around the group, 2(N-1) rounds of size/N each (Patarasuk
            and Yuan 2009). ``star``: all members send to the first, which sends the sum back.
        """
        return self._messages.all_reduce(request, tuple(group), size_bytes, via)

    def compute_together(
        self, request: LiveRequest, group: Iterable[str], token: Token, summing: Summing
    ) -> Verb:
        """Run one pass of the whole model on a group in which each member stores a shard of every block.

        Every block has two all-reduces, one after attention and one after the MLP, at which all members wait
        for the slowest. The group is occupied for the whole pass, first come first served on all members at
        once; the errors of the sums are recorded in the trace. The group's KV caches are reserved first.

        Not modelled: members that fail during a pass, members that batch or share their time, and sums that
        begin before the slowest member is ready.

        Parameters
        ----------
        group
            The members; the first is the root, which also stores the embedding and the head.
        summing
            The all-reduce method.
        """
        return self._passes.together(request, tuple(group), token, summing)

    def check_group(self, group: Iterable[str], summing: Summing, *, max_new: int, max_context: int) -> None:
        """Raise InputError unless a group can run :meth:`compute_together` up to these lengths."""
        self.parts.groups.of(tuple(group), summing).check(max_new=max_new, max_context=max_context)

    def admit(self, request: LiveRequest, devices: Iterable[str]) -> Verb:
        """Reserve the request's KV cache on several devices at one instant, or wait until all have room.

        The reservation covers the full length (prompt and output) for the blocks that the placement put on
        each device. The request fails under the scenario's ``reject`` policy, or if the cache can never fit.
        """
        asked = tuple(devices)
        admitted = self.parts.reservations.admit(request, asked)
        return self._progress.waited(request, Call("admit", (asked,), request.id), admitted)

    def sleep(self, seconds: float) -> Verb:
        """Wait for a given time."""
        if not seconds >= 0:
            raise ContractError(f"sleep: expected 0 seconds or more, got {seconds}")
        return self._progress.attendance.note(Call("sleep", (seconds,)), (self._clock._now + seconds,))

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
        """Have a device report its state to another in a control message; return whether it arrives.

        The report contains the state of `source` and of its links at the instant of sending. It is sent like
        any message, takes bytes, time and energy, and may be lost. From its arrival, ``observe(at=target)``
        shows it; a report that arrives after a newer one is dropped, and after a lost report the previous
        values remain.

        Parameters
        ----------
        size_bytes
            Size of the message in the strategy's protocol.
        payload
            A hashable (frozen) value of the strategy, such as marginal costs or thresholds.
        links
            Neighbours whose links are reported; None: all. With hundreds of neighbours, name those that
            matter: evaluating a radio link takes tens of microseconds.
        wait
            False: send it in the background and return at once. True: ``yield from`` returns True when the
            report has arrived and False when it is lost; a loss raises no exception.
        """
        sending = self.parts.reports.begin(source, target, size_bytes, payload, links)
        if wait:
            return self._progress.attendance.note(Call("report", (source, target, size_bytes)), sending)
        Life(self._clock, sending)
        return DONE

    def fail(self, request: LiveRequest, reason: str) -> NoReturn:
        """End a request without its answer; the reason is recorded in the trace."""
        if not isinstance(exception(), WorkLost):  # after a loss, verbs may be unattended because of it
            self._progress.give_up(request)
        raise RequestFailed(reason)
