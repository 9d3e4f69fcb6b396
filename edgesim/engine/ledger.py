"""The ledger: check in every run what each request's verbs need and leave; a breach ends the run.

The whereabouts of a request's data take few values (:mod:`edgesim.engine.causality.data_locations`), the same
for every token of a steady decode. A verb leads from one value to the next; each such move is checked once
(:mod:`edgesim.engine.causality.needs`) and cached together with its hop or price. A cached move applies only
if the verb before has ended (:mod:`edgesim.engine.progress`).
"""

from __future__ import annotations

from collections.abc import Callable, Hashable, Iterable

from edgesim.engine.causality.begun_verb import Begun, Call
from edgesim.engine.causality.data_locations import Ids, Whereabouts
from edgesim.engine.causality.moves import UNBEGUN, Move
from edgesim.engine.causality.needs import Breach, Causality, Datum, Effect
from edgesim.engine.causality.skipped_positions import lacking
from edgesim.engine.progress import Progress
from edgesim.engine.request import LiveRequest
from edgesim.engine.token import Token
from edgesim.errors import ContractError
from edgesim.model.answers.exit_paths import CacheFill
from edgesim.model.architecture import Architecture, Slice

__all__ = ["Ledger"]


class Ledger:
    """Check every verb of a run for causality: the data that it needs must have arrived or been computed.

    Parameters
    ----------
    home_of
        By request, the newest token that the current attempt has delivered to its source; -1 for none.
    """

    def __init__(
        self,
        progress: Progress,
        causality: Causality,
        model: Architecture,
        home_of: Callable[[LiveRequest], int],
    ) -> None:
        self._progress = progress
        self._causality = causality
        self._n_blocks = model.n_blocks
        self._state_bytes = model.activation_bytes(1)
        self._home_of = home_of

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
        """Check a pass of a device, or of a group that shares every block, before it is booked.

        Parameters
        ----------
        members
            The device, or the members of the group.
        key
            Cache key of the pass: the part, or the group.
        """
        trail = request.trail
        here = self._progress.settled(request)
        if here is not None:
            move = None
            if token is trail.in_hand:
                move = here.known.get((members, key))
            elif _follows(request, token):
                move = here.known.get(("next", members, key, token.n_new > 1))
            if move is not None:
                trail.in_hand = token
                return move
        arguments = (members[0] if len(members) == 1 else members, part, token)
        if _is_late(request, token):
            return self._compute_late(request, members, part, token, Call(name, arguments, request.id))
        there, is_open = trail.there if here is None else here.there, _is_in_hand(request, token)
        if not is_open:
            self._check_continues(request, members[0], token, Call(name, arguments, request.id))
        meanwhile = there if is_open else self._opened(request, there, token)
        has_prompt = members[0] == request.source
        is_plain = True  # whether the move holds for all requests with these whereabouts
        try:
            self._check(meanwhile, members, part, token, name, has_prompt=has_prompt)
        except Breach as breach:
            fuller = self._with_delivered(request, meanwhile, token)
            if fuller is meanwhile:
                self._progress.refuse(request, Call(name, arguments, request.id), breach)
            meanwhile, is_plain = fuller, False
            try:
                self._check(meanwhile, members, part, token, name, has_prompt=has_prompt)
            except Breach as still:
                self._progress.refuse(request, Call(name, arguments, request.id), still)
        n_along = 0
        if meanwhile.waiting and name == "compute":
            try:
                n_along = self._causality.along(meanwhile, members[0], part, trail.caches)
            except Breach as breach:
                self._progress.refuse(request, Call(name, arguments, request.id), breach)
            is_plain = is_plain and not n_along  # the request's own rule for caches decides whether it may
        effect = self._causality.pass_effect(meanwhile, members[0], part)
        effect = effect._replace(devices=members, n_along=n_along)
        move = self._progress.reached(self._causality.apply(meanwhile, effect))
        move = move.led_by(name, arguments, members[0], meanwhile, effect)
        move.n_along = n_along
        move.has_cache = bool(meanwhile.at(members[0]).whole)
        if here is not None and is_plain:
            needs_prompt = part.embedding and (token.index == 0 or meanwhile.is_afresh)
            by_source = has_prompt and needs_prompt and not self._progress.is_first(request, here)
            if is_open and not by_source:
                here.known[members, key] = move
                move.place = here.after
            elif not by_source and _follows(request, token) and not _has_left_long(there):
                here.known["next", members, key, token.n_new > 1] = move
                move.place = here.opens if token.n_new == 1 else None
        trail.in_hand = token
        if here is None:
            trail.there = meanwhile
        return move

    def hasten(self, move: Move, device: str) -> None:
        """Cache a move by device, so that the verb can book it directly when it recurs."""
        if move.place is not None:
            move.place[device] = move

    def keep(self, request: LiveRequest, move: Move, device: str, part: Slice, token: Token) -> Move:
        """Check work for which a station is reserved: it begins as soon as the pass before it there ends."""
        trail = request.trail
        there = move.there if _is_in_hand(request, token) else self._opened(request, move.there, token)
        try:
            self._check(there, (device,), part, token, "compute", has_prompt=device == request.source)
            self._causality.check_none_left(there, device, part)
        except Breach as breach:
            self._progress.refuse(request, Call("compute", (device, part, token), request.id), breach)
        if token is not trail.in_hand:
            self._check_continues(request, device, token, Call("compute", (device, part, token), request.id))
        kept = move.keeping()
        is_open = token is trail.in_hand
        needs_prompt = part.embedding and (token.index == 0 or there.is_afresh)
        is_known = is_open or (_follows(request, token) and not _has_left_long(move.there))
        if trail.under_way is None and not needs_prompt and is_known:
            if is_open:
                move.kept = kept
            else:
                move.kept_next = kept
        return kept

    def then(self, request: LiveRequest, before: Move, move: Move) -> None:
        """Cache the pass for which a station was reserved."""
        if request.trail.under_way is None and before is not UNBEGUN and not move.meanwhile.is_long:
            before.then = move

    def sum(self, request: LiveRequest, members: tuple[str, ...]) -> Move:
        """Check a sum over a group, before its messages are sent."""
        trail = request.trail
        here = self._progress.settled(request)
        key = ("sum", members)
        if here is not None and key in here.known:
            return here.known[key]
        there = trail.there if here is None else here.there
        try:
            self._causality.check_sum(there, members)
        except Breach as breach:
            self._progress.refuse(request, Call("all_reduce", (members,), request.id), breach)
        effect = Effect(members)
        move = self._progress.reached(self._causality.apply(there, effect))
        move = move.led_by("all_reduce", (members,), "", there, effect)
        if here is not None:
            here.known[key] = move
        return move

    def leave(self, request: LiveRequest, token: Token, block: int, caches: CacheFill) -> None:
        """Record after how many blocks a token exits, and how later blocks get its keys and values."""
        trail = request.trail
        trail.left[token.index], trail.caches = block, caches
        here = self._progress.settled(request)
        if block == self._n_blocks or not _is_in_hand(request, token):
            return
        keeps = caches is CacheFill.SAME_PATH
        if here is None:
            trail.there = trail.there.leaving(block, keeps=keeps)
            return
        if (block, keeps) not in here.leaves:
            here.leaves[block, keeps] = self._progress.reached(here.there.leaving(block, keeps=keeps))
        self._progress.stand(request, here.leaves[block, keeps])

    def missing(self, request: LiveRequest, block: int) -> int:
        """Number of positions before the pass in hand that a block lacks after early exits."""
        trail = request.trail
        here = self._progress.settled(request)
        return lacking((trail.there if here is None else here.there).waiting, block)

    def fill(self, request: LiveRequest, device: str, part: Slice) -> Move | None:
        """Check the filling of missing keys and values before it is booked; None if none are missing."""
        trail = request.trail
        here = self._progress.settled(request)
        there, in_hand = trail.there if here is None else here.there, trail.in_hand
        call = Call("fill", (device, part), request.id)
        try:
            n_left = 0 if in_hand is None else self._causality.check_fill(there, device, part, in_hand)
        except Breach as breach:
            self._progress.refuse(request, call, breach)
        if n_left == 0:
            return None
        if trail.caches is not CacheFill.PROPAGATE:
            raise ContractError(
                f"fill: the missing keys and values of request {request.id} are to be propagated, but its "
                "exits were asked for other caches; call exits(..., rule=rule, caches='propagate')"
            )
        effect = Effect((device,), part, n_along=n_left, fills=True)
        move = self._progress.reached(self._causality.apply(there, effect))
        move = move.led_by("fill", call.arguments, "", there, effect)
        move.n_along = n_left
        if here is None:
            trail.there = there
        return move

    # --- messages and tokens ----------------------------------------------------------------------

    def send(
        self,
        request: LiveRequest,
        source: str,
        target: str,
        size_bytes: float,
        carries: Iterable[Datum] | None,
    ) -> Move:
        """Determine what a message carries, before it is booked."""
        trail = request.trail
        here = self._progress.settled(request)
        in_hand = trail.in_hand
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
        there = trail.there if here is None else here.there
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
                is_continued=any(_brings_cache(begun, target) for begun in trail.under_way or ()),
            )
        except Breach as breach:
            self._progress.refuse(request, Call("send", arguments, request.id), breach)
        if target == request.source:
            contents = contents._replace(has_prompt=False)  # the source has the prompt already
        effect = Effect((target,), contents=contents)
        move = self._progress.reached(self._causality.apply(there, effect))
        move = move.led_by("send", arguments, source, there, effect)
        if here is None:
            trail.there = there
        elif carries is None and there is here.there:
            if in_hand is None:
                by_size = contents.has_prompt and size_bytes == own_bytes
                by_size = by_size and (not is_source or self._progress.is_first(request, here))
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
        """Check that a token's id is available on the device that emits it."""
        trail = request.trail
        here = self._progress.settled(request)
        there, in_hand = trail.there if here is None else here.there, trail.in_hand
        lag = None if in_hand is None else self._causality.lag(there.at(device))
        if in_hand is not None and lag is not None and in_hand.index - token.index >= lag:
            return
        if device == request.source and token.index <= self._home_of(request):
            return
        why = (
            f"the id of token {token.index} must be there, computed by the head or arrived: emit it from "
            "the device that ran the head, or send it there first (request.token_bytes)"
        )
        if in_hand is not None and in_hand.index == token.index and there.is_short:
            why = (
                f"the id of token {token.index} must be there; it depends on all "
                f"{request.n_prompt_tokens + token.index} positions before it, but its pass ends after "
                f"{in_hand.n_context + in_hand.n_new}: compute the others too (n_context + n_new)"
            )
        breach = Breach(device, why)
        self._progress.refuse(request, Call("emit", (device, token), request.id), breach)

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
        """Check a pass of a token before the one in hand, as of a slower replica.

        The keys and values before it, and the ids, are assumed to be there.
        """
        trail = request.trail
        here, in_hand = self._progress.settled(request), trail.in_hand
        there = trail.there if here is None else here.there
        assert in_hand is not None
        try:
            if call.verb == "compute":
                self._causality.check_share(members[0], part)
            is_former = token.n_context + token.n_new == in_hand.n_context
            self._causality.check_late(there, members[0], part, is_former=is_former)
        except Breach as breach:
            self._progress.refuse(request, call, breach)
        has_prompt = members[0] == request.source or there.at(members[0]).has_prompt
        if part.embedding and token.index == 0 and not has_prompt:
            self._progress.refuse(
                request,
                call,
                Breach(
                    members[0],
                    "the embedding needs the prompt's ids there: send them from the source first",
                ),
            )
        self._progress.overlap(request, there)
        effect = self._causality.pass_effect(there, members[0], part)
        behind, is_short = in_hand.index - token.index, _is_short(request, token)
        effect = effect._replace(devices=members, behind=behind, is_short=is_short)
        move = self._progress.reached(self._causality.apply(there, effect))
        return move.led_by(call.verb, call.arguments, "", there, effect)

    def _opened(self, request: LiveRequest, there: Whereabouts, token: Token) -> Whereabouts:
        """Return the whereabouts when a pass is opened."""
        trail = request.trail
        n_tokens = token.index - (0 if trail.in_hand is None else trail.in_hand.index)
        left = trail.left.get(token.index, 0)
        before = trail.in_hand
        return there.opened(
            n_tokens,
            0 if left == self._n_blocks else left,
            is_afresh=token.n_context == 0 and (token.index > 0 or before is not None),
            is_long=token.n_new > 1,
            is_short=_is_short(request, token),
            n_blocks=self._n_blocks,
            n_before=0 if before is None else before.n_new,
            n_dropped=0 if before is None else max(0, before.n_context + before.n_new - token.n_context),
        )

    def _check_continues(self, request: LiveRequest, device: str, token: Token, call: Call) -> None:
        """Refuse a new pass that leaves a gap after the positions of the pass before it."""
        before = request.trail.in_hand
        n_covered = 0 if before is None else before.n_context + before.n_new
        if token.n_context > n_covered:
            breach = Breach(
                device,
                f"its pass is to find {token.n_context} earlier positions in the KV cache, and {n_covered} "
                "have been computed: a pass continues where the last one ended (n_context), or computes "
                "all positions again (n_context=0)",
            )
            self._progress.refuse(request, call, breach)

    def _with_delivered(self, request: LiveRequest, there: Whereabouts, token: Token) -> Whereabouts:
        """Return the whereabouts including the ids of tokens delivered to the source."""
        home = self._home_of(request)
        if home < 0:
            return there
        place = there.at(request.source)
        ids = Ids.NOW.after(max(0, token.index - home))
        return there if place.ids >= ids else there.put(request.source, place._replace(ids=ids))


