"""From a scenario to a trace: everything that can fail is tried before time zero, then the clock starts."""

from __future__ import annotations

import gc
import hashlib
import math
import os
import platform
import subprocess
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from concurrent.futures import ProcessPoolExecutor, as_completed
from dataclasses import asdict, dataclass, field, replace
from importlib.metadata import PackageNotFoundError, version
from itertools import groupby
from multiprocessing import get_context, parent_process
from multiprocessing.connection import wait
from os import PathLike
from pathlib import Path
from threading import Thread

from edgesim.engine.cluster import Cluster
from edgesim.engine.process.clock import Clock
from edgesim.engine.simulation import simulate
from edgesim.errors import InputError, PlacementError, ScenarioError, StrategyError
from edgesim.model.profile import Profile
from edgesim.model.quantisation.packing import Packed
from edgesim.planning.policies.training import Training
from edgesim.planning.splitting.policy import Policy
from edgesim.rng import Streams
from edgesim.scenario.build import build_world, extent, workload
from edgesim.scenario.contenders import contenders
from edgesim.scenario.quality import Quality, find_quality
from edgesim.scenario.radio.presence import PresentDemand
from edgesim.scenario.remarks import remarks
from edgesim.scenario.schema.scenario import Scenario
from edgesim.scenario.timings import (
    Measuring,
    Profiles,
    check_coverage,
    corrections,
    find_profiles,
    timings,
)
from edgesim.scenario.trained import find_policy, keep_policy, training_digest, training_scenario
from edgesim.strategy import Placement, Strategy, check_memory
from edgesim.trace.reader import Trace
from edgesim.trace.writer import OWN_PROFILE_FILE, PROFILE_FILE, TraceFolder
from edgesim.workload.requests import Demand, Extent
from edgesim.world.fleet import Fleet
from edgesim.world.routes import link_facts
from edgesim.world.stages import check_stages
from edgesim.world.world import World

_COLLECTED_EVERY = 16  # replications of a strategy; one holds on to some 0.7 MB, a collection takes 0.1 s

__all__ = [
    "Lesson",
    "Measuring",
    "Prepared",
    "Ran",
    "Trainer",
    "free_folder",
    "lesson",
    "prepare",
    "run",
]


@dataclass(frozen=True)
class Prepared:
    """A scenario that is known to run: profile at hand, every strategy placed on the fleet.

    Attributes
    ----------
    profiles
        Measured compute: what devices are scaled from, and what was measured on them.
    workload
        The scenario's requests; what a file told of them is known by now.
    longest
        How many there are in a replication, and how long they get.
    placements
        What each strategy decided, by label.
    quality
        Measured answers that the scenario asks for.
    remarks
        What is no mistake, and yet should not pass in silence.
    policies
        Files of the policies that strategies were given because they had to be trained, by label.
    """

    scenario: Scenario
    workload: Demand
    longest: Extent
    profiles: Profiles
    strategies: Mapping[str, Strategy]
    placements: Mapping[str, Placement]
    quality: Quality = field(default_factory=Quality)
    remarks: tuple[str, ...] = ()
    policies: Mapping[str, Path] = field(default_factory=dict)

    @property
    def profile(self) -> Profile | None:
        """What devices are scaled from; None where the scenario asks for formulas, or nothing is scaled."""
        return self.profiles.base


@dataclass(frozen=True, eq=False)
class Lesson:
    """What a strategy is trained on.

    Attributes
    ----------
    prepared
        The scenario with this strategy alone, and with training's own seed, horizon and replications.
    label
        The strategy's.
    training
        What is to be learned.
    digest
        Of all that the policy depends on; goes into its record as ``trained_on``.
    """

    prepared: Prepared
    label: str
    training: Training
    digest: str


Trainer = Callable[[Lesson], Policy]
"""What trains: it is handed in, for runs of finished policies need nothing that trains."""


@dataclass(frozen=True)
class Ran:
    """One strategy's one replication is done."""

    strategy: str
    replication: int
    took_s: float


