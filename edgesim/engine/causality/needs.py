"""Causality of data: what a pass, a sum and a token's delivery need where they begin, and what they leave.

The law. The embedding needs the ids there, the prompt's or the last token's; later blocks need the token's
hidden state after the block before; blocks that are held in shards need the sum of the shards' parts; all
blocks need the keys and values of the earlier tokens, computed there, moved there or computed anew; a sum
needs every member's part; a token leaves from where its id is.
"""

from __future__ import annotations

from collections.abc import Collection, Iterable, Mapping
from typing import Literal, NamedTuple, TypeAlias, get_args

from edgesim.engine.causality.whereabouts import Contents, Ids, Place, Whereabouts, blocks_of, complete
from edgesim.engine.token import Token
from edgesim.model.architecture import Architecture, Slice
from edgesim.model.sharding import TensorShard
from edgesim.units import bits

__all__ = ["Breach", "Causality", "Datum", "Effect"]

Datum = Literal["prompt", "ids", "state", "cache"]
"""What a message may carry: the prompt's ids, output tokens' ids, the hidden states of the pass in hand, the
KV caches of the sender's blocks."""

_FEWEST_BITS = 1.0
"""Bits per value below which nothing is a hidden state or a cache, whatever a message is said to carry:
those of binary quantisation."""

_FEWEST_IDS_SHARE = 0.25
"""Of the size of token ids, what the best of codes may leave: they hold 8 bits or so of 32."""

_LEAST_BITS = 4.0
"""Bits per value below which a message is not taken for hidden states unless it says so: the fewest of the
usual number formats (FP4, INT4)."""


class Breach(Exception):  # noqa: N818  # a finding on its way to the ledger, which knows the request
    """Something that was needed is not there; the message says what, and what to do."""

    def __init__(self, device: str, why: str) -> None:
        super().__init__(why)
        self.device = device


class Effect(NamedTuple):
    """What a verb leaves when it ends."""

    devices: tuple[str, ...] = ()
    part: Slice | None = None
    level: int = 0
    contents: Contents | None = None
    """Of a message; None of a pass or a sum."""
    behind: int | None = None
    """Of a pass that comes late: how many tokens before the one in hand it is of."""
    is_short: bool = False
    """Of a pass: whether it ends before the last position that its token needs."""


Sharers: TypeAlias = "Mapping[str, TensorShard]"


