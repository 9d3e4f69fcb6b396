"""The complete validation: for each model, real runs interleaved with the measurements that predict them."""

from __future__ import annotations

import tempfile
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field, replace
from itertools import chain, count
from pathlib import Path
from time import perf_counter
from typing import Any

import psutil

from edgesim.measure.real.exchanges import GroupTimes
from edgesim.measure.real.rests import RESTS_S, RestLosses
from edgesim.measure.real.worker_pool import free_cores
from edgesim.model.communication import Communication
from edgesim.model.profile import Profile
from edgesim.validate.local.comparing import FigureComparison, compare
from edgesim.validate.local.figures import Figures, of_runs
from edgesim.validate.local.gauges import Company
from edgesim.validate.local.prediction import predicted
from edgesim.validate.local.profiles_in_use import with_loop_steps
from edgesim.validate.local.real_runs import PROMPT_TOKENS, AtWork, hired
from edgesim.validate.local.settings import Extent, Setting, settings
from edgesim.validate.local.shapes import ModelShape

__all__ = ["LOGITS_LIMIT", "Plan", "SettingResult", "ShapeResult", "validate"]

LOGITS_LIMIT = 1e-4
"""Largest accepted difference of a sharded model's logits from the whole model's."""

MOST_OTHER_LOAD_CORES = 0.5
"""Load of other programs up to which the short form judges times."""

Announce = Callable[[str], None]


@dataclass(frozen=True, slots=True, kw_only=True)
class Plan:
    """Amount of measuring.

    Attributes
    ----------
    n_repetitions
        Number of repetitions, each with new measurements of profiles, messages and sums.
    n_runs
        Real runs of each pipeline and group in a repetition, and twice as many of the single device, whose
        limit is tighter. Those of a pipeline follow a short one each that is not used.
    n_prompts
        Further runs beside each of them, of a prompt and two tokens, and as many more measured prompts of the
        single device's profile: prompts scatter by a tenth.
    n_stages
        Processes in the ring; None: one for each core, at most two.
    fastest
        As for :func:`edgesim.measure.trimmed_mean.typical`; used for all times.
    context
        Config of the models for measuring messages and sums; None: the default ones.
    """

    extent: Extent = field(default_factory=Extent)
    n_repetitions: int = 5
    n_runs: int = 20
    n_prompts: int = 2
    n_stages: int | None = None
    fastest: int = 1
    context: dict[str, Any] | None = None

    def short(self) -> Plan:
        """Return a plan that takes a few minutes and detects a factor of two, even beside other programs."""
        return replace(
            self,
            extent=Extent(n_prompt=16, n_out=8),
            n_repetitions=2,
            n_runs=1,
            n_prompts=0,
            fastest=4,
        )


@dataclass(frozen=True, kw_only=True)
class SettingResult:
    """Result of one setting of one model."""

    setting: Setting
    comparisons: list[FigureComparison]


@dataclass(frozen=True, kw_only=True)
class ShapeResult:
    """Results of one model.

    Attributes
    ----------
    has_equal_ids
        Whether all real runs emitted the same token ids: `generate` in one process, the ring, the group.
    logits_error
        Largest difference of the sharded model's logits from the whole model's.
    communications
        Measured costs of messages and sums, by repetition.
    losses
        What passes lost after sleeps, by repetition.
    groups
        What a group computed between sums, and its exchanges, by repetition.
    profiles
        Facts of the profiles, by repetition and name (:meth:`_Repetition.all_profiles`).
    other_load_cores
        Mean number of cores that unrelated programs kept busy.
    """

    shape: ModelShape
    settings: list[SettingResult]
    has_equal_ids: bool
    logits_error: float
    communications: list[Communication]
    losses: list[RestLosses]
    groups: list[GroupTimes]
    profiles: list[dict[str, list[dict[str, Any]]]]
    other_load_cores: float = 0.0

    @property
    def is_disturbed(self) -> bool:
        """Whether other programs caused too much load for times to be meaningful."""
        return self.other_load_cores > MOST_OTHER_LOAD_CORES

    @property
    def is_right(self) -> bool:
        """Whether the processes computed the same model."""
        return self.has_equal_ids and self.logits_error <= LOGITS_LIMIT

    def is_off(self, *, grossly: bool) -> bool:
        """Whether a prediction failed; grossly: undisturbed, and by a factor of two in all repetitions."""
        if grossly and self.is_disturbed:
            return False
        found = [each for one in self.settings for each in one.comparisons]
        return any(each.is_gross if grossly else each.verdict == "failed" for each in found)


def validate(shapes: Iterable[ModelShape], plan: Plan, announce: Announce) -> Iterator[ShapeResult]:
    """Run, measure, simulate and compare, model by model; the request is checked at once.

    Parameters
    ----------
    announce
        Called with a description of each next step.

    Raises
    ------
    InputError
        If this host has too few cores or too little memory for the request.
    WorkerLostError
        If a worker process ends before its work is done.
    """
    cores = free_cores()
    n_stages = plan.n_stages or min(2, len(cores))
    asked = [(shape, list(settings(n_stages, len(cores), shape.architecture.n_blocks))) for shape in shapes]
    return (_of_shape(shape, wanted, plan, cores[:n_stages], announce) for shape, wanted in asked)


