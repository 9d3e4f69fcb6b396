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

from collections.abc import Hashable, Iterable, Mapping
from sys import exception
from typing import NoReturn

from edgesim.engine.assembly import Assembly
from edgesim.engine.causality.begun import INSTANT, Call
from edgesim.engine.causality.needs import Datum
from edgesim.engine.collective.sums import Summing
from edgesim.engine.insight import Insight
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
    shards
        What part of the blocks that it holds a device has of every block; None: the whole of them.

    Attributes
    ----------
    parts
        What the verbs set in motion, for the simulation; no strategy needs to know them.
    hosts, hops, memories, decisions
        Of the parts, what is looked at after a run: devices and links at work, memory, decisions asked for.
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
            Work that this request does next on the same device, with nothing in between:
            the station is kept for it, and the request's next ``compute`` must ask for just that. Where
            passes share the device there is nothing to keep, and it is asked for as any other.
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
        except (KeyError, AttributeError):  # not known, or no pass has been opened yet
            return self._passes.compute(request, device, part, token, keep)
        if now_s != trail.until_s or move.part is not part:
            return self._passes.compute(request, device, part, token, keep)
        if not (move.is_held or self._has_cache(request, device)):
            return self._passes.compute(request, device, part, token, keep)
        trail.in_hand = token
        host, price = move.host, move.price
        # What Booking does, written out: this verb and `send` are what a simulation consists of.
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
        """Carry a message from one device to another, store and forward over the cheapest route.

        It pays the sender's endpoint cost, then each hop in turn (queue, transmission, latency), then
        the receiver's endpoint cost. From a device to itself it costs nothing.

        Parameters
        ----------
        request
            The request that it serves; None for control traffic.
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
        if unacknowledged or request is None or now_s != (trail := request.trail).until_s:
            return self._messages.send(
                request, source, target, size_bytes, token, carries, unacknowledged=unacknowledged
            )
        try:
            move = trail.move.sends[target]
        except KeyError:  # not known
            return self._messages.send(request, source, target, size_bytes, token, carries)
        if size_bytes != move.size_bytes or move.device != source or carries is not None:
            return self._messages.send(request, source, target, size_bytes, token, carries)
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
        trail.move = move
        trail.until_s = arrived_at_s if arrived_at_s > now_s else INSTANT
        trail.begun = verb = iter((arrived_at_s,))
        return verb

    def emit(self, request: LiveRequest, device: str, token: Token) -> Verb:
        """Deliver a token to the request's source from the device that has made it.

        Tokens stream: decoding goes on while one is on its way, so only the last is waited for. The
        instants of delivery are what time to first token and inter-token latency are made of.
        """
        trail = request.trail
        in_hand, lag = trail.in_hand, trail.move.tells.get(device)
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
        if immediate.is_attended:  # Progress.at_once, written out
            immediate.is_attended = False
            immediate.call = token
            return immediate
        return self._progress.at_once(request, token)

    def together(self, *verbs: Verb) -> Verb:
        """Wait for several verbs, all of them begun now; returns their values in order.

        If one fails, what waits for all fails at once, and the request with it; the others, which have been
        booked, run on.
        """
        return self._progress.attendance.note(Call("together", ("...",)), all_of(self._clock, verbs))

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
        return self._messages.all_reduce(request, tuple(group), size_bytes, via)

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
        return self._passes.together(request, tuple(group), token, summing)

    def check_group(self, group: Iterable[str], summing: Summing, *, max_new: int, max_context: int) -> None:
        """Raise InputError unless a group can :meth:`compute_together`, up to these lengths."""
        self.parts.groups.of(tuple(group), summing).check(max_new=max_new, max_context=max_context)

    def admit(self, request: LiveRequest, devices: Iterable[str]) -> Verb:
        """Reserve the request's KV cache on several devices at one instant, or wait for all of them.

        What is reserved is the full length (prompt and output) for the blocks that the placement put on
        each device. With the scenario's ``reject`` policy, or where it can never fit, the request fails.
        """
        asked = tuple(devices)
        admitted = self.parts.reservations.admit(request, asked)
        return self._progress.waited(request, Call("admit", (asked,), request.id), admitted)

    def sleep(self, seconds: float) -> Verb:
        """Let time pass."""
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
        """Have a device report its state to another, in a control message; returns whether it has arrived.

        It reports the state of `source` and of its links at the instant of sending, and travels like any
        message, for bytes, time and energy, and may be lost. From its arrival on ``observe(at=target)``
        shows it; one that is overtaken by a newer one is dropped, and one that is lost leaves what was known.

        Parameters
        ----------
        size_bytes
            Of the message, as the strategy's protocol would have it.
        payload
            Something of the strategy's own, which must be frozen (hashable): marginal costs, thresholds.
        links
            Neighbours, to which the links are reported; None: all. With hundreds of neighbours, name
            those that matter: looking at a radio link takes tens of microseconds.
        wait
            False: it goes its way by itself, and nothing need be waited for. Else ``yield from`` gives True
            when it has arrived and False when it is lost, for which no exception is raised.
        """
        sending = self.parts.reports.begin(source, target, size_bytes, payload, links)
        if wait:
            return self._progress.attendance.note(Call("report", (source, target, size_bytes)), sending)
        Life(self._clock, sending)
        return DONE

    def fail(self, request: LiveRequest, reason: str) -> NoReturn:
        """End a request without its answer; the reason goes into the trace."""
        if not isinstance(exception(), WorkLost):  # else verbs may have been lost with what it was to do
            self._progress.give_up(request)
        raise RequestFailed(reason)
