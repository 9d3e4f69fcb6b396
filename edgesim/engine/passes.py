"""Passes through parts of the model: checks, admission and booking.

The verb ``compute`` inlines the commonest case, a pass of a steady decode on a device that serves one pass at
a time. All other cases are handled here.
"""

from __future__ import annotations

from edgesim.engine.answers.by_request import RequestAnswers
from edgesim.engine.causality.begun_verb import Call
from edgesim.engine.causality.moves import Move
from edgesim.engine.collective.groups import Groups
from edgesim.engine.collective.sums import Summing
from edgesim.engine.device.booking import Booking
from edgesim.engine.device.host import Host, Pricing
from edgesim.engine.device.price import Price
from edgesim.engine.device.work import Pass
from edgesim.engine.ledger import Ledger
from edgesim.engine.memory.admission import Reservations
from edgesim.engine.memory.preemption import Preemption
from edgesim.engine.process.clock import Clock, Course
from edgesim.engine.process.verb import DONE, DeviceDown, Verb, wait_for
from edgesim.engine.progress import Progress
from edgesim.engine.recording import Recording
from edgesim.engine.request import LiveRequest
from edgesim.engine.token import Token
from edgesim.errors import ContractError
from edgesim.model.architecture import Architecture, Slice
from edgesim.trace.buffer import pack_span

__all__ = ["Passes"]

Keep = tuple[Slice, Token]
"""Work for which a station is reserved: a part, and the pass through it."""