def _of_shape(
    shape: ModelShape, wanted: Sequence[Setting], plan: Plan, cores: Sequence[int], announce: Announce
) -> ShapeResult:
    real: dict[Setting, list[Figures]] = {setting: [] for setting in wanted}
    foreseen: dict[Setting, list[Figures]] = {setting: [] for setting in wanted}
    communications, losses, groups, profiles = [], [], [], []
    has_equal_ids, reference, logits_error, loads = True, None, 0.0, []
    if len(cores) < 2:
        wanted = [setting for setting in wanted if setting.kind == "single"]
    with tempfile.TemporaryDirectory() as place:
        folder, numbers = Path(place), count()
        for repetition in range(plan.n_repetitions):
            announce(f"{shape.name}: repetition {repetition + 1} of {plan.n_repetitions}")
            # New processes, so that where they lie in memory differs between repetitions, too.
            with hired(shape, plan.extent, cores, folder, context=plan.context) as at_work:
                logits_error = max(logits_error, at_work.logits_error())
                reference = reference or at_work.run(wanted[0])["ids"][0]
                load = _OtherLoad(at_work)
                taken = _Repetition(at_work, wanted, plan, repetition)
                loads.append(load.n_cores())
            has_equal_ids &= taken.has_ids(reference)
            profiles.append(
                {name: [each.facts() for each in found] for name, found in taken.all_profiles().items()}
            )
            communications += [] if taken.communication is None else [taken.communication]
            losses += [] if taken.losses is None else [taken.losses]
            groups += [] if taken.group is None else [taken.group]
            for setting in wanted:
                real[setting].append(of_runs(taken.runs[setting], plan.fastest, taken.prompts[setting]))
                foreseen[setting].append(
                    predicted(
                        shape,
                        setting,
                        plan.extent,
                        taken.charged(setting),
                        taken.communication,
                        taken.lost(setting),
                        folder / f"run-{next(numbers)}",
                        alone=taken.alone(setting),
                        group=taken.group,
                    )
                )
    return ShapeResult(
        other_load_cores=round(sum(loads) / len(loads), 2),
        shape=shape,
        settings=[
            SettingResult(
                setting=setting, comparisons=compare(real[setting], foreseen[setting], setting.limit)
            )
            for setting in wanted
        ],
        has_equal_ids=has_equal_ids,
        logits_error=logits_error,
        communications=communications,
        losses=losses,
        groups=groups,
        profiles=profiles,
    )


class _OtherLoad:
    """Measures how many cores other programs keep busy from now on."""

    def __init__(self, at_work: AtWork) -> None:
        self._at_work = at_work
        self._began_at_s, self._before_s = perf_counter(), self._others_busy_s()

    def n_cores(self) -> float:
        """Return the mean so far."""
        busy_s = self._others_busy_s() - self._before_s
        return round(max(0.0, busy_s / (perf_counter() - self._began_at_s)), 2)

    def _others_busy_s(self) -> float:
        everything, own = psutil.cpu_times(), psutil.Process().cpu_times()
        idle_s = everything.idle + getattr(everything, "iowait", 0.0)
        busy_s = sum(everything) - getattr(everything, "guest", 0.0) - idle_s
        return float(busy_s - own.user - own.system - self._at_work.busy_s())


