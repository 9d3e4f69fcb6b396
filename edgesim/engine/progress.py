"""Progress of each request's verbs: which are under way, their effects when they end, and contract breaches.

While verbs follow one another, the latest move describes the state, and the clock shows whether it has ended.
When verbs overlap, those under way are stored individually until all have ended.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from typing import NoReturn

from edgesim.engine.causality.begun_verb import INSTANT, Begun, Call
from edgesim.engine.causality.data_locations import Whereabouts
from edgesim.engine.causality.moves import ATTENDED, UNBEGUN, Immediate, Move
from edgesim.engine.causality.needs import Breach, Causality
from edgesim.engine.causality.trail import Trail
from edgesim.engine.process.clock import Clock, Course
from edgesim.engine.process.verb import DeviceDown, Verb
from edgesim.engine.request import LiveRequest
from edgesim.engine.token import Token
from edgesim.engine.unawaited_verbs import Attendance, is_dropped, unattended
from edgesim.errors import ContractError

__all__ = ["Progress"]

_MOST_MOVES = 50_000
"""Number of whereabouts cached at once; a strategy that never returns to one would fill the memory."""


class Progress:
    """The trails of all requests of a run, and the moves that they share.

    Attributes
    ----------
    attendance
        Verbs that belong to no request.
    """

    def __init__(self, clock: Clock, causality: Causality) -> None:
        self._clock = clock
        self._causality = causality
        self._first: dict[str, Move] = {}  # by source: the state before any verb
        self._moves: dict[Whereabouts, Move] = {}
        self.attendance = Attendance()

    # --- what a verb returns ----------------------------------------------------------------------

    def began(self, request: LiveRequest, move: Move, verb: Verb) -> Verb:
        """Store a verb that has been booked; return the verb to wait for in its place."""
        trail = request.trail
        if verb.__class__ is not tuple:
            begun = Begun(
                Call(move.name, move.arguments, request.id),
                effect=move.effect,
                token=trail.in_hand,
                move=move,
            )
            begun.verb = self._attended(request, begun, verb)
            self.overlap(request, move.meanwhile).append(begun)
            return begun.verb  # type: ignore[no-any-return]
        if not verb:  # nothing to wait for, and no effect
            return self.at_once(request, Call(move.name, move.arguments, request.id))
        (ended_at_s,) = verb
        iterator = iter(verb)
        until_s = ended_at_s if ended_at_s > self._clock._now else INSTANT
        if trail.under_way is None:
            trail.move, trail.begun, trail.until_s = move, iterator, until_s
        else:
            call = Call(move.name, move.arguments, request.id)
            trail.under_way.append(Begun(call, iterator, until_s, move.effect, trail.in_hand))
        return iterator

    def waited(self, request: LiveRequest, call: Call, verb: Verb) -> Verb:
        """Store a verb that moves no data; return the verb to wait for in its place."""
        if not verb:
            return self.at_once(request, call)
        here = self.settled(request) or self.reached(request.trail.there)
        return self.began(request, here.led_by(call.verb, call.arguments, "", here.there, None), verb)

    def at_once(self, request: LiveRequest, call: Token | Call) -> Verb:
        """Store a verb that ends at once; return the verb to wait for in its place."""
        trail = request.trail
        if not trail.immediate.is_attended:
            self._note_immediate(request)
            trail.immediate = Immediate()
        trail.immediate.is_attended = False
        trail.immediate.call = call
        return trail.immediate

    # --- a request's life -------------------------------------------------------------------------

    @staticmethod
    def forget(request: LiveRequest) -> None:
        """Reset a request's trail: the prompt is at the source and nothing has been done."""
        request.trail = Trail()

    def end(self, request: LiveRequest) -> None:
        """Raise ContractError if a verb of a request that has ended was never waited for."""
        trail = request.trail
        if not trail.immediate.is_attended:
            self._refuse_unattended(self._call_of_immediate(request))
        if trail.under_way is None:
            if trail.begun.__length_hint__():
                self._refuse_unattended(Call(trail.move.name, trail.move.arguments, request.id))
        else:
            for begun in trail.under_way:
                if not begun.is_attended:
                    self._refuse_unattended(begun.call)
        self.attendance.check()

    def give_up(self, request: LiveRequest) -> None:
        """Raise ContractError if a request that gives up has a verb that can no longer be waited for.

        Verbs that another process or a variable still references are exempt: they continue without the
        request.
        """
        trail = request.trail
        if not trail.immediate.is_attended:
            self._note_immediate(request)
        if trail.under_way is None:
            if is_dropped(request):
                self._refuse_unattended(Call(trail.move.name, trail.move.arguments, request.id))
        else:
            for begun in trail.under_way:
                if begun.is_dropped():
                    self._refuse_unattended(begun.call)
        self.attendance.check()

    def misstep(self, request: LiveRequest | None, step: object) -> ContractError | None:
        """Return the error for a process that yields a verb itself; None if it yields no verb."""
        if not isinstance(step, Iterator | Immediate):
            return None
        call = self.attendance.call_of(step)
        if call is None and request is not None:
            trail = request.trail
            if step is trail.immediate:
                call = self._call_of_immediate(request)
            elif step is trail.begun:
                call = Call(trail.move.name, trail.move.arguments, request.id)
            else:
                call = next((one.call for one in trail.under_way or () if one.verb is step), None)
        whose = "" if request is None else f"request {request.id}: "
        what = "a verb" if call is None else f"{call}"
        return ContractError(
            f"{self.attendance.strategy}: {whose}{what} was handed over by 'yield'; write 'yield from' "
            "before it"
        )

    def close(self, in_flight: Iterable[LiveRequest]) -> None:
        """Raise ContractError if a verb could never have been waited for, had the run continued."""
        for request in in_flight:
            if request.trail.move is not UNBEGUN or request.trail.under_way is not None:
                self.settled(request)
        self.attendance.check()
        self._forget_moves()

    def lose(self, request: LiveRequest, device: str) -> None:
        """Remove a request's data from a device that has failed."""
        trail = request.trail
        if trail.move is UNBEGUN and trail.under_way is None:
            return
        here = self.settled(request)
        there = trail.there if here is None else here.there
        if device in dict(there.places):  # a message in transit fails by itself, or arrives later
            self.overlap(request, there)
            trail.there = there.without(device)
            trail.gone.add(device)

    # --- where a request's data lie ---------------------------------------------------------------

    def settled(self, request: LiveRequest) -> Move | None:
        """Return the move at which a request stands; None while verbs are under way (see ``there``)."""
        trail = request.trail
        if trail.under_way is None:
            if trail.move is UNBEGUN:
                first = self._first.get(request.source)
                if first is None:
                    first = self._first[request.source] = Move(Whereabouts(), {})
                self.stand(request, first)
                return first
            has_ended = trail.until_s <= self._clock._now
            if has_ended and not trail.begun.__length_hint__():
                return trail.move
            if is_dropped(request):
                self._refuse_unattended(Call(trail.move.name, trail.move.arguments, request.id))
            self.overlap(request, trail.move.there)
        assert trail.under_way is not None
        self._end_those_due(request, trail.under_way)
        if trail.under_way:
            return None
        move = self.reached(trail.there)
        self.stand(request, move)
        return move

    def reached(self, there: Whereabouts) -> Move:
        """Return the move for these whereabouts, from the cache if possible."""
        move = self._moves.get(there)
        if move is None:
            if len(self._moves) >= _MOST_MOVES:
                self._forget_moves()
            lags = {device: self._causality.lag(place) for device, place in there.places}
            known = {device: lag for device, lag in lags.items() if lag is not None}
            move = self._moves[there] = Move(there, known)
        return move

    def is_first(self, request: LiveRequest, move: Move) -> bool:
        """Whether no verb has been applied yet, so that successors are cached for one source only."""
        return move.known is self._first[request.source].known

    def stand(self, request: LiveRequest, move: Move) -> None:
        """Continue a request from a move, with no verb under way."""
        trail = request.trail
        trail.move, trail.begun, trail.until_s = move, ATTENDED, self._clock._now
        trail.under_way = None

    def overlap(self, request: LiveRequest, there: Whereabouts) -> list[Begun]:
        """Track a request's verbs individually from now on; return those that are under way."""
        trail = request.trail
        if trail.under_way is None:
            trail.under_way = []
            if trail.begun.__length_hint__() or trail.until_s > self._clock._now:
                move = trail.move
                call = Call(move.name, move.arguments, request.id)
                begun = Begun(call, trail.begun, trail.until_s, move.effect, trail.in_hand)
                trail.under_way.append(begun)
                there = move.meanwhile
            trail.there, trail.move, trail.begun = there, UNBEGUN, ATTENDED
        return trail.under_way

    def refuse(self, request: LiveRequest, call: Call, breach: Breach) -> NoReturn:
        """Raise ContractError for a breach, or DeviceDown if it is due to data lost in a failure."""
        trail = request.trail
        lost = breach.device
        if breach.is_lost and trail.gone and lost not in trail.gone:
            lost = min(trail.gone)
        if lost in trail.gone:
            trail.gone.discard(lost)
            raise DeviceDown(lost, "what it had of this request is lost") from None
        self.attendance.check()  # a forgotten verb explains more than the data it did not bring
        begun = [one for one in trail.under_way or () if one.effect is not None and not one.is_over]
        meanwhile = ""
        if begun:
            meanwhile = (
                f" (still under way: {', '.join(str(one.call) for one in begun)}; a pass begins only after "
                "what it needs has arrived: wait for it with 'yield from' first)"
            )
        raise ContractError(
            f"causality of data: {self.attendance.strategy}: {call} on {breach.device!r}: {breach}{meanwhile}"
        ) from None

    # --- how it does it ---------------------------------------------------------------------------

    def _forget_moves(self) -> None:
        """Clear all moves and their references to one another, to free them without the garbage collector."""
        moves = [*self._moves.values(), *self._first.values()]
        self._moves.clear()
        while moves:
            moves += moves.pop().forget()

    def _end_those_due(self, request: LiveRequest, under_way: list[Begun]) -> None:
        trail = request.trail
        now_s = self._clock._now
        for begun in sorted(under_way, key=lambda begun: begun.until_s or 0.0):
            if not begun.is_over and begun.has_ended(now_s):
                self._leave_effect(request, begun)
        for begun in under_way:
            if begun.is_dropped():
                self._refuse_unattended(begun.call)
        trail.under_way = [begun for begun in under_way if not (begun.is_over and begun.is_attended)]

    def _leave_effect(self, request: LiveRequest, begun: Begun) -> None:
        trail = request.trail
        begun.is_over = True
        if begun.effect is None:
            return
        token, in_hand = begun.token, trail.in_hand
        since = 0 if in_hand is None else in_hand.index - (0 if token is None else token.index)
        trail.there = self._causality.apply(
            trail.there,
            begun.effect,
            n_tokens_since=max(0, since),
            is_late=token is not in_hand,
        )

    def _attended(self, request: LiveRequest, begun: Begun, verb: Verb) -> Course:
        """Wait for a verb whose end is not known in advance, and apply its effect."""
        begun.attend()
        try:
            value = yield from verb  # type: ignore[func-returns-value]
        except BaseException:
            under_way = request.trail.under_way
            if under_way is not None and begun in under_way:
                under_way.remove(begun)
            raise
        trail = request.trail  # a new trail, if the attempt has failed meanwhile
        under_way = trail.under_way
        if under_way is None or begun not in under_way:  # the verb belongs to a failed attempt
            return value
        move = begun.move
        if under_way == [begun] and move is not None and trail.there is move.meanwhile:
            self.stand(request, move)
        else:
            self._leave_effect(request, begun)
            under_way.remove(begun)
        return value

    def _call_of_immediate(self, request: LiveRequest) -> Call:
        trail = request.trail
        call = trail.immediate.call
        return call if isinstance(call, Call) else Call("emit", (call,), request.id)

    def _note_immediate(self, request: LiveRequest) -> None:
        """Track a verb that ends at once and has not been waited for yet."""
        trail = request.trail
        here = self.settled(request)
        begun = Begun(self._call_of_immediate(request), trail.immediate, INSTANT)
        trail.immediate = Immediate()
        if begun.is_dropped():
            self._refuse_unattended(begun.call)
        self.overlap(request, trail.there if here is None else here.there).append(begun)

    def _refuse_unattended(self, call: Call) -> NoReturn:
        raise unattended(call, self.attendance.strategy)
