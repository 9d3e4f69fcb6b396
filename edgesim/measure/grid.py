"""Choose the calls to time: token counts between which times are interpolated, and held-out test points."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import asdict, dataclass, replace
from itertools import pairwise, product
from typing import Any, Self

from edgesim.model.architecture import Architecture
from edgesim.model.timing import Phase, phase_of

__all__ = ["Grid", "PassShape"]

_SMALLEST_RANGE = 64  # smaller ranges share one grid, since their calls are cheap
_SMALLEST_CONTEXT = 16  # the effect of a smaller KV cache on a block's time is negligible
_SINGLY = (1, 2, 3, 4, 5)  # prompt lengths measured individually, before doubling from 8
_WIDE_GAP = 1.5  # least ratio of neighbours between which a point is held out
_STEP_PROMPTS = (8, 32)  # prompt lengths after which a generation step is timed
_STEP_HELD_OUT = (16,)


@dataclass(frozen=True, slots=True, order=True)
class PassShape:
    """Shape of one call to time: `n_new` tokens in each of `batch` sequences, after `n_context` tokens."""

    batch: int
    n_new: int
    n_context: int
    held_out: bool = False
    n_shards: int = 1
    """Number of tensor shards into which a block is divided; 1: the blocks are whole."""

    @property
    def phase(self) -> Phase:
        """Phase of the call, prefill or decode."""
        return phase_of(self.n_new, self.n_context)


@dataclass(frozen=True, slots=True, kw_only=True)
class Grid:
    """The measured values on each axis.

    Attributes
    ----------
    batches
        Sequences in a decoding step.
    prefill_batches
        Sequences in a prefill. They are separate from `batches` because they cost by far the most to measure,
        and few serving disciplines compute several prompts in one pass.
    prompts
        New tokens of a prefill, on an empty cache.
    contexts
        Tokens in the cache before a decoding step.
    held_out_prompts, held_out_contexts
        Values between those of the axes, measured to estimate the interpolation error.
    shards
        Numbers of equal tensor shards into which the blocks are cut, each measured as a separate model;
        always includes 1, the whole model.
    """

    batches: tuple[int, ...]
    prompts: tuple[int, ...]
    contexts: tuple[int, ...]
    held_out_prompts: tuple[int, ...]
    held_out_contexts: tuple[int, ...]
    shards: tuple[int, ...] = (1,)
    prefill_batches: tuple[int, ...] = (1,)

    @classmethod
    def covering(
        cls,
        max_new: int,
        max_context: int,
        batches: tuple[int, ...] = (1,),
        shards: tuple[int, ...] = (1,),
        prefill_batches: tuple[int, ...] = (1,),
    ) -> Self:
        """Return a grid that covers prompts up to `max_new` and contexts up to `max_context` tokens.

        Both ranges are rounded up to powers of two, so that scenarios of slightly different lengths share one
        profile. Contexts double from value to value, since attention grows almost linearly with them. Prompts
        are denser: one value between each and its double, and every value up to five, where libraries choose
        different kernels from one count to the next (a product with three rows may take longer than one with
        five). Held-out points lie midway in the widest gaps, where interpolation is least accurate.
        """
        counts = (batches, prefill_batches, shards)
        if max_new < 1 or max_context < 0 or min(min(values, default=0) for values in counts) < 1:
            raise ValueError(
                f"nothing to cover: {max_new=}, {max_context=}, {batches=}, {prefill_batches=}, {shards=}"
            )
        prompts = _prompts(_power_of_two(max(max_new, _SMALLEST_RANGE)))
        contexts = _doubling(_SMALLEST_CONTEXT, _power_of_two(max(max_context, _SMALLEST_RANGE)))
        return cls(
            batches=tuple(sorted(set(batches))),
            prompts=prompts,
            contexts=contexts,
            held_out_prompts=_between(prompts),
            held_out_contexts=_between(contexts),
            shards=tuple(sorted({1, *shards})),
            prefill_batches=tuple(sorted(set(prefill_batches))),
        )

    def within(self, architecture: Architecture) -> Grid:
        """Cut the grid to the model's longest context; an encoder has no contexts.

        Raises
        ------
        InputError
            If the model cannot be cut into the requested number of shards.
        """
        for n_shards in self.shards:
            architecture.shard(n_shards)
        longest = architecture.max_context
        prompts, contexts = _cut(self.prompts, longest), _cut(self.contexts, longest - 1)
        prefill_batches = self.prefill_batches
        if not architecture.is_causal:  # all its passes are prefills, even of one-token texts
            contexts, prefill_batches = (), tuple(sorted({*self.batches, *prefill_batches}))
        return replace(
            self,
            prefill_batches=prefill_batches,
            prompts=prompts,
            contexts=contexts,
            held_out_prompts=tuple(n for n in self.held_out_prompts if n < prompts[-1]),
            held_out_contexts=tuple(n for n in self.held_out_contexts if contexts and n < contexts[-1]),
        )

    def shapes(self) -> tuple[PassShape, ...]:
        """Return every call to time, including held-out ones."""
        found = [
            PassShape(batch, n_new, n_context, held_out, n_shards)
            for n_shards in self.shards
            for held_out, prompts, contexts in (
                (False, self.prompts, self.contexts),
                (True, self.held_out_prompts, self.held_out_contexts),
            )
            for batch, n_new, n_context in [
                *((batch, n, 0) for batch, n in product(self.prefill_batches, prompts)),
                *((batch, 1, c) for batch, c in product(self.batches, contexts)),
            ]
        ]
        return tuple(found)

    def step_shapes(self) -> tuple[PassShape, ...]:
        """Return the prompts after which generation steps are timed; a step hardly depends on the length."""
        found = [
            PassShape(batch, n, 0, held_out)
            for held_out, prompts in ((False, _STEP_PROMPTS), (True, _STEP_HELD_OUT))
            for batch, n in product(sorted({*self.batches, *self.prefill_batches}), prompts)
        ]
        return tuple(shape for shape in found if shape.n_new <= self.prompts[-1])

    def facts(self) -> Mapping[str, Any]:
        """Return the grid as plain values, for a profile's metadata and for a digest."""
        return {key: list(values) for key, values in asdict(self).items()}


def _power_of_two(n: int) -> int:
    return 1 << (n - 1).bit_length()


def _prompts(last: int) -> tuple[int, ...]:
    doubling = _doubling(8, last)
    between = (lower * 3 // 2 for lower in doubling[:-1])
    return (*_SINGLY, *sorted((*doubling, *between)))


def _doubling(first: int, last: int) -> tuple[int, ...]:
    return tuple(1 << k for k in range(first.bit_length() - 1, last.bit_length()))


def _between(axis: tuple[int, ...]) -> tuple[int, ...]:
    """Return the midpoints of the wide gaps."""
    return tuple(
        (lower + upper) // 2
        for lower, upper in pairwise(axis)
        if upper - lower > 1 and upper >= _WIDE_GAP * lower
    )


def _cut(axis: tuple[int, ...], longest: int) -> tuple[int, ...]:
    if not axis or axis[-1] <= longest:
        return axis
    return (*(n for n in axis if n < longest), longest)