class _Repetition:
    """One repetition: each setting's runs, interleaved with the measurements that predict them.

    The single device is predicted with a profile measured between the tokens of its runs and after them.
    Rings with one sample are predicted with profiles of their stages, each measured while the others are
    idle, right before and after each run, and prompts after a sleep. Rings in which several compute are
    predicted with times between two profiles: of two processes at the same time, which share the memory and
    the last-level cache, and of each while the others are idle. A group's shards are measured in context,
    right before and after each run, with a prompt's embedding; its head and the embedding of decoding steps
    in two processes.
    """

    def __init__(self, at_work: AtWork, wanted: Sequence[Setting], plan: Plan, number: int) -> None:
        self.runs: dict[Setting, list[dict[str, Any]]] = {setting: [] for setting in wanted}
        self.prompts: dict[Setting, list[dict[str, Any]]] = {setting: [] for setting in wanted}
        self._at_work, self._plan = at_work, plan
        at_work.begin_communication()
        one_at_a_time = [setting for setting in wanted if not setting.is_crowded]
        crowded = [setting for setting in wanted if setting.is_crowded]
        has_ring = len(one_at_a_time) > 1
        found = self._measured([Company.WHOLE, *[Company.ALONE] * has_ring], one_at_a_time, seed=number)
        (self.whole,), self.rested = found[Company.WHOLE], found.get(Company.ALONE, [])
        found = self._measured([Company.AT_ONCE, Company.ALONE], crowded, seed=number) if crowded else {}
        self.at_once, self.awake = found.get(Company.AT_ONCE, []), found.get(Company.ALONE, [])
        self.communication = at_work.communication(plan.fastest)
        self.losses = at_work.rest_losses(plan.fastest)
        self.group = at_work.group_times(plan.fastest) if crowded else None

    def all_profiles(self) -> dict[str, list[Profile]]:
        """Return all profiles that were measured, of one process each.

        Of the whole model; of stages one after the other, with prompts behind sleeps, and without them; and
        of stages at the same time.
        """
        return {"whole": [self.whole], "rested": self.rested, "awake": self.awake, "at once": self.at_once}

    def _measured(
        self, companies: Sequence[Company], meanwhile: Sequence[Setting], *, seed: int
    ) -> dict[Company, list[Profile]]:
        """Measure profiles, interleaved with real runs."""
        gauges = self._at_work.gauges
        for company in companies:
            gauges.begin(company, fastest=self._plan.fastest, seed=seed)
        for _ in range(self._plan.n_runs):
            self._at_work.communicate_once()
            for number, setting in enumerate(meanwhile):
                if setting.kind == "single":
                    for _ in range(2):
                        self._run_single(setting)
                    continue
                if setting.is_crowded and number % 2 == 0:  # beside half of them: rounds are long
                    gauges.round(Company.AT_ONCE)
                    gauges.round(Company.ALONE)
                if setting.kind == "tensor":
                    self._at_work.sum_once()
                    self._run(setting)
                    self._at_work.sum_once()
                elif setting.is_crowded:
                    self._run(setting)
                else:
                    gauges.round(Company.ALONE, rest_s=RESTS_S[-1])
                    self._run(setting)
                    gauges.round(Company.ALONE, rest_s=RESTS_S[-1])
        return {company: gauges.profiles(company) for company in companies}

    def _run_single(self, setting: Setting) -> None:
        """Run the single device with its profile measured in between, and its prompts behind each run."""
        gauges = self._at_work.gauges
        self.runs[setting].append(self._at_work.run(setting, measuring=True))
        gauges.prompt(Company.WHOLE)
        for _ in range(self._plan.n_prompts):
            self.prompts[setting].append(self._at_work.run(setting, n_out=PROMPT_TOKENS))
            gauges.prompt(Company.WHOLE)

    def _run(self, setting: Setting) -> None:
        """Run a ring or a group; a ring right after another, short run of its own, which is not used.

        Otherwise the first one's prompt alone would follow another model, whose weights have taken the cache.
        """
        if setting.kind == "pipeline":
            self._at_work.run(setting, n_out=PROMPT_TOKENS)
        self.runs[setting].append(self._at_work.run(setting))
        for _ in range(self._plan.n_prompts):
            self.prompts[setting].append(self._at_work.run(setting, n_out=PROMPT_TOKENS))

    def charged(self, setting: Setting) -> list[Profile]:
        """Return the profiles of a setting's devices."""
        if setting.kind == "single":
            return [self.whole]
        return self._in_loops(self.at_once if setting.is_crowded else self.rested, setting)

    def lost(self, setting: Setting) -> RestLosses | None:
        """Return what passes of a setting lose after sleeps, beyond what its profiles have."""
        if self.losses is None or setting.is_crowded:
            return self.losses
        none_s = (0.0,) * len(self.losses.prompts_s)
        return replace(self.losses, prompts_s=none_s, next_prompts_s=none_s)

    def alone(self, setting: Setting) -> list[Profile] | None:
        """Return the profiles of stages that are alone, for rings in which several compute at times."""
        if setting.kind != "pipeline" or not setting.is_crowded:
            return None
        return self._in_loops(self.awake[: len(self.at_once)], setting)

    def _in_loops(self, profiles: Sequence[Profile], setting: Setting) -> list[Profile]:
        """Return a profile for each device: the last one for all that have none of their own."""
        assert self.communication is not None
        charged = [with_loop_steps(profile, self.communication) for profile in profiles]
        return [charged[min(number, len(charged) - 1)] for number in range(setting.n_devices)]

    def has_ids(self, reference: list[int]) -> bool:
        """Return whether all runs gave the same answer to each prompt, and `reference` to the first one.

        Those of further runs have to be the beginnings of these answers.
        """
        whole: dict[int, list[int]] = {0: reference}
        complete = [(sample, ids) for run in chain(*self.runs.values()) for sample, ids in _answers(run)]
        begun = [(sample, ids) for run in chain(*self.prompts.values()) for sample, ids in _answers(run)]
        return all(whole.setdefault(sample, ids) == ids for sample, ids in complete) and all(
            whole[sample][:PROMPT_TOKENS] == ids for sample, ids in begun
        )


def _answers(run: Mapping[str, Any]) -> Iterator[tuple[int, list[int]]]:
    """Yield each answer of a run, by every process that has it, and the number of its prompt."""
    for answers in (run["ids"], *run.get("other_ids", ())):
        yield from enumerate(answers)
