"""How far each request's verbs have come: which are under way, what they leave when they end, and a breach.

Where verbs follow one another, the latest move says it all, and that it has ended the clock tells. Where they
overlap, those under way are kept one by one until all have ended.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from typing import NoReturn

from edgesim.engine.attendance import Attendance, is_dropped, unattended
from edgesim.engine.causality.begun import INSTANT, Begun, Call
from edgesim.engine.causality.moves import ATTENDED, UNBEGUN, Immediate, Move
from edgesim.engine.causality.needs import Breach, Causality
from edgesim.engine.causality.trail import Trail
from edgesim.engine.causality.whereabouts import Whereabouts
from edgesim.engine.process.clock import Clock, Course
from edgesim.engine.process.verb import DeviceDown, Verb
from edgesim.engine.request import LiveRequest
from edgesim.engine.token import Token
from edgesim.errors import ContractError

__all__ = ["Progress"]

_MOST_MOVES = 50_000
"""Values of whereabouts remembered at once; a strategy that never comes back to one would fill the memory."""


class Progress:
    """Keeps the trails of all requests of a run, and the moves that they share.

    Attributes
    ----------
    attendance
        Verbs that belong to no request.
    """

    def __init__(self, clock: Clock, causality: Causality) -> None:
        self._clock = clock
        self._causality = causality
        self._first: dict[str, Move] = {}  # by source: before anything was done
        self._moves: dict[Whereabouts, Move] = {}
        self.attendance = Attendance()

    # --- what a verb returns ----------------------------------------------------------------------

    def began(self, request: LiveRequest, move: Move, verb: Verb) -> Verb:
        """Keep a verb that has been booked; what is to be waited for in its place."""
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
        if not verb:  # nothing to wait for, and nothing left
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
        """Keep a verb that moves no data; what is to be waited for in its place."""
        if not verb:
            return self.at_once(request, call)
        here = self.settled(request) or self.reached(request.trail.there)
        return self.began(request, here.led_by(call.verb, call.arguments, "", here.there, None), verb)

    def at_once(self, request: LiveRequest, call: Token | Call) -> Verb:
        """Keep a verb that has nothing to wait for; what is to be waited for in its place."""
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
        """Begin anew, with the prompt at the source and nothing done."""
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
        """Raise ContractError if a verb of a request that gives up never would have been waited for.

        Verbs that another process, or a name, still holds are spared: they run on without the request.
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
        """The error of a process that yields a verb instead of what it goes through; None for no verb."""
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
        """Raise ContractError if a verb never would have been waited for, had the run gone on."""
        for request in in_flight:
            if request.trail.move is not UNBEGUN or request.trail.under_way is not None:
                self.settled(request)
        self.attendance.check()
        self._forget_moves()

    def lose(self, request: LiveRequest, device: str) -> None:
        """Lose what a device has of a request: it has failed."""
        trail = request.trail
        if trail.move is UNBEGUN and trail.under_way is None:
            return
        here = self.settled(request)
        there = trail.there if here is None else here.there
        if device in dict(there.places):  # what is on its way there fails by itself, or arrives later
            self.overlap(request, there)
            trail.there = there.without(device)
            trail.gone.add(device)

    # --- where a request's data lie ---------------------------------------------------------------

    def settled(self, request: LiveRequest) -> Move | None:
        """Where a request's data lie now; None while verbs are under way, and ``there`` says it."""
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
        """What may follow where data lie so."""
        move = self._moves.get(there)
        if move is None:
            if len(self._moves) >= _MOST_MOVES:
                self._forget_moves()
            lags = {device: self._causality.lag(place) for device, place in there.places}
            tells = {device: lag for device, lag in lags.items() if lag is not None}
            move = self._moves[there] = Move(there, tells)
        return move

    def is_first(self, request: LiveRequest, move: Move) -> bool:
        """Whether nothing has been done yet, so that what may follow is remembered for one source alone."""
        return move.known is self._first[request.source].known

    def stand(self, request: LiveRequest, move: Move) -> None:
        """Let a request's next verb follow a move, with nothing under way."""
        trail = request.trail
        trail.move, trail.begun, trail.until_s = move, ATTENDED, self._clock._now
        trail.under_way = None

    def overlap(self, request: LiveRequest, there: Whereabouts) -> list[Begun]:
        """Keep a request's verbs one by one from now on; returns those that are under way."""
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
        """Raise ContractError for a breach; DeviceDown where it comes of data that a failure has taken."""
        trail = request.trail
        lost = breach.device
        if breach.is_lost and trail.gone and lost not in trail.gone:
            lost = min(trail.gone)
        if lost in trail.gone:
            trail.gone.discard(lost)
            raise DeviceDown(lost, "what it had of this request is lost") from None
        self.attendance.check()  # what was forgotten says more than what is missing for it
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
        """Let go of all moves: they lead to one another, and would wait for the garbage collector."""
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
        """Wait for a verb whose end only itself will know, and let it leave its effect."""
        begun.attend()
        try:
            value = yield from verb  # type: ignore[func-returns-value]
        except BaseException:
            under_way = request.trail.under_way
            if under_way is not None and begun in under_way:
                under_way.remove(begun)
            raise
        trail = request.trail  # a new one, if the attempt has failed meanwhile
        under_way = trail.under_way
        if under_way is None or begun not in under_way:  # of an attempt that has failed
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
        """Look after a verb with nothing to wait for that is not waited for yet."""
        trail = request.trail
        here = self.settled(request)
        begun = Begun(self._call_of_immediate(request), trail.immediate, INSTANT)
        trail.immediate = Immediate()
        if begun.is_dropped():
            self._refuse_unattended(begun.call)
        self.overlap(request, trail.there if here is None else here.there).append(begun)

    def _refuse_unattended(self, call: Call) -> NoReturn:
        raise unattended(call, self.attendance.strategy)
