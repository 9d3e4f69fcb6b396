"""Causality of data: what passes, sums and token deliveries need when they begin, and their effects.

The rules. The embedding needs the ids on its device, the prompt's or the last token's. Later blocks need the
token's hidden state after the block before. Blocks stored in shards need the sum of the shards' parts. All
blocks need the keys and values of the earlier tokens, computed there, moved there or recomputed, including
those of tokens that exited early, which are computed along with the token or propagated from their states,
unless no token goes deeper. A sum needs every member's part. A token can be emitted only from a device that
has its id.
"""

from __future__ import annotations

from collections.abc import Collection, Iterable, Mapping
from typing import Literal, NamedTuple, TypeAlias, get_args

from edgesim.engine.causality.data_locations import Contents, Ids, Place, Whereabouts, blocks_of, complete
from edgesim.engine.causality.skipped_positions import lacking, states
from edgesim.engine.token import Token
from edgesim.model.answers.exit_paths import CacheFill
from edgesim.model.architecture import Architecture, Slice
from edgesim.model.sharding import TensorShard
from edgesim.units import bits

__all__ = ["Breach", "Causality", "Datum", "Effect"]

Datum = Literal["prompt", "ids", "state", "cache", "waiting"]
"""Data that a message may carry.

The prompt's ids, output tokens' ids, the hidden states of the pass in hand, the KV caches of the sender's
blocks, the hidden states of tokens that exited early and lack later blocks.
"""

_FEWEST_BITS = 1.0
"""Least bits per value of a hidden state or a cache in any message: those of binary quantisation."""

_FEWEST_IDS_SHARE = 0.25
"""Least share of the size of token ids after the best coding: they contain about 8 bits of 32."""

_LEAST_BITS = 4.0
"""Least bits per value at which an undeclared message is assumed to carry hidden states.

The fewest of the usual number formats (FP4, INT4).
"""


class Breach(Exception):  # noqa: N818  # a finding passed to the ledger, which has the request
    """Required data are not on a device; the message says which, and what to do."""

    def __init__(self, device: str, why: str, *, is_lost: bool = False) -> None:
        super().__init__(why)
        self.device = device
        self.is_lost = is_lost  # a device that has failed had the missing data


class Effect(NamedTuple):
    """Effect of a verb when it ends."""

    devices: tuple[str, ...] = ()
    part: Slice | None = None
    level: int = 0
    contents: Contents | None = None
    """Of a message; None for a pass or a sum."""
    behind: int | None = None
    """For a late pass: how many tokens before the one in hand its token is."""
    is_short: bool = False
    """For a pass: whether it ends before the last position that its token needs."""
    n_along: int = 0
    """For a pass: number of earlier positions that it includes, which exited before its part."""
    fills: bool = False
    """Whether it computes only keys and values, of positions that exited before its part."""


Sharers: TypeAlias = "Mapping[str, TensorShard]"


