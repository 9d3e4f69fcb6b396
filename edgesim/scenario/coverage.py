"""What the devices of a scenario will ask of a profile: lengths, and how many sequences at once."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from typing import Self

from edgesim.measure.grid import Grid
from edgesim.model.architecture import Architecture
from edgesim.model.profile import Timing
from edgesim.scenario.topology.topology import Layout
from edgesim.workload.requests import Extent
from edgesim.world.discipline import ServingDiscipline

__all__ = ["Coverage", "disciplines", "pads", "recomputes"]


@dataclass(frozen=True, slots=True)
class Coverage:
    """The longest and the largest passes that occur.

    Attributes
    ----------
    max_new
        Longest prefill: of a prompt, or of all tokens of a preempted request.
    max_context
        Longest context of a decode step.
    batch
        Most sequences in a decode step.
    prefill_batch
        Most prompts in one pass: static batching and devices that join what waits have more than one.
    """

    max_new: int
    max_context: int
    batch: int = 1
    prefill_batch: int = 1

    @classmethod
    def of(cls, longest: Extent, served: Iterable[ServingDiscipline | None], *, recomputed: bool) -> Self:
        """Tell what disciplines ask for.

        Parameters
        ----------
        served
            The disciplines of the devices in question.
        recomputed
            Whether any device of the scenario drops caches: the tokens of a preempted request then pass all
            devices anew.
        """
        served = tuple(served)
        return cls(
            max_new=longest.n_tokens if recomputed else longest.n_prompt_tokens,
            max_context=_longest_context(longest, served),
            batch=max(map(_largest_batch, served), default=1),
            prefill_batch=max(
                (one.most_prompts_at_once for one in served if one is not None),
                default=1,
            ),
        )

    def check(self, timing: Timing) -> None:
        """Raise a ProfileError unless a timing can charge all of it."""
        timing.check(max_new=self.max_new, max_context=self.max_context, batch=self.prefill_batch)
        if self.batch > self.prefill_batch:
            timing.check(max_new=0, max_context=self.max_context, batch=self.batch)

    def grid(self, model: Architecture, shards: tuple[int, ...] = (1,)) -> Grid:
        """Return what has to be measured; prompts in batches only where prompts are served so."""
        return Grid.covering(
            self.max_new,
            self.max_context + 1,
            batches=_up_to(self.batch),
            prefill_batches=_up_to(self.prefill_batch),
            shards=shards,
        ).within(model)


def disciplines(layout: Layout) -> tuple[ServingDiscipline | None, ...]:
    """The disciplines of a layout's devices, one for each entry of the topology; None: the default."""
    entries = {id(node.entry): node.entry for node in layout.nodes.values() if node.kind}
    return tuple(
        None if entry is None or entry.serving is None else entry.serving.value()
        for entry in entries.values()
    )


def recomputes(serving: ServingDiscipline | None) -> bool:
    """Whether a preempted request may have to compute all its tokens in one pass."""
    return serving is not None and serving.grows_caches


def pads(serving: ServingDiscipline | None) -> bool:
    """Whether prompts are padded to one another's length."""
    return serving is not None and serving.is_in_lockstep and serving.most_prompts_at_once > 1


def _longest_context(longest: Extent, served: Iterable[ServingDiscipline | None]) -> int:
    """Tokens in the cache at the last decode step; in a static batch the longest prompt pads all answers."""
    if any(map(pads, served)):
        return longest.n_prompt_tokens + longest.n_output_tokens - 1
    return longest.n_tokens - 1


def _largest_batch(serving: ServingDiscipline | None) -> int:
    return 1 if serving is None else serving.most_at_once


def _up_to(largest: int) -> tuple[int, ...]:
    """Batch sizes to measure: powers of two up to the largest, and that."""
    return (*(1 << k for k in range((largest - 1).bit_length())), largest)