class Passes:
    """Check passes, wait for memory where necessary, and book them."""

    def __init__(
        self,
        clock: Clock,
        model: Architecture,
        hosts: dict[str, Host],
        pricing: Pricing,
        booking: Booking,
        recording: Recording,
        reservations: Reservations,
        preemption: Preemption,
        groups: Groups,
        answers: RequestAnswers,
        progress: Progress,
        ledger: Ledger,
    ) -> None:
        self._clock = clock
        self._model = model
        self._hosts = hosts
        self._pricing = pricing
        self._booking = booking
        self._add = recording.add
        self._reservations = reservations
        self._preemption = preemption
        self._groups = groups
        self._answers = answers
        self._progress = progress
        self._ledger = ledger
        self._kept: dict[LiveRequest, Pass] = {}  # passes for which a shared station is reserved

    def compute(
        self, request: LiveRequest, device: str, part: Slice, token: Token, keep: Keep | None = None
    ) -> Verb:
        """Begin any pass; see :meth:`edgesim.engine.cluster.Cluster.compute`."""
        host = self._hosts[device]
        if host.shared is not None:
            return self._compute_shared(request, host, part, token, keep)
        if not self._reservations.has_cache(request, device):
            admitted = self._reservations.admit(request, (device,))
            if admitted is not DONE:
                once = self._compute_once(admitted, request, device, part, token, keep)
                return self._progress.waited(
                    request, Call("compute", (device, part, token), request.id), once
                )
        price = host.prices.get(part) or self._pricing.of(host, part)
        move = self._ledger.compute(request, (device,), part, token, part)
        if move.n_along:
            token = token.with_earlier(move.n_along)
        elif move.price is None:
            move.part, move.host, move.price = part, host, price
            self._ledger.hasten(move, device)
        ended_at_s = self._booking.in_turn(request, host, price, token)
        if keep is not None:
            move = self.keep(request, host, keep, ended_at_s, move)
        return self._progress.began(request, move, (ended_at_s,))

    def keep(self, request: LiveRequest, host: Host, keep: Keep, from_s: float, move: Move) -> Move:
        """Reserve an unshared device for a request's next pass there, and book that pass now."""
        part, token = keep
        trail = request.trail
        before = trail.in_hand
        assert before is not None
        if token is before:
            kept = move.kept
        elif (
            token.index == before.index + 1
            and token.n_new == 1
            and token.n_context == before.n_context + before.n_new
        ):
            kept = move.kept_next
        else:
            kept = None
        if kept is None or kept.part is not part:
            kept = self._ledger.keep(request, move, host.device.id, part, token)
            kept.part = part
            kept.price = host.prices.get(part) or self._pricing.of(host, part)
        price = kept.price
        try:
            service_s = price.decode_s[token.n_context] if token.n_new == 1 else price.of(token)
        except IndexError:
            service_s = price.of(token)
        host.free_at_s = until_s = from_s + service_s
        host.busy_s += service_s
        trail.kept = (host.device.id, part, token, until_s)
        if self._add is not None:
            row = (request.id, token.index, price.code, token.n_new, 0)
            self._add(pack_span(*row, from_s, from_s, until_s, 1.0))
        return kept

    def compute_kept(self, request: LiveRequest, device: str, part: Slice, token: Token) -> Verb:
        """Begin the pass for which an unshared device is reserved."""
        trail = request.trail
        assert trail.kept is not None
        kept_device, kept_part, kept_token, until_s = trail.kept
        if kept_token is not token or kept_device != device or kept_part != part:
            raise ContractError(
                f"compute: request {request.id} kept {kept_device!r} for {kept_part}, but calls compute for "
                "another pass"
            )
        trail.kept = None
        move, now_s = trail.move.then, self._clock._now
        if move is None or now_s != trail.until_s or until_s <= now_s:
            before = trail.move
            move = self._ledger.compute(request, (device,), part, token, part)
            self._ledger.then(request, before, move)
            return self._progress.began(request, move, (until_s,))
        trail.in_hand = token
        trail.move = move
        trail.until_s = until_s
        trail.begun = verb = iter((until_s,))
        return verb

    def fill(self, request: LiveRequest, device: str, part: Slice) -> Verb:
        """Compute missing keys and values; see :meth:`edgesim.engine.cluster.Cluster.fill`."""
        blocks = Slice(part.first, part.last)
        host = self._hosts[device]
        move = self._ledger.fill(request, device, blocks)
        in_hand = request.trail.in_hand
        if move is None or in_hand is None:
            return self._progress.at_once(request, Call("fill", (device, part), request.id))
        price = host.fills.get(blocks) or self._pricing.of_fill(host, blocks)
        n_new = move.n_along
        token = Token(in_hand.index, n_new, 0, self._model.activation_bytes(n_new), is_last=False)
        if host.shared is not None:
            self._demand_up(request, host, in_hand)
            return self._progress.began(request, move, self._serve(request, host, price, token))
        if not self._reservations.has_cache(request, device):
            admitted = self._reservations.admit(request, (device,))
            if admitted is not DONE:
                once = self._fill_once(admitted, request, device, blocks)
                return self._progress.waited(request, Call("fill", (device, part), request.id), once)
        return self._progress.began(request, move, self._booking.begin(request, host, price, token))

    def together(
        self, request: LiveRequest, members: tuple[str, ...], token: Token, summing: Summing
    ) -> Verb:
        """Begin a pass of a group; see :meth:`edgesim.engine.cluster.Cluster.compute_together`."""
        if not all(self._reservations.has_cache(request, device) for device in members):
            admitted = self._reservations.admit(request, members)
            if admitted is not DONE:
                once = self._together_once(admitted, request, members, token, summing)
                call = Call("compute_together", (members, token), request.id)
                return self._progress.waited(request, call, once)
        team = self._groups.of(members, summing)
        move = self._ledger.compute(request, members, team.part, token, team, "compute_together")
        done = team.run(request, token, self._clock._now)
        self._note_errors(request, members, summing, token, done.errors)
        return self._progress.began(request, move, (done.ended_at_s,))

    def forget(self, request: LiveRequest) -> None:
        """Drop the shared station's reservation for a request that has ended or starts over."""
        self._kept.pop(request, None)

    # --- shared devices ---------------------------------------------------------------------------

    def _compute_shared(
        self, request: LiveRequest, host: Host, part: Slice, token: Token, keep: Keep | None
    ) -> Verb:
        """Begin a pass on a device that several passes share, that may fail, or whose times are drawn."""
        self._demand_up(request, host, token)
        device = host.device.id
        price = host.prices.get(part) or self._pricing.of(host, part)
        move = self._ledger.compute(request, (device,), part, token, part)
        if move.n_along:
            token = token.with_earlier(move.n_along)
        if keep is not None:
            self._ledger.keep(request, move, device, *keep)
        return self._progress.began(request, move, self._serve(request, host, price, token, keep))

    def _demand_up(self, request: LiveRequest, host: Host, token: Token) -> None:
        """Raise DeviceDown if a device is down, or has lost the cache that a pass needs."""
        device = host.device.id
        host.demand_up()
        if self._reservations.loss(request, device) is not None:
            if token.n_context:
                raise DeviceDown(device, "its cache is lost")
            self._reservations.forget_loss(request, device)
            self._preemption.restart(request, device)

    def _serve(
        self, request: LiveRequest, host: Host, price: Price, token: Token, keep: Keep | None = None
    ) -> Verb:
        """Have a shared station serve a pass, after reserving the request's cache if necessary."""
        device = host.device.id
        if self._reservations.has_cache(request, device):
            return self._ask(request, host, price, token, keep)
        admitted = self._reservations.admit(request, (device,))
        if admitted is DONE:
            return self._ask(request, host, price, token, keep)
        return self._ask_once(admitted, request, host, price, token, keep)

    def _ask(self, request: LiveRequest, host: Host, price: Price, token: Token, keep: Keep | None) -> Verb:
        assert host.shared is not None
        kept = self._kept.pop(request, None)
        if kept is not None and kept.is_of(price, token):
            return wait_for(kept.done)
        if self._preemption.is_due(request, host.device.id):
            work = self._booking.work(request, host, price, token)
            self._preemption.ask(work, host)
            return wait_for(work.done)
        booked = self._booking.begin(request, host, price, token)
        if keep is not None and host.shared.can_be_kept:
            part, kept_token = keep
            price = host.prices.get(part) or self._pricing.of(host, part)
            work = self._kept[request] = self._booking.work(request, host, price, kept_token)
            host.shared.ask_next(work)
        return booked

    def _ask_once(
        self,
        admitted: Verb,
        request: LiveRequest,
        host: Host,
        price: Price,
        token: Token,
        keep: Keep | None,
    ) -> Course:
        yield from admitted
        host.demand_up()  # the device may have failed at the instant of admission
        yield from self._ask(request, host, price, token, keep)

    # --- after a wait for memory ------------------------------------------------------------------

    def _compute_once(
        self,
        admitted: Verb,
        request: LiveRequest,
        device: str,
        part: Slice,
        token: Token,
        keep: Keep | None,
    ) -> Course:
        yield from admitted
        yield from self.compute(request, device, part, token, keep)

    def _fill_once(self, admitted: Verb, request: LiveRequest, device: str, part: Slice) -> Course:
        yield from admitted
        yield from self.fill(request, device, part)

    def _together_once(
        self,
        admitted: Verb,
        request: LiveRequest,
        members: tuple[str, ...],
        token: Token,
        summing: Summing,
    ) -> Course:
        yield from admitted
        yield from self.together(request, members, token, summing)

    def _note_errors(
        self,
        request: LiveRequest,
        members: tuple[str, ...],
        summing: Summing,
        token: Token,
        errors: tuple[float, ...],
    ) -> None:
        """Record the errors of a pass's sums as impairments of the request's answer."""
        n = len(members)
        if n == 1:
            return
        if summing.is_analog:
            # Noise of that power, relative to the power of the parts, is what was measured with noise on
            # every part.
            by_part = self._answers.knows("device-noise")
            kind, devices = ("device-noise", n) if by_part else ("noise", None)
            mean = sum(errors) / len(errors)
            self._answers.impair(request, kind, mean, n_devices=devices, token=token, count=len(errors))
        elif summing.bits is not None:
            self._answers.impair(
                request, "quantised", summing.bits, n_devices=n, token=token, count=len(errors)
            )