class Causality:
    """The rules of causality for one model and the shards in which devices store it."""

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
        """Number of blocks that a token has passed after a part; a bare head uses the deepest state."""
        if part.head and part.n_blocks == 0 and not part.embedding and part.first == 0:
            return max(0, there.at(device).levels.bit_length() - 1)
        return part.last

    def check_pass(
        self, there: Whereabouts, device: str, part: Slice, token: Token, *, has_prompt: bool
    ) -> None:
        """Raise Breach unless a device has what a part of the pass in hand needs.

        Parameters
        ----------
        has_prompt
            Whether the prompt is there independently of the whereabouts: at the request's source.
        """
        self.check_share(device, part)
        self._check_needs(there, device, part, token, has_prompt=has_prompt)

    def check_late(self, there: Whereabouts, device: str, part: Slice, *, is_former: bool) -> None:
        """Raise Breach unless a pass before the one in hand can have the hidden states that it needs.

        Parameters
        ----------
        is_former
            Whether it is the pass just before; for older passes it is only recorded that there were some.
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
        """Raise Breach if a device alone continues past a block of which it stores only a shard."""
        if device in self._partial and part.n_blocks > (0 if part.head else 1):
            shard = self._shards[device]
            what = "the head" if part.n_blocks == 1 else f"block {part.first + 1}"
            raise Breach(
                device,
                f"it stores {shard.n_heads} of {self._model.n_heads} heads and {shard.n_columns} of "
                f"{self._model.mlp_size} columns, and {what} needs the sum of all parts of block "
                f"{part.last - 1 if part.n_blocks == 1 else part.first}: compute one block at a time, "
                "without the head, and all_reduce over the whole group after each",
            )

    def _check_needs(
        self, there: Whereabouts, device: str, part: Slice, token: Token, *, has_prompt: bool
    ) -> None:
        place = there.at(device)
        if 0 < there.path < part.last:
            raise Breach(
                device,
                f"all tokens of this request exit after block {there.path - 1} (same-path), and later "
                f"blocks lack their keys and values: this one cannot pass block {part.last - 1}",
            )
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
                f"the embedding needs the id of token {token.index - 1} there: send it first from the device "
                "whose head computed it (request.token_bytes)",
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
                "it has computed a shard's part, and the next step needs the sum of all parts: all_reduce "
                "first",
            )

    def _check_cache(self, there: Whereabouts, device: str, blocks: int, token: Token) -> None:
        needed = blocks if token.n_context else blocks & there.made
        missing = needed & ~there.at(device).whole
        if missing and not there.is_afresh and self._model.is_causal:
            block = (missing & -missing).bit_length() - 1
            while there.waiting and lacking(there.waiting, block) >= token.n_context:  # all skipped it
                missing &= ~(1 << block)
                if not missing:
                    return
                block = (missing & -missing).bit_length() - 1
            raise Breach(
                device,
                f"block {block} needs the KV cache of all earlier tokens there, and not all of it was "
                "computed there: move it (send(..., carries='cache')), or recompute all tokens so far",
            )

    # --- tokens that left early -------------------------------------------------------------------

    def along(self, there: Whereabouts, device: str, part: Slice, caches: CacheFill | None) -> int:
        """Number of earlier positions that a pass includes because they exited before its part.

        Parameters
        ----------
        caches
            How their missing keys and values are computed; None if the strategy has not chosen.

        Raises
        ------
        Breach
            If the pass cannot include them.
        """
        n_along = self._lacking(there, device, part)
        if n_along and caches is CacheFill.PROPAGATE:
            raise Breach(
                device,
                f"block {part.first} needs the keys and values of all earlier tokens, and {_left(n_along)}: "
                "fill them there first (cluster.fill)",
            )
        if n_along:
            self._check_waiting(there, device, part, n_along, level=part.first)
        return n_along

    def check_none_left(self, there: Whereabouts, device: str, part: Slice) -> None:
        """Raise Breach if a pass that cannot include earlier positions would have to."""
        n_along = self._lacking(there, device, part)
        if n_along:
            raise Breach(
                device,
                f"block {part.first} needs the keys and values of all earlier tokens, and {_left(n_along)}: "
                "a pass of a group, or one for which a station is kept, cannot include them",
            )

    def check_fill(self, there: Whereabouts, device: str, part: Slice, token: Token) -> int:
        """Count positions without keys and values in a part; raise Breach if it cannot be filled."""
        n_left = self._lacking(there, device, part)
        if n_left:
            self._check_cache(there, device, blocks_of(part), token)
            self._check_waiting(there, device, part, n_left, level=None)
        if n_left and device in self._partial:
            raise Breach(device, "it stores a shard only, and fill computes whole blocks' caches")
        return n_left

    def _lacking(self, there: Whereabouts, device: str, part: Slice) -> int:
        """Count the positions that all blocks of a part lack; raise Breach if blocks differ."""
        if not there.waiting or there.is_afresh or not self._model.is_causal or not part.n_blocks:
            return 0
        counts = [lacking(there.waiting, block) for block in range(part.first, part.last)]
        if counts[0] != counts[-1]:  # counts increase only at exits
            block = part.first + next(n for n, count in enumerate(counts) if count != counts[0])
            raise Breach(
                device,
                f"block {block} needs the keys and values of all earlier tokens, and {_left(counts[-1])}, "
                f"not all at one exit: compute the blocks before block {block} and those from there on one "
                "after the other",
            )
        return counts[0]

    def _check_waiting(
        self, there: Whereabouts, device: str, part: Slice, n_left: int, *, level: int | None
    ) -> None:
        """Raise Breach unless a device has the states of the positions that wait before a part."""
        for one in there.waiting:
            if one.filled > part.first:
                continue
            is_here = device in one.devices and one.filled == part.first
            if not is_here or (level is not None and one.level != level):
                raise Breach(
                    device,
                    f"block {part.first} needs the keys and values of all earlier tokens, and "
                    f"{_left(n_left)}: their hidden states must be there too; send them with the token's "
                    "(cluster.missing), compute or fill each block in order, or let all tokens of a request "
                    "leave at one exit",
                    is_lost=not one.devices,
                )

    def pass_effect(self, there: Whereabouts, device: str, part: Slice) -> Effect:
        """Return the effect of a pass of a part."""
        return Effect((device,), part, self.level(there, device, part), is_short=there.is_short)

    # --- groups -----------------------------------------------------------------------------------

    def check_group(
        self, there: Whereabouts, members: tuple[str, ...], part: Slice, token: Token, *, has_prompt: bool
    ) -> None:
        """Raise Breach unless a group can begin a pass together; ``has_prompt`` as above, for its root."""
        self._check_shares(members)
        self._check_needs(there, members[0], part, token, has_prompt=has_prompt)
        self.check_none_left(there, members[0], part)
        for device in members[1:]:
            self._check_cache(there, device, blocks_of(part), token)

    def check_sum(self, there: Whereabouts, members: tuple[str, ...]) -> None:
        """Raise Breach unless every member has computed its part of a sum."""
        depths = [there.at(device).levels.bit_length() for device in members]
        for device, depth in zip(members, depths, strict=True):
            if depth == 0 or depth < max(depths):
                raise Breach(
                    device,
                    f"a sum needs every member's part, and {device!r} has computed none: compute it first",
                )
            if depth > 1 and device in self._partial and not there.at(device).now >> (depth - 2) & 1:
                raise Breach(
                    device,
                    f"a sum needs every member's part, and {device!r} has only another member's: compute "
                    "its own first",
                )
        self._check_shares(members)

    def _check_shares(self, members: Collection[str]) -> None:
        """Raise Breach if the members of a group together store less than the whole of every block."""
        sharers = [device for device in members if device in self._partial]
        if not sharers:
            return
        heads = sum(self._shards[device].n_heads for device in sharers)
        columns = sum(self._shards[device].n_columns for device in sharers)
        if heads < self._model.n_heads or columns < self._model.mlp_size:
            absent = sorted(self._partial.difference(members)) or sharers
            raise Breach(
                absent[0],
                f"a sum needs all parts, and {', '.join(map(repr, members))} store {heads} of "
                f"{self._model.n_heads} heads and {columns} of {self._model.mlp_size} columns: include the "
                "other devices",
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
        """Determine what a message carries: the declared data, or else what the sender has and the size fits.

        Hidden states are assigned first, at 4 bits per value or more; ids and the prompt must fit into the
        remainder, each separately, and caches into the whole of a message larger than the states.

        Parameters
        ----------
        is_continued
            Whether caches are already in transit from the sender to the receiver.

        Raises
        ------
        Breach
            If the sender lacks data that the message declares, or no coding would make them fit.
        """
        place = there.at(source)
        has_prompt = has_prompt or place.has_prompt
        n_new = token.n_new if token is not None else 0
        cache, n_positions = complete(there, place), 0 if token is None else token.n_context + token.n_new
        n_waiting = states(there.waiting, source, place.levels.bit_length() - 1)
        if carries is not None:
            named: set[Datum] = set(carries)
            has = {"prompt": has_prompt, "ids": place.ids, "state": place.levels, "cache": cache}
            has["waiting"] = n_waiting
            for datum in get_args(Datum):
                if datum in named and not has[datum]:
                    raise Breach(source, f"the message is to carry {datum!r}, and the sender has none")
            has_some = is_continued or bool(cache & (there.at(target).whole | there.at(target).now))
            n_cached = n_new if has_some else n_positions
            self._check_room(source, place, named, size_bytes, n_new, prompt_bytes, n_cached, n_waiting)
        else:
            left_bytes: float = size_bytes
            named = set()
            if place.levels and size_bytes >= self._least_bytes * n_new:
                named.add("state")
                left_bytes = max(0.0, size_bytes - self._state_bytes * n_new)
            if n_waiting and "state" in named and left_bytes >= self._state_bytes * n_waiting:
                # In the number format only; at fewer bits they must be declared in `carries`.
                named.add("waiting")
                left_bytes -= self._state_bytes * n_waiting
            shard = self._shards.get(source, self._model)
            cache_bytes = shard.kv_bytes_per_token(cache.bit_count()) * n_positions
            if left_bytes >= self._token_bytes:
                named.add("ids")
            if left_bytes >= prompt_bytes:
                named.add("prompt")
            if left_bytes > 0.0 and size_bytes >= cache_bytes:
                named.add("cache")
        # The states of one of several chunks may be smaller than those of the pass in hand.
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
            waiting_of=source if "waiting" in named else "",
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
        n_waiting: int,
    ) -> None:
        """Raise Breach if a message is too small for its declared data under any coding.

        For caches, one block's size is enough: each block's cache may be sent separately.
        """
        # After all blocks, the head needs the last position only.
        n_states = min(1, n_new) if place.levels >> self._n_blocks & 1 else n_new
        share = min(1.0, _FEWEST_BITS / bits(self._model.dtype_bytes))
        each_bytes: dict[Datum, float] = {
            "prompt": _FEWEST_IDS_SHARE * prompt_bytes,
            "ids": _FEWEST_IDS_SHARE * self._token_bytes,
            "state": share * self._state_bytes * n_states,
            "waiting": share * self._state_bytes * n_waiting,
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
        """Return the whereabouts after a verb has ended, possibly after another pass has been opened."""
        if effect.contents is not None:
            return there.arrived(effect.devices[0], _aged(effect.contents, n_tokens_since, is_late=is_late))
        if effect.part is None:
            return there if is_late else there.summed(effect.devices)
        root, *others = effect.devices
        if effect.fills:
            return there if is_late else there.filled(root, effect.part, self._n_blocks)
        if is_late or effect.behind is not None:
            n_tokens_since += effect.behind or 0
            answered = effect.part.head and effect.level == self._n_blocks and not effect.is_short
            ids = Ids.NOW.after(n_tokens_since) if answered else Ids.NONE
            for device in effect.devices:
                own = ids if device == root else Ids.NONE
                there = there.passed_late(device, effect.part, effect.level, own)
            return there
        if effect.n_along:
            there = there.caught_up(root, effect.part, self._n_blocks)
        is_part = not others and root in self._partial
        there = there.passed(root, effect.part, effect.level, self._n_blocks, is_part=is_part)
        blocks = Slice(effect.part.first, effect.part.last)
        for device in others:
            there = there.passed(device, blocks, effect.level, self._n_blocks, is_part=False)
        return there

    @staticmethod
    def lag(place: Place) -> int | None:
        """How many tokens the newest id on a device is before the one in hand; None if it has none."""
        return None if place.ids == Ids.NONE else Ids.NOW - place.ids


def _aged(contents: Contents, n_tokens: int, *, is_late: bool) -> Contents:
    """Contents of a message relative to a later pass: caches of the pass just before are complete."""
    if not is_late:
        return contents
    cache = contents.cache if n_tokens <= 1 else 0
    # The age of the states in passes is not known: those of the pass before, at best.
    former, older = contents.levels, contents.levels | contents.older
    ids = contents.ids.after(n_tokens)
    return Contents(contents.has_prompt, ids, whole=cache, former=former, older=older)


def _left(n_positions: int) -> str:
    """Format how many tokens left early."""
    return f"{n_positions} of them left early" if n_positions > 1 else "one of them left early"
