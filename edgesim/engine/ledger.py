"""The ledger: in every run, what each request's verbs need and leave is kept, and a breach ends the run.

Where a request's data lie is one of few values (:mod:`edgesim.engine.causality.whereabouts`), the same for
every token of a steady decode. A verb leads from one to the next; each such move is examined once
(:mod:`edgesim.engine.causality.needs`) and remembered, together with what it is booked with. To follow a
remembered move, the verb before must have ended, which the clock tells. Where verbs overlap, those under way
are kept one by one until all have ended.
"""

from __future__ import annotations

from collections.abc import Hashable, Iterable, Iterator, Mapping
from typing import NoReturn

from edgesim.engine.attendance import Attendance, is_dropped, unattended
from edgesim.engine.causality.begun import INSTANT, Begun, Call
from edgesim.engine.causality.moves import ATTENDED, UNBEGUN, Move, Told
from edgesim.engine.causality.needs import Breach, Causality, Datum, Effect
from edgesim.engine.causality.whereabouts import Ids, Whereabouts
from edgesim.engine.process.clock import Clock, Course
from edgesim.engine.process.verb import DeviceDown, Verb
from edgesim.engine.request import LiveRequest
from edgesim.engine.token import Token
from edgesim.errors import ContractError
from edgesim.model.architecture import Architecture, Slice
from edgesim.model.sharding import TensorShard

__all__ = ["Ledger"]

_MOST_MOVES = 50_000
"""Values of whereabouts remembered at once; a strategy that never comes back to one would fill the memory."""


