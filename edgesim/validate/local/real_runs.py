"""Run a model on this host in all settings: worker processes, their parts of the model, and their orders."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import replace
from itertools import cycle
from pathlib import Path
from time import sleep
from typing import Any

import numpy as np

from edgesim.measure.real.exchanges import SHORT_CONTEXT, Exchanges, GroupTimes, SumContext
from edgesim.measure.real.generation_loops import Visit, busy_s
from edgesim.measure.real.in_context import CONTEXT, PATIENCE_S, Context, form_ring, join_group
from edgesim.measure.real.members import Members
from edgesim.measure.real.rests import HEAD_RESTS_S, RESTS_S, RestLosses, Rests
from edgesim.measure.real.worker_pool import Answer, Crew, Order, Worker
from edgesim.measure.trimmed_mean import typical
from edgesim.model.communication import Communication
from edgesim.validate.local.gauges import Company, Gauges
from edgesim.validate.local.prediction import stage_blocks
from edgesim.validate.local.settings import Extent, Setting
from edgesim.validate.local.shapes import ModelShape

__all__ = ["PROMPT_TOKENS", "AtWork", "hired"]

PROMPT_TOKENS = 2
"""Tokens of a run that is made for its prompt, so that the next prompt follows a decoding step."""

_MEMBERS = 2  # number of members in a group
_REST_TOKENS = 6  # of short runs
_SEED = 7  # of the random prompts
_TURNS_OF_SUMS = (0, 1, 1, 0, 1, 0, 0, 1)  # the other models that sum, two for each run of a group
_SUM_TOKENS = 8  # of the other models: sums scatter more than anything else


class AtWork:
    """Processes that run one model in every setting, interleaved with measurements of it.

    Parameters
    ----------
    crew
        The crew that starts the workers.
    cores
        One for each stage of the ring.
    folder
        Folder for files exchanged between the processes.
    context
        Config of the models for measuring messages and sums; None: the default ones.

    Attributes
    ----------
    gauges
        Measure the model's profiles in the same processes.
    """

    def __init__(
        self,
        crew: Crew,
        shape: ModelShape,
        extent: Extent,
        cores: Sequence[int],
        folder: Path,
        *,
        context: dict[str, Any] | None = None,
    ) -> None:
        self._crew, self._shape, self._extent, self._folder = crew, shape, extent, folder
        architecture = shape.architecture
        vocabulary = architecture.vocab_size
        rng = np.random.default_rng(_SEED)
        size = (len(cores), extent.n_prompt)
        self._prompts: list[list[int]] = rng.integers(1, vocabulary, size=size).tolist()
        self._stages = [crew.hire(f"stage {number}", core) for number, core in enumerate(cores)]
        self._members = self._stages[:_MEMBERS] if len(cores) >= _MEMBERS else []
        self.gauges = Gauges(self._ask, shape, extent, self._stages, folder)
        self._hold(self._stages[:1], "whole", [{}])
        self._context: Context | None = None
        self._sum_contexts: list[SumContext] = []
        if self._members:
            parts = [{"blocks": list(cut)} for cut in stage_blocks(architecture.n_blocks, len(cores))]
            self._hold(self._stages, "stage", parts)
            everything = [0, architecture.n_blocks]
            shards = [{"blocks": everything, "shard": [rank, _MEMBERS]} for rank in range(_MEMBERS)]
            self._hold(self._members, "shard", shards)
            form_ring(crew, self._stages)
            join_group(crew, self._members, folder)
            pair = self._stages[0], self._stages[1]
            self._context = Context(crew, pair, context or CONTEXT)
            self._sum_contexts = [
                SumContext(crew, pair, context or CONTEXT, "long stretches"),
                SumContext(crew, pair, context or SHORT_CONTEXT, "short stretches"),
            ]

    def begin_communication(self) -> None:
        """Start measuring the cost of messages and sums, if there are several processes."""
        self._rests = Rests(len(self._stages))
        self._shards = Members(2 * self._shape.architecture.n_blocks)
        self._first_steps_s: list[float] = []
        self._steps_s: list[float] = []
        if self._context is not None:
            self._context.begin()
        for each in self._sum_contexts:
            each.begin()
        # Before and after a run in turn, so that neither is always before, nor always begins with sums there.
        self._next_sums = cycle(self._sum_contexts[number] for number in _TURNS_OF_SUMS if self._sum_contexts)

    def communicate_once(self) -> None:
        """Measure messages once more, the steps between passes, and what stages lose by sleeping.

        Costs of sums come with those of messages, as in a profile; predictions use :meth:`group_times`.
        """
        if self._context is None:
            return
        is_pair = len(self._stages) == _MEMBERS
        if not is_pair:
            form_ring(self._crew, self._members)
        self._context.turn()
        if not is_pair:
            form_ring(self._crew, self._stages)
        self._step_once()
        self._rest_once()

    def sum_once(self) -> None:
        """Measure sums once more, of the other models in turn, and what members compute between them."""
        context = next(self._next_sums)
        context.turn(_SUM_TOKENS)
        self._shards_once(context.rests_s())

    def rest_losses(self, fastest: int) -> RestLosses | None:
        """Return what passes lose after sleeps; None with a single process."""
        return None if self._context is None else self._rests.losses(fastest)

    def group_times(self, fastest: int) -> GroupTimes | None:
        """Return what a group computes between sums, and its exchanges; None with a single process."""
        if not self._sum_contexts:
            return None
        prompt, step = self._shards.times(fastest)
        exchanges = Exchanges.of(self._sum_contexts, fastest)
        return GroupTimes(prompt, step, exchanges, self._shards.first_stretch_s(fastest))

    def communication(self, fastest: int) -> Communication | None:
        """Return the cost of messages and sums, with this model's own loop steps; None with one process."""
        if self._context is None:
            return None
        return replace(
            self._context.communication(fastest),
            step_before_s=float(typical(self._first_steps_s, fastest)),
            step_s=float(typical(self._steps_s, fastest)),
        )

    def busy_s(self) -> float:
        """Return the processor time of its processes so far [s]."""
        return self._crew.busy_s()

    def run(self, setting: Setting, *, n_out: int | None = None, measuring: bool = False) -> dict[str, Any]:
        """Run a setting once; return its start, the instants of tokens, busy times and token ids.

        Those of rings and groups have slept before, for as long as the losses of prompts were measured after.
        A single device has just answered another request.

        Parameters
        ----------
        n_out
            Tokens generated; None: as many as the extent says.
        measuring
            For a single device: measure a point of its profile between two tokens; this time is not part of
            the run's.
        """
        n_out = n_out or self._extent.n_out
        if setting.kind == "single":
            order = {"do": "generate", "model": "whole", "prompt": self._prompts[0], "n_out": n_out}
            if measuring:
                order["gauge"] = Company.WHOLE.value
            return {**self._ask([(self._stages[0], order)])[0], "busy_s": []}
        sleep(RESTS_S[-1])
        if setting.kind == "tensor":
            return self._run_group(n_out)
        shape = {} if setting.link.order is None else {"shape": setting.link.order}
        led = {"do": "lead", "model": "stage", "prompts": self._prompts[: setting.n_samples], "n_out": n_out}
        orders: list[tuple[Worker, Order]] = [(self._stages[0], {**led, **shape})]
        orders += [(stage, {"do": "follow", "model": "stage", **shape}) for stage in self._stages[1:]]
        answers = self._ask(orders)
        busy = [busy_s([Visit(*visit) for visit in answer["visits"]]) for answer in answers]
        return {**answers[0], "busy_s": busy}

    def logits_error(self) -> float:
        """Return the largest difference of members' logits after the prompt from the whole model's."""
        orders = [(self._stages[0], "whole"), *((member, "shard") for member in self._members)]
        files = [self._folder / f"logits-{number}.npy" for number in range(len(orders))]
        asked: list[tuple[Worker, Order]] = [
            (worker, {"do": "logits", "model": model, "prompt": self._prompts[0], "file": str(file)})
            for (worker, model), file in zip(orders, files, strict=True)
        ]
        self._ask(asked[:1])
        self._ask(asked[1:])
        whole, *shards = (np.load(file, allow_pickle=False) for file in files)
        return max((float(np.abs(shard - whole).max()) for shard in shards), default=0.0)

    # --- internals ----------------------------------------------------------------------------------------

    def _run_group(self, n_out: int) -> dict[str, Any]:
        order = {"do": "together", "model": "shard", "prompt": self._prompts[0], "n_out": n_out, "sums": True}
        answers = self._ask([(member, order) for member in self._members])
        busy_s = []
        for rank, answer in enumerate(answers):
            idle_s = sum(left_at_s - entered_at_s for entered_at_s, left_at_s in answer["sums_s"])
            if rank:  # every member has embedding and head, so that no token is sent; they count once
                idle_s += answer["ends_s"]
            busy_s.append(answer["emitted_at_s"][0][-1] - answer["began_at_s"] - idle_s)
        # Members of a group must generate the same tokens, since none are exchanged.
        return {**answers[0], "busy_s": busy_s, "other_ids": [answer["ids"] for answer in answers[1:]]}

    def _step_once(self) -> None:
        """Time the steps of a ring's loop behind the passes of the first stage, alone."""
        n_out = min(self._extent.n_out, _REST_TOKENS)
        order: Order = {"do": "alone", "model": "stage", "prompt": self._prompts[0], "n_out": n_out}
        answer = self._ask([(self._stages[0], order)])[0]
        self._first_steps_s.append(answer["first_step_s"])
        self._steps_s += answer["steps_s"]

    def _rest_once(self) -> None:
        """Time each stage after sleeps."""
        n_prompt = self._extent.n_prompt
        order: Order = {"do": "rest", "model": "stage", "n_prompt": n_prompt}
        order = {**order, "rests_s": list(RESTS_S), "head_rests_s": list(HEAD_RESTS_S)}
        for number, stage in enumerate(self._stages):
            self._rests.add_stage(number, self._ask([(stage, order)])[0])

    def _shards_once(self, rests_s: Sequence[float]) -> None:
        """Let a group's members sleep in the place of sums, with decoding steps and without.

        They have slept and, before, decoded, as before a run; as there, another model in the first of three.
        """
        for n_out in (min(self._extent.n_out, _REST_TOKENS), PROMPT_TOKENS, PROMPT_TOKENS):
            sleep(RESTS_S[-1])
            order: Order = {"do": "together", "model": "shard", "sums": False, "rests_s": rests_s}
            order = {**order, "prompt": self._prompts[0], "n_out": n_out}
            self._shards.add(self._ask([(member, order) for member in self._members]))

    def _hold(self, workers: Sequence[Worker], name: str, parts: Sequence[dict[str, Any]]) -> None:
        order = {**self._shape.order(), "do": "hold", "as": name}
        self._ask([(worker, {**order, **part}) for worker, part in zip(workers, parts, strict=True)])

    def _ask(self, orders: Sequence[tuple[Worker, Order]]) -> list[Answer]:
        return self._crew.ask(orders, timeout_s=PATIENCE_S)


@contextmanager
def hired(
    shape: ModelShape,
    extent: Extent,
    cores: Sequence[int],
    folder: Path,
    *,
    context: dict[str, Any] | None = None,
) -> Iterator[AtWork]:
    """Run a model's processes within the context, and end them on leaving it."""
    with Crew() as crew:
        yield AtWork(crew, shape, extent, cores, folder, context=context)