class Causality:
    """The law, for one model and the shards in which devices hold it."""

    def __init__(self, model: Architecture, shards: Sharers, token_bytes: int) -> None:
        self._n_blocks = model.n_blocks
        self._shards = shards
        self._model = model
        self._token_bytes = token_bytes
        self._state_bytes = model.activation_bytes(1)
        self._least_bytes = self._state_bytes * min(1.0, _LEAST_BITS / bits(model.dtype_bytes))
        self._partial = {
            device
            for device, shard in shards.items()
            if shard.n_heads < model.n_heads or shard.n_columns < model.mlp_size
        }

    # --- a pass -----------------------------------------------------------------------------------

    def level(self, there: Whereabouts, device: str, part: Slice) -> int:
        """Blocks that a token has passed after a part; a bare head takes the deepest hidden state."""
        if part.head and part.n_blocks == 0 and not part.embedding and part.first == 0:
            return max(0, there.at(device).levels.bit_length() - 1)
        return part.last

    def check_pass(
        self, there: Whereabouts, device: str, part: Slice, token: Token, *, has_prompt: bool
    ) -> None:
        """Raise Breach unless what a part of the pass in hand needs is on a device.

        Parameters
        ----------
        has_prompt
            Whether the prompt is there whatever the whereabouts say: at the request's source.
        """
        self.check_share(device, part)
        self._check_needs(there, device, part, token, has_prompt=has_prompt)

    def check_late(self, there: Whereabouts, device: str, part: Slice, *, is_former: bool) -> None:
        """Raise Breach unless a pass before the one in hand can have the hidden states that it needs.

        Parameters
        ----------
        is_former
            Whether it is the one just before; of still older ones it is only known that there were some.
        """
        if part.embedding and part.first == 0:
            return
        place = there.at(device)
        levels, needed = place.former if is_former else place.older, part.first
        if part.head and part.n_blocks == 0 and part.first == 0:
            needed = max(0, levels.bit_length() - 1)
        if not levels >> needed & 1:
            what = f"block {needed}" if part.n_blocks else "the head"
            raise Breach(
                device,
                f"{what} needs the hidden state of its own pass there, and it has not arrived: compute it "
                "there, or send it there first (token.activation_bytes)",
            )

    def check_share(self, device: str, part: Slice) -> None:
        """Raise Breach where a device alone goes on past a block of which it holds a shard only."""
        if device in self._partial and part.n_blocks > (0 if part.head else 1):
            shard = self._shards[device]
            what = "the head" if part.n_blocks == 1 else f"block {part.first + 1}"
            raise Breach(
                device,
                f"it holds {shard.n_heads} of {self._model.n_heads} heads and {shard.n_columns} of "
                f"{self._model.mlp_size} columns, and {what} needs the sum of all parts of block "
                f"{part.last - 1 if part.n_blocks == 1 else part.first}: compute one block at a time, "
                "without the head, and all_reduce over the whole group after each",
            )

    def _check_needs(
        self, there: Whereabouts, device: str, part: Slice, token: Token, *, has_prompt: bool
    ) -> None:
        place = there.at(device)
        if part.embedding:
            self._check_ids(there, device, token, has_prompt=has_prompt or place.has_prompt)
        if not part.embedding or part.first:
            self._check_state(there, device, part)
        self._check_cache(there, device, blocks_of(part), token)

    def _check_ids(self, there: Whereabouts, device: str, token: Token, *, has_prompt: bool) -> None:
        if (token.index == 0 or there.is_afresh) and not has_prompt:
            raise Breach(
                device, "the embedding needs the prompt's ids there: send them from the source first"
            )
        if token.index > 0 and there.at(device).ids < Ids.BEFORE:
            raise Breach(
                device,
                f"the embedding needs the id of token {token.index - 1} there: send it first from where the "
                "head has computed it (request.token_bytes)",
            )

    def _check_state(self, there: Whereabouts, device: str, part: Slice) -> None:
        place, needed = there.at(device), part.first
        if part.n_blocks == 0 and part.head and part.first == 0:
            needed = self.level(there, device, part)
        if not place.levels >> needed & 1:
            after = "the embedding" if needed == 0 else f"block {needed - 1}"
            what = "the head needs" if part.n_blocks == 0 else f"block {needed} needs"
            raise Breach(
                device,
                f"{what} the token's hidden state after {after} there: compute it there, or send it there "
                "first (token.activation_bytes)",
            )
        if place.parts >> needed & 1:
            raise Breach(
                device,
                "it has computed a shard's part, and what comes next needs the sum of all parts: all_reduce "
                "first",
            )

    def _check_cache(self, there: Whereabouts, device: str, blocks: int, token: Token) -> None:
        needed = blocks if token.n_context and not there.has_skipped else blocks & there.made
        missing = needed & ~there.at(device).whole
        if missing and not there.is_afresh and self._model.is_causal:
            block = (missing & -missing).bit_length() - 1
            raise Breach(
                device,
                f"block {block} needs the KV cache of all earlier tokens there, and not all of it was "
                "computed there: move it (send(..., carries='cache')), or compute all tokens so far anew",
            )

    def pass_effect(self, there: Whereabouts, device: str, part: Slice) -> Effect:
        """What a pass of a part leaves."""
        return Effect((device,), part, self.level(there, device, part), is_short=there.is_short)

    # --- groups -----------------------------------------------------------------------------------

    def check_group(
        self, there: Whereabouts, members: tuple[str, ...], part: Slice, token: Token, *, has_prompt: bool
    ) -> None:
        """Raise Breach unless a group can begin a pass together; ``has_prompt`` as above, of its root."""
        self._check_shares(members)
        self._check_needs(there, members[0], part, token, has_prompt=has_prompt)
        for device in members[1:]:
            self._check_cache(there, device, blocks_of(part), token)

    def check_sum(self, there: Whereabouts, members: tuple[str, ...]) -> None:
        """Raise Breach unless every member has its part of a sum."""
        depths = [there.at(device).levels.bit_length() for device in members]
        for device, depth in zip(members, depths, strict=True):
            if depth == 0 or depth < max(depths):
                raise Breach(
                    device,
                    f"a sum needs every member's part, and {device!r} has computed none: let it do so first",
                )
            if depth > 1 and device in self._partial and not there.at(device).now >> (depth - 2) & 1:
                raise Breach(
                    device,
                    f"a sum needs every member's part, and {device!r} has another's only: let it compute "
                    "its own",
                )
        self._check_shares(members)

    def _check_shares(self, members: Collection[str]) -> None:
        """Raise Breach where members of a group hold less than the whole of every block between them."""
        sharers = [device for device in members if device in self._partial]
        if not sharers:
            return
        heads = sum(self._shards[device].n_heads for device in sharers)
        columns = sum(self._shards[device].n_columns for device in sharers)
        if heads < self._model.n_heads or columns < self._model.mlp_size:
            absent = sorted(self._partial.difference(members)) or sharers
            raise Breach(
                absent[0],
                f"a sum needs all parts, and {', '.join(map(repr, members))} hold {heads} of "
                f"{self._model.n_heads} heads and {columns} of {self._model.mlp_size} columns: let the "
                "others take part",
            )

    # --- messages ---------------------------------------------------------------------------------

    def contents(
        self,
        there: Whereabouts,
        source: str,
        target: str,
        size_bytes: float,
        token: Token | None,
        prompt_bytes: float,
        *,
        has_prompt: bool,
        carries: Iterable[Datum] | None,
        is_continued: bool = False,
    ) -> Contents:
        """What a message carries: what it says, or else what the sender has and the size has room for.

        Hidden states come first, in 4 bits per value or more; ids and the prompt must fit into what they
        leave, each by itself, and caches into the whole of a message that is larger than the states.

        Parameters
        ----------
        is_continued
            Whether caches are on their way from the sender to the receiver already.

        Raises
        ------
        Breach
            If the sender has not got what the message says that it carries, or no code would get it in.
        """
        place = there.at(source)
        has_prompt = has_prompt or place.has_prompt
        n_new = token.n_new if token is not None else 0
        cache, n_positions = complete(there, place), 0 if token is None else token.n_context + token.n_new
        if carries is not None:
            named: set[Datum] = set(carries)
            has = {"prompt": has_prompt, "ids": place.ids, "state": place.levels, "cache": cache}
            for datum in get_args(Datum):
                if datum in named and not has[datum]:
                    raise Breach(source, f"the message is to carry {datum!r}, and the sender has none")
            has_some = is_continued or bool(cache & (there.at(target).whole | there.at(target).now))
            n_cached = n_new if has_some else n_positions
            self._check_room(source, place, named, size_bytes, n_new, prompt_bytes, n_cached)
        else:
            left_bytes: float = size_bytes
            named = set()
            if place.levels and size_bytes >= self._least_bytes * n_new:
                named.add("state")
                left_bytes = max(0.0, size_bytes - self._state_bytes * n_new)
            shard = self._shards.get(source, self._model)
            cache_bytes = shard.kv_bytes_per_token(cache.bit_count()) * n_positions
            if left_bytes >= self._token_bytes:
                named.add("ids")
            if left_bytes >= prompt_bytes:
                named.add("prompt")
            if left_bytes > 0.0 and size_bytes >= cache_bytes:
                named.add("cache")
        # One of several chunks' states may be smaller than those of the pass in hand.
        has_former = size_bytes >= self._least_bytes if carries is None else "state" in named
        return Contents(
            has_prompt="prompt" in named and has_prompt,
            ids=place.ids if "ids" in named else Ids.NONE,
            levels=place.levels if "state" in named else 0,
            parts=place.parts if "state" in named else 0,
            whole=place.whole if "cache" in named else 0,
            now=place.now if "cache" in named else 0,
            cache=cache if "cache" in named else 0,
            former=place.former if has_former else 0,
            older=place.older if has_former else 0,
        )

    def _check_room(
        self,
        source: str,
        place: Place,
        named: Collection[Datum],
        size_bytes: float,
        n_new: int,
        prompt_bytes: float,
        n_cached: int,
    ) -> None:
        """Raise Breach where a message is too small for what it is said to carry, however it is coded.

        Of caches, one block's is enough: each block's may come by itself.
        """
        # After all blocks, the head needs the last position only.
        n_states = min(1, n_new) if place.levels >> self._n_blocks & 1 else n_new
        share = min(1.0, _FEWEST_BITS / bits(self._model.dtype_bytes))
        each_bytes: dict[Datum, float] = {
            "prompt": _FEWEST_IDS_SHARE * prompt_bytes,
            "ids": _FEWEST_IDS_SHARE * self._token_bytes,
            "state": share * self._state_bytes * n_states,
            "cache": share * n_cached * self._shards.get(source, self._model).kv_bytes_per_token(1),
        }
        least_bytes = sum(each_bytes[datum] for datum in named)
        if size_bytes < least_bytes:
            raise Breach(
                source,
                f"the message is to carry {', '.join(repr(datum) for datum in each_bytes if datum in named)} "
                f"in {size_bytes:g} bytes, and at least {least_bytes:g} are expected ({_FEWEST_BITS:g} bit "
                f"per value, {_FEWEST_IDS_SHARE:g} of the ids' own size): give the size of what is sent",
            )

    # --- what they leave --------------------------------------------------------------------------

    def apply(
        self, there: Whereabouts, effect: Effect, *, n_tokens_since: int = 0, is_late: bool = False
    ) -> Whereabouts:
        """What a verb leaves when it ends, possibly after another pass has been opened."""
        if effect.contents is not None:
            return there.arrived(effect.devices[0], _aged(effect.contents, n_tokens_since, is_late=is_late))
        if effect.part is None:
            return there if is_late else there.summed(effect.devices)
        root, *others = effect.devices
        if is_late or effect.behind is not None:
            n_tokens_since += effect.behind or 0
            answered = effect.part.head and effect.level == self._n_blocks and not effect.is_short
            ids = Ids.NOW.after(n_tokens_since) if answered else Ids.NONE
            for device in effect.devices:
                own = ids if device == root else Ids.NONE
                there = there.passed_late(device, effect.part, effect.level, own)
            return there
        is_part = not others and root in self._partial
        there = there.passed(root, effect.part, effect.level, self._n_blocks, is_part=is_part)
        blocks = Slice(effect.part.first, effect.part.last)
        for device in others:
            there = there.passed(device, blocks, effect.level, self._n_blocks, is_part=False)
        return there

    @staticmethod
    def lag(place: Place) -> int | None:
        """How many tokens behind the one in hand the first is that may leave from a device; None for none."""
        return None if place.ids == Ids.NONE else Ids.NOW - place.ids


def _aged(contents: Contents, n_tokens: int, *, is_late: bool) -> Contents:
    """What a message carries, as seen from a later pass: of one pass ago the caches are whole."""
    if not is_late:
        return contents
    cache = contents.cache if n_tokens <= 1 else 0
    # Of how many passes ago the states are, is not known: of the one before, at best.
    former, older = contents.levels, contents.levels | contents.older
    ids = contents.ids.after(n_tokens)
    return Contents(contents.has_prompt, ids, whole=cache, former=former, older=older)