def prepare(
    scenario: Scenario,
    *,
    only: Sequence[str] = (),
    measure: bool = True,
    refresh: bool = False,
    measuring: Measuring | None = None,
    trainer: Trainer | None = None,
    finds_policies: bool = True,
) -> Prepared:
    """Get the profile, let every strategy place the model, and train those that have to be.

    Parameters
    ----------
    only
        Labels of the strategies to take; all if empty.
    measure
        Whether to measure a profile that is not at hand; if not, strategies are placed by the ceilings of
        the device kinds, which is good enough to look at but not to run.
    refresh
        Whether to measure even though a profile is kept.
    measuring
        Told of the progress where the profile has to be measured first.
    trainer
        Trains the strategies that have to be and for which no policy is kept or shipped; without one these
        stay as they are, good enough to look at and to train but not to run.
    finds_policies
        Whether to look for policies at all.

    Raises
    ------
    InputError
        For all that can be known to be wrong before time zero.
    """
    strategies = _chosen(contenders(scenario), only)
    law = workload(scenario)
    longest = extent(scenario, law)
    # Of sources that are all absent, a remark says it.
    if not _has_arrivals(law, scenario, 0.0) and not isinstance(law, PresentDemand):
        raise ScenarioError(
            f"{scenario.origin.name}: $.workload: no request arrives before the horizon; "
            "lengthen it or raise the rate"
        )
    if scenario.warmup_s and not _has_arrivals(law, scenario, scenario.warmup_s):
        raise ScenarioError(
            f"{scenario.origin.name}: $.warmup: no request arrives after the first "
            f"{scenario.warmup_s:g} s, so nothing would be left to report; shorten it, or let more arrive"
        )
    cuts_blocks = any(strategy.cuts_blocks for strategy in strategies.values())
    profiles = find_profiles(
        scenario, longest, shards=cuts_blocks, measure=measure, refresh=refresh, measuring=measuring
    )
    check_coverage(scenario, profiles, longest)
    quality = find_quality(scenario)
    world = build_world(scenario, 0, timings(scenario, profiles), law, quality)
    fleet = Fleet.of(world, longest)
    placements = {
        label: _place(scenario, label, strategy, world, fleet) for label, strategy in strategies.items()
    }
    policies: dict[str, Path] = {}
    for label, strategy in strategies.items() if finds_policies else ():
        if strategy.needs_training:
            found = _policy_of(_lesson(scenario, label, strategy, profiles, quality), trainer)
            if found is not None:
                policies[label] = found
    if policies:
        strategies = {label: _given(each, policies.get(label)) for label, each in strategies.items()}
        placements |= {label: _place(scenario, label, strategies[label], world, fleet) for label in policies}
    quality = quality.needed_by([rule for placed in placements.values() for rule in placed.exit_rules])
    said = remarks(scenario, law)
    return Prepared(scenario, law, longest, profiles, strategies, placements, quality, said, policies)


def lesson(prepared: Prepared, label: str) -> Lesson:
    """Return what a prepared scenario's strategy is trained on, whether it has to be or not.

    Raises
    ------
    InputError
        If no strategy has that label, or it has no decision to train.
    """
    strategy = _chosen(prepared.strategies, (label,))[label]
    quality = find_quality(prepared.scenario)
    return _lesson(prepared.scenario, label, strategy, prepared.profiles, quality)


def run(
    prepared: Prepared,
    out: str | PathLike[str],
    *,
    jobs: int = 1,
    replace: bool = False,
    told: Callable[[Ran], None] | None = None,
) -> Trace:
    """Simulate every strategy in every replication, and write the trace.

    Parameters
    ----------
    out
        The trace's folder.
    jobs
        Processes to share the work; the trace is the same to the byte for any number.
    replace
        Whether an earlier trace in `out` may be overwritten.
    told
        Called after each replication, in the order in which they end.
    """
    if jobs < 1:
        raise InputError(f"--jobs: expected at least 1 process, got {jobs}")
    _check_trained(prepared)
    scenario, out = prepared.scenario, Path(out)
    folder = TraceFolder(out, replace=replace)
    facts = _facts(prepared)
    folder.write_run({**facts, "status": "running"})
    kept = _Kept.of(prepared.profiles)
    kept.save(prepared.profiles, out)
    prepared.quality.save(out)
    tasks = [
        _Task(
            scenario,
            label,
            prepared.strategies[label],
            prepared.placements[label],
            replication,
            out,
            kept=kept,
        )
        for replication in range(scenario.replications)
        for label in prepared.strategies
    ]
    began_s = time.perf_counter()
    for ran in _work(tasks, min(jobs, len(tasks)), prepared):
        if told is not None:
            told(ran)
    folder.write_run(
        {
            **facts,
            "status": "complete",
            "simulating_took_s": round(time.perf_counter() - began_s, 3),
        }
    )
    return Trace(out)