class Ledger:
    """Keeps the law of causality for all requests of a run.

    Attributes
    ----------
    attendance
        Verbs that belong to no request.
    """

    def __init__(
        self, clock: Clock, model: Architecture, shards: Mapping[str, TensorShard], token_bytes: int
    ) -> None:
        self._clock = clock
        self._causality = Causality(model, shards, token_bytes)
        self._n_blocks = model.n_blocks
        self._state_bytes = model.activation_bytes(1)
        self._first: dict[str, Move] = {}  # by source: before anything was done
        self._moves: dict[Whereabouts, Move] = {}
        self.attendance = Attendance()

    # --- passes and sums --------------------------------------------------------------------------

    def compute(
        self,
        request: LiveRequest,
        members: tuple[str, ...],
        part: Slice,
        token: Token,
        key: Hashable,
        name: str = "compute",
    ) -> Move:
        """Examine a pass of a device, or of a group that shares every block, before it is booked.

        Parameters
        ----------
        members
            The device, or the group's.
        key
            By which this pass is remembered: the part, or the group.
        """
        here = self._settled(request)
        if here is not None:
            move = None
            if token is request.in_hand:
                move = here.known.get((members, key))
            elif _follows(request, token):
                move = here.known.get(("next", members, key, token.n_new > 1))
            if move is not None:
                request.in_hand = token
                return move
        arguments = (members[0] if len(members) == 1 else members, part, token)
        if _is_late(request, token):
            return self._compute_late(request, members, part, token, Call(name, arguments, request.id))
        there, is_open = request.there if here is None else here.there, _is_in_hand(request, token)
        if not is_open:
            self._check_continues(request, members[0], token, Call(name, arguments, request.id))
        meanwhile = there if is_open else self._opened(request, there, token)
        has_prompt = members[0] == request.source
        is_plain = True  # whether the same holds for other requests where data lie so
        try:
            self._check(meanwhile, members, part, token, name, has_prompt=has_prompt)
        except Breach as breach:
            fuller = self._with_delivered(request, meanwhile, token)
            if fuller is meanwhile:
                self._refuse(request, Call(name, arguments, request.id), breach)
            meanwhile, is_plain = fuller, False
            try:
                self._check(meanwhile, members, part, token, name, has_prompt=has_prompt)
            except Breach as still:
                self._refuse(request, Call(name, arguments, request.id), still)
        effect = self._causality.pass_effect(meanwhile, members[0], part)._replace(devices=members)
        move = self._move(self._causality.apply(meanwhile, effect))
        move = move.led_by(name, arguments, members[0], meanwhile, effect)
        move.is_held = bool(meanwhile.at(members[0]).whole)
        if here is not None and is_plain:
            needs_prompt = part.embedding and (token.index == 0 or meanwhile.is_afresh)
            by_source = has_prompt and needs_prompt and not self._is_first(request, here)
            if is_open and not by_source:
                here.known[members, key] = move
                move.place = here.after
            elif not by_source and _follows(request, token):
                here.known["next", members, key, token.n_new > 1] = move
                move.place = here.opens if token.n_new == 1 else None
        request.in_hand = token
        if here is None:
            request.there = meanwhile
        return move

    def hasten(self, move: Move, device: str) -> None:
        """Let a verb book a move at once where it follows again, on a device or to it."""
        if move.place is not None:
            move.place[device] = move

    def keep(self, request: LiveRequest, move: Move, device: str, part: Slice, token: Token) -> Move:
        """Examine work for which a station is kept: it begins as soon as the pass before it there ends."""
        there = move.there if _is_in_hand(request, token) else self._opened(request, move.there, token)
        try:
            self._check(there, (device,), part, token, "compute", has_prompt=device == request.source)
        except Breach as breach:
            self._refuse(request, Call("compute", (device, part, token), request.id), breach)
        if token is not request.in_hand:
            self._check_continues(request, device, token, Call("compute", (device, part, token), request.id))
        kept = move.keeping()
        is_open = token is request.in_hand
        needs_prompt = part.embedding and (token.index == 0 or there.is_afresh)
        if request.under_way is None and not needs_prompt and (is_open or _follows(request, token)):
            if is_open:
                move.kept = kept
            else:
                move.kept_next = kept
        return kept

    def then(self, request: LiveRequest, before: Move, move: Move) -> None:
        """Remember the pass for which a station was kept."""
        if request.under_way is None and before is not UNBEGUN and not move.meanwhile.is_long:
            before.then = move

    def sum(self, request: LiveRequest, members: tuple[str, ...]) -> Move:
        """Examine a sum over a group, before its messages are sent."""
        here = self._settled(request)
        key = ("sum", members)
        if here is not None and key in here.known:
            return here.known[key]
        there = request.there if here is None else here.there
        try:
            self._causality.check_sum(there, members)
        except Breach as breach:
            self._refuse(request, Call("all_reduce", (members,), request.id), breach)
        effect = Effect(members)
        move = self._move(self._causality.apply(there, effect))
        move = move.led_by("all_reduce", (members,), "", there, effect)
        if here is not None:
            here.known[key] = move
        return move

    def leave(self, request: LiveRequest, token: Token, block: int) -> None:
        """Note that a token may leave after so many blocks."""
        here = self._settled(request)
        if block == self._n_blocks or not _is_in_hand(request, token):
            return
        if here is None:
            request.there = request.there.leaving(block)
            return
        if block not in here.leaves:
            here.leaves[block] = self._move(here.there.leaving(block))
        self._stand(request, here.leaves[block])

    # --- messages and tokens ----------------------------------------------------------------------

    def send(
        self,
        request: LiveRequest,
        source: str,
        target: str,
        size_bytes: float,
        carries: Iterable[Datum] | None,
    ) -> Move:
        """Work out what a message carries, before it is booked."""
        here = self._settled(request)
        in_hand = request.in_hand
        if in_hand is None:
            own_bytes: float = request.prompt_bytes
        else:
            own_bytes = in_hand.n_new * self._state_bytes
        if here is not None and carries is None:
            move = here.known.get((source, target))
            if move is not None and (
                size_bytes == move.size_bytes or (move.size_bytes < 0 and size_bytes == own_bytes)
            ):
                return move
        there = request.there if here is None else here.there
        if source == request.source and in_hand is not None:
            there = self._with_delivered(request, there, in_hand)
        arguments = (source, target, size_bytes)
        is_source = source == request.source
        try:
            contents = self._causality.contents(
                there,
                source,
                target,
                size_bytes,
                in_hand,
                request.prompt_bytes,
                has_prompt=is_source,
                carries=carries,
                is_continued=any(_brings_cache(begun, target) for begun in request.under_way or ()),
            )
        except Breach as breach:
            self._refuse(request, Call("send", arguments, request.id), breach)
        if target == request.source:
            contents = contents._replace(has_prompt=False)  # it has that anyway
        effect = Effect((target,), contents=contents)
        move = self._move(self._causality.apply(there, effect))
        move = move.led_by("send", arguments, source, there, effect)
        if here is None:
            request.there = there
        elif carries is None and there is here.there:
            if in_hand is None:
                by_size = contents.has_prompt and size_bytes == own_bytes
                by_size = by_size and (not is_source or self._is_first(request, here))
            else:
                by_size = bool(contents.levels) and size_bytes == own_bytes
                if by_size and not there.is_long:
                    move.size_bytes = size_bytes
                if size_bytes == request.token_bytes and contents.ids and not contents.has_prompt:
                    by_size, move.size_bytes = True, size_bytes
            if by_size:
                here.known[source, target] = move
                move.place = here.sends
        return move

    def emit(self, request: LiveRequest, device: str, token: Token) -> None:
        """Examine whether a token can leave from a device."""
        here = self._settled(request)
        there, in_hand = request.there if here is None else here.there, request.in_hand
        lag = None if in_hand is None else self._causality.lag(there.at(device))
        if in_hand is not None and lag is not None and in_hand.index - token.index >= lag:
            return
        if device == request.source and token.index <= request.home:
            return
        why = (
            f"the id of token {token.index} must be there, computed by the head or arrived: emit it from "
            "where the head has run, or send it there first (request.token_bytes)"
        )
        if in_hand is not None and in_hand.index == token.index and there.is_short:
            why = (
                f"the id of token {token.index} must be there, and follows from all "
                f"{request.n_prompt_tokens + token.index} positions before it, of which its pass ends after "
                f"{in_hand.n_context + in_hand.n_new}: compute the others too (n_context + n_new)"
            )
        breach = Breach(device, why)
        self._refuse(request, Call("emit", (device, token), request.id), breach)

    # --- what a verb returns ----------------------------------------------------------------------

    def began(self, request: LiveRequest, move: Move, verb: Verb) -> Verb:
        """Keep a verb that has been booked; what is to be waited for in its place."""
        if verb.__class__ is not tuple:
            begun = Begun(
                Call(move.name, move.arguments, request.id),
                effect=move.effect,
                token=request.in_hand,
                move=move,
            )
            begun.verb = self._attended(request, begun, verb)
            self._overlap(request, move.meanwhile).append(begun)
            return begun.verb  # type: ignore[no-any-return]
        if not verb:  # nothing to wait for, and nothing left
            return self.at_once(request, Call(move.name, move.arguments, request.id))
        (ended_at_s,) = verb
        iterator = iter(verb)
        until_s = ended_at_s if ended_at_s > self._clock._now else INSTANT
        if request.under_way is None:
            request.move, request.begun, request.until_s = move, iterator, until_s
        else:
            call = Call(move.name, move.arguments, request.id)
            request.under_way.append(Begun(call, iterator, until_s, move.effect, request.in_hand))
        return iterator

    def waited(self, request: LiveRequest, call: Call, verb: Verb) -> Verb:
        """Keep a verb that moves no data; what is to be waited for in its place."""
        if not verb:
            return self.at_once(request, call)
        here = self._settled(request) or self._move(request.there)
        return self.began(request, here.led_by(call.verb, call.arguments, "", here.there, None), verb)

    def at_once(self, request: LiveRequest, call: Token | Call) -> Verb:
        """Keep a verb that has nothing to wait for; what is to be waited for in its place."""
        if not request.told.is_attended:
            self._note_told(request)
            request.told = Told()
        request.told.is_attended = False
        request.told.call = call
        return request.told

    # --- a request's life -------------------------------------------------------------------------

    def end(self, request: LiveRequest) -> None:
        """Raise ContractError if a verb of a request that has ended was never waited for."""
        if not request.told.is_attended:
            self._refuse_unattended(self._told(request))
        if request.under_way is None:
            if request.begun.__length_hint__():
                self._refuse_unattended(Call(request.move.name, request.move.arguments, request.id))
        else:
            for begun in request.under_way:
                if not begun.is_attended:
                    self._refuse_unattended(begun.call)
        self.attendance.check()

    def give_up(self, request: LiveRequest) -> None:
        """Raise ContractError if a verb of a request that gives up never would have been waited for.

        Verbs that another process, or a name, still holds are spared: they run on without the request.
        """
        if not request.told.is_attended:
            self._note_told(request)
        if request.under_way is None:
            if is_dropped(request):
                self._refuse_unattended(Call(request.move.name, request.move.arguments, request.id))
        else:
            for begun in request.under_way:
                if begun.is_dropped():
                    self._refuse_unattended(begun.call)
        self.attendance.check()

    def misstep(self, request: LiveRequest | None, step: object) -> ContractError | None:
        """The error of a process that yields a verb instead of what it goes through; None for no verb."""
        if not isinstance(step, Iterator | Told):
            return None
        call = self.attendance.call_of(step)
        if call is None and request is not None:
            if step is request.told:
                call = self._told(request)
            elif step is request.begun:
                call = Call(request.move.name, request.move.arguments, request.id)
            else:
                call = next((one.call for one in request.under_way or () if one.verb is step), None)
        whose = "" if request is None else f"request {request.id}: "
        what = "a verb" if call is None else f"{call}"
        return ContractError(
            f"{self.attendance.strategy}: {whose}{what} was handed over by 'yield'; write 'yield from' "
            "before it"
        )

    def close(self, in_flight: Iterable[LiveRequest]) -> None:
        """Raise ContractError if a verb never would have been waited for, had the run gone on."""
        for request in in_flight:
            if request.move is not UNBEGUN or request.under_way is not None:
                self._settled(request)
        self.attendance.check()
        self._forget()

    def lose(self, request: LiveRequest, device: str) -> None:
        """Lose what a device has of a request: it has failed."""
        if request.move is UNBEGUN and request.under_way is None:
            return
        here = self._settled(request)
        there = request.there if here is None else here.there
        if device in dict(there.places):  # what is on its way there fails by itself, or arrives later
            self._overlap(request, there)
            request.there = there.without(device)
            request.gone.add(device)

    # --- how it does it ---------------------------------------------------------------------------

    def _check(
        self,
        there: Whereabouts,
        members: tuple[str, ...],
        part: Slice,
        token: Token,
        name: str,
        *,
        has_prompt: bool,
    ) -> None:
        if name == "compute":
            self._causality.check_pass(there, members[0], part, token, has_prompt=has_prompt)
        else:
            self._causality.check_group(there, members, part, token, has_prompt=has_prompt)

    def _compute_late(
        self, request: LiveRequest, members: tuple[str, ...], part: Slice, token: Token, call: Call
    ) -> Move:
        """A pass of a token before the one in hand, as of a slower replica.

        That it has the keys and values before it, and the ids, is believed.
        """
        here, in_hand = self._settled(request), request.in_hand
        there = request.there if here is None else here.there
        assert in_hand is not None
        try:
            if call.verb == "compute":
                self._causality.check_share(members[0], part)
            is_former = token.n_context + token.n_new == in_hand.n_context
            self._causality.check_late(there, members[0], part, is_former=is_former)
        except Breach as breach:
            self._refuse(request, call, breach)
        has_prompt = members[0] == request.source or there.at(members[0]).has_prompt
        if part.embedding and token.index == 0 and not has_prompt:
            self._refuse(
                request,
                call,
                Breach(
                    members[0],
                    "the embedding needs the prompt's ids there: send them from the source first",
                ),
            )
        self._overlap(request, there)
        effect = self._causality.pass_effect(there, members[0], part)
        behind, is_short = in_hand.index - token.index, _is_short(request, token)
        effect = effect._replace(devices=members, behind=behind, is_short=is_short)
        move = self._move(self._causality.apply(there, effect))
        return move.led_by(call.verb, call.arguments, "", there, effect)

    def _opened(self, request: LiveRequest, there: Whereabouts, token: Token) -> Whereabouts:
        """Where data lie as a pass is opened."""
        n_tokens = token.index - (0 if request.in_hand is None else request.in_hand.index)
        left, _ = request.exits.get(token.index, (0, False))
        return there.opened(
            n_tokens,
            0 if left == self._n_blocks else left,
            is_afresh=token.n_context == 0 and (token.index > 0 or request.in_hand is not None),
            is_long=token.n_new > 1,
            is_short=_is_short(request, token),
        )

    def _check_continues(self, request: LiveRequest, device: str, token: Token, call: Call) -> None:
        """Refuse a new pass that leaves out positions after those of the pass before it."""
        before = request.in_hand
        n_covered = 0 if before is None else before.n_context + before.n_new
        if token.n_context > n_covered:
            breach = Breach(
                device,
                f"its pass is to find {token.n_context} earlier positions in the KV cache, and {n_covered} "
                "have been computed: a pass goes on where the last has ended (n_context), or computes all "
                "anew (n_context=0)",
            )
            self._refuse(request, call, breach)

    def _with_delivered(self, request: LiveRequest, there: Whereabouts, token: Token) -> Whereabouts:
        """Where data lie, the tokens' ids included that have been delivered to the source."""
        if request.home < 0:
            return there
        place = there.at(request.source)
        ids = Ids.NOW.after(max(0, token.index - request.home))
        return there if place.ids >= ids else there.put(request.source, place._replace(ids=ids))

    def _move(self, there: Whereabouts) -> Move:
        """What may follow where data lie so."""
        move = self._moves.get(there)
        if move is None:
            if len(self._moves) >= _MOST_MOVES:
                self._forget()
            lags = {device: self._causality.lag(place) for device, place in there.places}
            tells = {device: lag for device, lag in lags.items() if lag is not None}
            move = self._moves[there] = Move(there, tells)
        return move

    def _forget(self) -> None:
        """Let go of all moves: they lead to one another, and would wait for the garbage collector."""
        moves = [*self._moves.values(), *self._first.values()]
        self._moves.clear()
        while moves:
            moves += moves.pop().forget()

    def _settled(self, request: LiveRequest) -> Move | None:
        """Where a request's data lie now; None while verbs are under way, and ``there`` says it."""
        if request.under_way is None:
            if request.move is UNBEGUN:
                first = self._first.get(request.source)
                if first is None:
                    first = self._first[request.source] = Move(Whereabouts(), {})
                self._stand(request, first)
                return first
            has_ended = request.until_s <= self._clock._now
            if has_ended and not request.begun.__length_hint__():
                return request.move
            if is_dropped(request):
                self._refuse_unattended(Call(request.move.name, request.move.arguments, request.id))
            self._overlap(request, request.move.there)
        assert request.under_way is not None
        self._end_those_due(request, request.under_way)
        if request.under_way:
            return None
        move = self._move(request.there)
        self._stand(request, move)
        return move

    def _is_first(self, request: LiveRequest, move: Move) -> bool:
        """Whether nothing has been done yet, so that what may follow is remembered for one source alone."""
        return move.known is self._first[request.source].known

    def _stand(self, request: LiveRequest, move: Move) -> None:
        """Let a request's next verb follow a move, with nothing under way."""
        request.move, request.begun, request.until_s = move, ATTENDED, self._clock._now
        request.under_way = None

    def _overlap(self, request: LiveRequest, there: Whereabouts) -> list[Begun]:
        """Keep a request's verbs one by one from now on; returns those that are under way."""
        if request.under_way is None:
            request.under_way = []
            if request.begun.__length_hint__() or request.until_s > self._clock._now:
                move = request.move
                call = Call(move.name, move.arguments, request.id)
                begun = Begun(call, request.begun, request.until_s, move.effect, request.in_hand)
                request.under_way.append(begun)
                there = move.meanwhile
            request.there, request.move, request.begun = there, UNBEGUN, ATTENDED
        return request.under_way

    def _end_those_due(self, request: LiveRequest, under_way: list[Begun]) -> None:
        now_s = self._clock._now
        for begun in sorted(under_way, key=lambda begun: begun.until_s or 0.0):
            if not begun.is_over and begun.has_ended(now_s):
                self._leave_effect(request, begun)
        for begun in under_way:
            if begun.is_dropped():
                self._refuse_unattended(begun.call)
        request.under_way = [begun for begun in under_way if not (begun.is_over and begun.is_attended)]

    def _leave_effect(self, request: LiveRequest, begun: Begun) -> None:
        begun.is_over = True
        if begun.effect is None:
            return
        token, in_hand = begun.token, request.in_hand
        since = 0 if in_hand is None else in_hand.index - (0 if token is None else token.index)
        request.there = self._causality.apply(
            request.there,
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
            if request.under_way is not None and begun in request.under_way:
                request.under_way.remove(begun)
            raise
        under_way = request.under_way
        if under_way is None or begun not in under_way:  # of an attempt that has failed
            return value
        move = begun.move
        if under_way == [begun] and move is not None and request.there is move.meanwhile:
            self._stand(request, move)
        else:
            self._leave_effect(request, begun)
            under_way.remove(begun)
        return value

    def _told(self, request: LiveRequest) -> Call:
        call = request.told.call
        return call if isinstance(call, Call) else Call("emit", (call,), request.id)

    def _note_told(self, request: LiveRequest) -> None:
        """See to a verb with nothing to wait for that nobody has waited for yet."""
        here = self._settled(request)
        begun = Begun(self._told(request), request.told, INSTANT)
        request.told = Told()
        if begun.is_dropped():
            self._refuse_unattended(begun.call)
        self._overlap(request, request.there if here is None else here.there).append(begun)

    def _refuse_unattended(self, call: Call) -> NoReturn:
        raise unattended(call, self.attendance.strategy)

    def _refuse(self, request: LiveRequest, call: Call, breach: Breach) -> NoReturn:
        if breach.device in request.gone:
            request.gone.discard(breach.device)
            raise DeviceDown(breach.device, "what it had of this request is lost") from None
        self.attendance.check()  # what was forgotten says more than what is missing for it
        begun = [one for one in request.under_way or () if one.effect is not None and not one.is_over]
        meanwhile = ""
        if begun:
            meanwhile = (
                f" (still under way: {', '.join(str(one.call) for one in begun)}; a pass begins only after "
                "what it needs has arrived: wait for it with 'yield from' first)"
            )
        raise ContractError(
            f"causality of data: {self.attendance.strategy}: {call} on {breach.device!r}: {breach}{meanwhile}"
        ) from None


def _brings_cache(begun: Begun, device: str) -> bool:
    """Whether a message brings caches to a device."""
    effect = begun.effect
    contents = None if effect is None else effect.contents
    return contents is not None and bool(contents.cache) and device in effect.devices  # type: ignore[union-attr]


def _is_in_hand(request: LiveRequest, token: Token) -> bool:
    in_hand = request.in_hand
    if token is in_hand:
        return True
    return in_hand is not None and (
        (token.index, token.n_context, token.n_new) == (in_hand.index, in_hand.n_context, in_hand.n_new)
    )


def _is_short(request: LiveRequest, token: Token) -> bool:
    """Whether a pass ends before the position from which its token follows."""
    return token.n_context + token.n_new < request.n_prompt_tokens + token.index


def _is_late(request: LiveRequest, token: Token) -> bool:
    """Whether a pass comes before the one in hand: of an earlier token, or an earlier part of a prompt."""
    in_hand = request.in_hand
    if in_hand is None or token.index > in_hand.index:
        return False
    return token.index < in_hand.index or token.n_context + token.n_new <= in_hand.n_context


def _follows(request: LiveRequest, token: Token) -> bool:
    """Whether a pass is that of the next token, as a steady decode goes on."""
    before = request.in_hand
    if token.index in request.exits:
        return False
    if before is None:
        return token.index == 0 and token.n_context == 0 and token.n_new >= request.n_prompt_tokens
    is_next = token.index == before.index + 1 and token.n_new == 1
    return is_next and token.n_context == before.n_context + before.n_new