def _has_left_long(there: Whereabouts) -> bool:
    """Whether a pass of several tokens has exited early; whereabouts do not record how many tokens."""
    return bool(there.left) and there.is_long


def _brings_cache(begun: Begun, device: str) -> bool:
    """Whether a message brings caches to a device."""
    effect = begun.effect
    contents = None if effect is None else effect.contents
    return contents is not None and bool(contents.cache) and device in effect.devices  # type: ignore[union-attr]


def _is_in_hand(request: LiveRequest, token: Token) -> bool:
    in_hand = request.trail.in_hand
    if token is in_hand:
        return True
    return in_hand is not None and (
        (token.index, token.n_context, token.n_new) == (in_hand.index, in_hand.n_context, in_hand.n_new)
    )


def _is_short(request: LiveRequest, token: Token) -> bool:
    """Whether a pass ends before the last position that its token depends on."""
    return token.n_context + token.n_new < request.n_prompt_tokens + token.index


def _is_late(request: LiveRequest, token: Token) -> bool:
    """Whether a pass precedes the one in hand: an earlier token, or an earlier part of a prompt."""
    in_hand = request.trail.in_hand
    if in_hand is None or token.index > in_hand.index:
        return False
    return token.index < in_hand.index or token.n_context + token.n_new <= in_hand.n_context


def _follows(request: LiveRequest, token: Token) -> bool:
    """Whether a pass is that of the next token in a steady decode."""
    trail = request.trail
    before = trail.in_hand
    if token.index in trail.left:
        return False
    if before is None:
        return token.index == 0 and token.n_context == 0 and token.n_new >= request.n_prompt_tokens
    is_next = token.index == before.index + 1 and token.n_new == 1
    return is_next and token.n_context == before.n_context + before.n_new