def free_folder(parent: Path, name: str) -> Path:
    """Find the first of ``name``, ``name-2``, ``name-3``, ... that is not there yet."""
    number = 1
    while (folder := parent / (name if number == 1 else f"{name}-{number}")).exists():
        number += 1
    return folder


# --- before time zero ----------------------------------------------------------------------------


def _has_arrivals(law: Demand, scenario: Scenario, from_s: float) -> bool:
    """Whether anything arrives between an instant and the horizon."""
    streams = Streams(scenario.seed)
    until_s = math.inf if scenario.horizon_s is None else scenario.horizon_s
    if law.is_closed:  # instants depend on the strategy, but for conversations' first turns
        return any(conversation.starts_at_s < until_s for conversation in law.conversations(streams))
    return any(from_s <= request.arrived_at_s < until_s for request in law.requests(streams))


def _chosen(strategies: Mapping[str, Strategy], only: Sequence[str]) -> Mapping[str, Strategy]:
    unknown = [label for label in only if label not in strategies]
    if unknown:
        raise ScenarioError(
            f"--strategy: no strategy is labelled {unknown[0]!r}; there are {', '.join(strategies)}"
        )
    return {label: strategy for label, strategy in strategies.items() if not only or label in only}


def _place(scenario: Scenario, label: str, strategy: Strategy, world: World, fleet: Fleet) -> Placement:
    try:
        placement = strategy.place(world.model, fleet)
        check_memory(placement, world.model, fleet)
        check_stages(world.model, world.devices, placement.holdings)
        # What a run would refuse at time zero is refused here, so that it is found by a check, too.
        rehearsal = Cluster(world, Clock(), placement.holdings, shards=placement.shards)
        for group, summing in placement.groups.items():
            rehearsal.check_group(
                group,
                summing,
                max_new=fleet.extent.n_prompt_tokens,
                max_context=fleet.extent.n_tokens - 1,
            )
        for rule, caches in placement.exit_rules:
            rehearsal.check_exits(rule, caches)
    except InputError as error:
        raise PlacementError(f"{scenario.origin.name}: strategy {label!r}: {error}") from None
    return placement


def _lesson(
    scenario: Scenario, label: str, strategy: Strategy, profiles: Profiles, quality: Quality
) -> Lesson:
    own = training_scenario(scenario, label)
    law = workload(own)
    longest = extent(own, law)
    world = build_world(own, 0, timings(own, profiles), law, quality)
    fleet = Fleet.of(world, longest)
    placement = _place(own, label, strategy, world, fleet)
    training = strategy.training(placement, world.model, fleet)
    if training is None:
        raise StrategyError(
            f"{scenario.origin.name}: strategy {label!r} has no decision that can be trained; expected one "
            "that says so in Strategy.training"
        )
    quality = quality.needed_by(placement.exit_rules)
    prepared = Prepared(own, law, longest, profiles, {label: strategy}, {label: placement}, quality)
    return Lesson(prepared, label, training, training_digest(own, strategy, training, profiles, quality))


def _policy_of(lesson: Lesson, trainer: Trainer | None) -> Path | None:
    """The file of a strategy's policy: kept, shipped, or trained now."""
    found = find_policy(lesson.digest)
    if found is not None or trainer is None:
        return found
    policy = trainer(lesson)
    return keep_policy(replace(policy, record=replace(policy.record, trained_on=lesson.digest)))


def _given(strategy: Strategy, file: Path | None) -> Strategy:
    return strategy if file is None else strategy.with_policy(file)


def _check_trained(prepared: Prepared) -> None:
    for label, strategy in prepared.strategies.items():
        if strategy.needs_training:
            raise StrategyError(
                f"{prepared.scenario.origin.name}: strategy {label!r} has to be trained first, and no policy "
                "of exactly this is kept or shipped; 'edgesim run' trains it on first use, 'edgesim train' "
                "into a file; in Python, prepare(..., trainer=edgesim.gym.teaching.trainer())"
            )


# --- the run -------------------------------------------------------------------------------------


@dataclass(frozen=True)
class _Kept:
    """Which files of a trace hold the profiles that it was charged with."""

    base: str | None
    own: Mapping[str, str]

    @classmethod
    def of(cls, profiles: Profiles) -> _Kept:
        """Name the files; kinds that share a profile share its file."""
        own = {name: OWN_PROFILE_FILE.format(own.digest[:16]) for name, own in profiles.own.items()}
        return cls(None if profiles.base is None else PROFILE_FILE, own)

    def save(self, profiles: Profiles, folder: Path) -> None:
        """Write them."""
        if self.base is not None and profiles.base is not None:
            profiles.base.save(folder / self.base)
        for name, file in self.own.items():
            profiles.own[name].save(folder / file)

    def load(self, folder: Path) -> Profiles:
        """Read them."""
        base = None if self.base is None else Profile.load(folder / self.base)
        return Profiles(base, {name: Profile.load(folder / file) for name, file in self.own.items()})


@dataclass(frozen=True)
class _Task:
    """One strategy's one replication, as it travels to the process that simulates it."""

    scenario: Scenario
    label: str
    strategy: Strategy
    placement: Placement
    replication: int
    out: Path
    kept: _Kept


def _work(tasks: Sequence[_Task], jobs: int, prepared: Prepared) -> Iterator[Ran]:
    if jobs == 1:
        charged = timings(prepared.scenario, prepared.profiles)
        worlds = groupby(tasks, key=lambda task: task.replication)
        for replication, own in worlds:
            # One world for all strategies: what its channels have worked out for one, they have for the next.
            world = build_world(prepared.scenario, replication, charged, quality=prepared.quality)
            for task in own:
                yield _simulate(task, world)
        return
    # Spawned, not forked: measuring may have left threads behind, and threads do not survive a fork.
    pool = ProcessPoolExecutor(jobs, mp_context=get_context("spawn"), initializer=_leave_with_parent)
    try:
        for future in as_completed([pool.submit(_simulate_elsewhere, task) for task in tasks]):
            yield future.result()
    finally:  # also on an error and on Ctrl-C: what has not begun is not begun
        pool.shutdown(wait=True, cancel_futures=True)


def _leave_with_parent() -> None:
    """Let a worker end when its parent is killed, instead of working on for nobody."""
    parent = parent_process()
    if parent is not None:
        watch = Thread(target=lambda: (wait([parent.sentinel]), os._exit(1)), daemon=True)
        watch.start()


def _simulate_elsewhere(task: _Task) -> Ran:
    """Simulate in a worker process, which reads the profiles and answers that the trace carries."""
    charged = timings(task.scenario, task.kept.load(task.out))
    quality = Quality.load(task.out)
    return _simulate(task, build_world(task.scenario, task.replication, charged, quality=quality))


def _simulate(task: _Task, world: World) -> Ran:
    began_s = time.perf_counter()
    parts = TraceFolder.reopen(task.out).parts(task.label, task.replication)
    simulate(world, task.strategy, task.placement, task.placement.holdings, parts.write)
    if task.replication % _COLLECTED_EVERY == _COLLECTED_EVERY - 1:
        gc.collect()  # a run's parts refer to one another; left to itself, the collector lets many pile up
    return Ran(task.label, task.replication, time.perf_counter() - began_s)


# --- provenance ----------------------------------------------------------------------------------


def _facts(prepared: Prepared) -> dict[str, object]:
    """What ``run.json`` tells of the run, whatever its end."""
    scenario, profiles = prepared.scenario, prepared.profiles
    charged = timings(scenario, profiles)
    world = build_world(scenario, 0, charged, prepared.workload, prepared.quality)
    kept = _Kept.of(profiles)
    objectives = scenario.objectives.values()
    return {
        "name": scenario.name,
        "scenario": {"file": scenario.origin.name, "digest": scenario.digest, "text": scenario.origin.text},
        "seed": scenario.seed,
        "replications": scenario.replications,
        "horizon_s": scenario.horizon_s,
        "cooldown_s": scenario.longest_cooldown_s,
        "warmup_s": scenario.warmup_s,
        "objectives": {"ttft_s": objectives.ttft_s, "tpot_s": objectives.tpot_s, "e2e_s": objectives.e2e_s},
        "model": {
            "name": world.model.name,
            "dtype": world.model.dtype,
            "bytes_per_weight": world.model.bytes_per_weight,
            "quantisation": world.model.storage.name if isinstance(world.model.storage, Packed) else None,
            "digest": world.model.digest,
            "n_blocks": world.model.n_blocks,
        },
        "strategies": list(prepared.strategies),
        "options": {label: s.model_dump(mode="json") for label, s in prepared.strategies.items()},
        "placements": {
            label: [{"device": stage.device, "holds": str(stage.part)} for stage in placement.stages]
            for label, placement in prepared.placements.items()
        },
        "profile": None if profiles.base is None else {"file": kept.base, **profiles.base.facts()},
        "own_profiles": {name: {"file": kept.own[name], **own.facts()} for name, own in profiles.own.items()},
        "scaled_monotone": {
            name: {str(part): asdict(change) for part, change in parts.items()}
            for name, parts in corrections(charged).items()
        },
        "quality": prepared.quality.facts(),
        **_policy_facts(prepared),
        "links": link_facts(world.links),
        "bands": {
            station: {
                "terminals": sorted(band.members),
                "streams": band.n_streams,
                "antennas": dict(zip(("station", "terminal"), band.antennas, strict=True)),
            }
            for station, band in world.bands.items()
        },
        **_service_facts(world),
        "n_devices": len(world.devices),
        "may_fail": _may_fail(world),
        "retries": world.retry is not None,
        "links_may_fail": [] if world.faults is None else sorted(world.faults.links),
        "topology_file": _file_facts(scenario),
        "workload": world.workload.notes(Streams(scenario.seed, 0)),
        "machine": {
            "system": platform.platform(),
            "python": platform.python_version(),
            "cores": os.cpu_count(),
        },
        "versions": _versions(),
        "git": _git_revision(),
    }


def _policy_facts(prepared: Prepared) -> dict[str, object]:
    """Policies that strategies were given, and on what these were trained; or nothing."""
    told = {
        label: {
            "file": file.name,
            "sha256": hashlib.sha256(file.read_bytes()).hexdigest(),
            "trained_on": Policy.load(file).record.trained_on,
        }
        for label, file in prepared.policies.items()
    }
    return {"policies": told} if told else {}


def _service_facts(world: World) -> dict[str, object]:
    """Devices whose service times are drawn, by which law, and whose speed is not 1; or nothing."""
    drawn = {id_: str(device.service) for id_, device in world.devices.items() if device.service is not None}
    paced = {id_: str(device.speed) for id_, device in world.devices.items() if device.speed is not None}
    return {name: facts for name, facts in (("service", drawn), ("speed", paced)) if facts}


def _may_fail(world: World) -> list[str]:
    """Devices that may be down at some time: by schedule, at random, or when a battery is empty."""
    failing = set() if world.faults is None else set(world.faults.devices)
    return sorted(failing | {id_ for id_, device in world.devices.items() if device.battery is not None})


def _file_facts(scenario: Scenario) -> dict[str, str] | None:
    """Name and digest of the file that describes the topology; None where there is none."""
    file = scenario.topology.file
    if file is None:
        return None
    data = (scenario.origin.folder / Path(file.path).expanduser()).read_bytes()
    return {"file": file.path, "sha256": hashlib.sha256(data).hexdigest()}


def _versions() -> dict[str, str]:
    found = {}
    for package in ("edgesim", "simpy", "numpy", "networkx", "pyarrow", "pydantic", "torch", "transformers"):
        try:
            found[package] = version(package)
        except PackageNotFoundError:  # torch may be absent where a profile is at hand
            continue
    return found


def _git_revision() -> dict[str, object] | None:
    """Revision of edgesim's own checkout; None where it runs from an installed package."""
    here = Path(__file__).parent.parent
    if not (here / ".git").exists():
        return None
    try:
        revision = _git(here, "rev-parse", "HEAD")
        return {"revision": revision, "is_dirty": bool(_git(here, "status", "--porcelain"))}
    except (OSError, subprocess.SubprocessError):
        return None


def _git(folder: Path, *words: str) -> str:
    done = subprocess.run(["git", *words], cwd=folder, capture_output=True, text=True, check=True, timeout=10)
    return done.stdout.strip()
