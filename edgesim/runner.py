"""From a scenario to a trace: everything that can fail is tried before time zero, then the clock starts."""

from __future__ import annotations

import hashlib
import os
import platform
import subprocess
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from concurrent.futures import ProcessPoolExecutor, as_completed
from dataclasses import dataclass
from importlib.metadata import PackageNotFoundError, version
from multiprocessing import get_context, parent_process
from multiprocessing.connection import wait
from os import PathLike
from pathlib import Path
from threading import Thread

from edgesim.engine.fleet import Fleet
from edgesim.engine.link import via_of
from edgesim.engine.serving import ContinuousBatching, Serving, StaticBatching
from edgesim.engine.simulation import simulate
from edgesim.engine.world import World
from edgesim.errors import InputError, PlacementError, ProfileError, ScenarioError
from edgesim.measure.cache import DEFAULT_BUDGET_S, cached_profile, ensure_profile, profile_path
from edgesim.measure.grid import Grid
from edgesim.model.ceilings import Ceilings
from edgesim.model.profile import Profile, Timing
from edgesim.model.scaling import AnalyticTiming, ScaledTiming
from edgesim.rng import Streams
from edgesim.scenario.build import build_world, extent, kinds_used, workload
from edgesim.scenario.check import architecture, profile_file
from edgesim.scenario.contenders import contenders
from edgesim.scenario.schema import Scenario
from edgesim.strategy import Placement, Strategy, check_memory
from edgesim.trace.reader import Trace
from edgesim.trace.writer import PROFILE_FILE, TraceFolder
from edgesim.workload.requests import Demand, Extent

__all__ = ["Measuring", "Prepared", "Ran", "free_folder", "prepare", "run"]

_UNMEASURED_HOST = Ceilings(flop_per_s=1e11, bytes_per_s=1e10, overhead_s=1e-4)
"""A laptop's order of magnitude, by which `check` places a model on a host that has not been measured."""

Measuring = Callable[[float, float, str], None]
"""Progress of measuring: seconds done, seconds in all, and what is being measured."""


@dataclass(frozen=True)
class Prepared:
    """A scenario that is known to run: profile at hand, every strategy placed on the fleet.

    Attributes
    ----------
    profile
        Measured compute; None where the scenario asks for formulas alone.
    workload
        The scenario's requests; what a file told of them is known by now.
    longest
        How many there are in a replication, and how long they get.
    placements
        What each strategy decided, by label.
    """

    scenario: Scenario
    workload: Demand
    longest: Extent
    profile: Profile | None
    strategies: Mapping[str, Strategy]
    placements: Mapping[str, Placement]


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
) -> Prepared:
    """Get the profile, and let every strategy place the model.

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

    Raises
    ------
    InputError
        For all that can be known to be wrong before time zero.
    """
    strategies = _chosen(contenders(scenario), only)
    law = workload(scenario)
    longest = extent(scenario, law)
    if longest.n_requests == 0:
        raise ScenarioError(
            f"{scenario.origin.name}: $.workload: no request arrives before the horizon; "
            "lengthen it or raise the rate"
        )
    if scenario.warmup_s and not _has_after(law, scenario):
        raise ScenarioError(
            f"{scenario.origin.name}: $.warmup: no request arrives after the first "
            f"{scenario.warmup_s:g} s, so nothing would be left to report; shorten it, or let more arrive"
        )
    profile = _profile(scenario, longest, measure, refresh, measuring)
    world = build_world(scenario, 0, _timings(scenario, profile), law)
    for device in world.devices.values():
        if device.timing is not None:
            device.timing.check(max_new=_longest_pass(world, longest), max_context=longest.n_tokens - 1)
    fleet = Fleet.of(world, longest)
    placements = {
        label: _place(scenario, label, strategy, world, fleet) for label, strategy in strategies.items()
    }
    return Prepared(scenario, law, longest, profile, strategies, placements)


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
    scenario, out = prepared.scenario, Path(out)
    folder = TraceFolder(out, replace=replace)
    facts = _facts(prepared)
    folder.write_run({**facts, "status": "running"})
    if prepared.profile is not None:
        prepared.profile.save(out / PROFILE_FILE)
    tasks = [
        _Task(
            scenario,
            label,
            prepared.strategies[label],
            prepared.placements[label],
            replication,
            out,
            has_profile=prepared.profile is not None,
        )
        for replication in range(scenario.replications)
        for label in prepared.strategies
    ]
    began_s = time.perf_counter()
    for ran in _work(tasks, min(jobs, len(tasks)), prepared.profile):
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


def _has_after(law: Demand, scenario: Scenario) -> bool:
    """Whether anything arrives after the warm-up."""
    if law.is_closed:
        return True  # instants depend on the strategy
    requests = law.requests(Streams(scenario.seed))
    return any(request.arrived_at_s >= scenario.warmup_s for request in requests)


def _chosen(strategies: Mapping[str, Strategy], only: Sequence[str]) -> Mapping[str, Strategy]:
    unknown = [label for label in only if label not in strategies]
    if unknown:
        raise ScenarioError(
            f"--strategy: no strategy is labelled {unknown[0]!r}; there are {', '.join(strategies)}"
        )
    return {label: strategy for label, strategy in strategies.items() if not only or label in only}


def _profile(
    scenario: Scenario, longest: Extent, measure: bool, refresh: bool, measuring: Measuring | None
) -> Profile | None:
    if scenario.profile.use == "analytic":
        return None
    model = architecture(scenario)
    file = profile_file(scenario)
    if file is not None:
        profile = Profile.load(file)
        if profile.architecture.digest != model.digest:
            raise ProfileError(
                f"{scenario.origin.name}: $.profile: {file} is a profile of {profile.architecture.name} in "
                f"{profile.architecture.dtype}, the scenario's model is {model.name} in {model.dtype}; "
                "name a profile of this model, or write auto"
            )
        return profile
    served = {entry.serving.value() for entry in scenario.topology.devices if entry.serving is not None}
    grid = Grid.covering(
        longest.n_tokens if any(map(_recomputes, served)) else longest.n_prompt_tokens,
        longest.n_tokens,
        _batches(max(map(_largest_batch, served), default=1)),
    ).within(model)
    threads = scenario.profile.threads or os.cpu_count() or 1
    if not measure:
        return cached_profile(profile_path(model, threads=threads, device="cpu", grid=grid))
    budget_s = scenario.profile.budget_s or DEFAULT_BUDGET_S
    return ensure_profile(
        model, threads=threads, grid=grid, budget_s=budget_s, progress=measuring, refresh=refresh
    )


def _recomputes(serving: Serving | None) -> bool:
    """Whether a preempted request may have to compute all its tokens in one pass."""
    return isinstance(serving, ContinuousBatching) and serving.cache == "grow"


def _largest_batch(serving: Serving | None) -> int:
    return serving.max_batch if isinstance(serving, ContinuousBatching | StaticBatching) else 1


def _batches(largest: int) -> tuple[int, ...]:
    """Batch sizes to measure: powers of two up to the largest, and that."""
    return (*(1 << k for k in range((largest - 1).bit_length())), largest)


def _longest_pass(world: World, longest: Extent) -> int:
    grows = any(_recomputes(device.serving) for device in world.devices.values())
    return longest.n_tokens if grows else longest.n_prompt_tokens


def _timings(scenario: Scenario, profile: Profile | None) -> dict[str, Timing]:
    """How long the model takes on each device kind: measured there, scaled to it, or by formulas."""
    model = architecture(scenario)
    timings: dict[str, Timing] = {}
    for name, kind in kinds_used(scenario).items():
        ceilings = kind.ceilings(model.dtype)
        if profile is None:
            timings[name] = AnalyticTiming(model, ceilings or _UNMEASURED_HOST)
        else:
            timings[name] = profile.timing() if ceilings is None else ScaledTiming(profile, ceilings)
    return timings


def _place(scenario: Scenario, label: str, strategy: Strategy, world: World, fleet: Fleet) -> Placement:
    try:
        placement = strategy.place(world.model, fleet)
        check_memory(placement, world.model, fleet)
    except PlacementError as error:
        raise PlacementError(f"{scenario.origin.name}: strategy {label!r}: {error}") from None
    return placement


# --- the run -------------------------------------------------------------------------------------


@dataclass(frozen=True)
class _Task:
    """One strategy's one replication, as it travels to the process that simulates it."""

    scenario: Scenario
    label: str
    strategy: Strategy
    placement: Placement
    replication: int
    out: Path
    has_profile: bool


def _work(tasks: Sequence[_Task], jobs: int, profile: Profile | None) -> Iterator[Ran]:
    if jobs == 1:
        timings = _timings(tasks[0].scenario, profile)
        for task in tasks:
            yield _simulate(task, timings)
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
    """Simulate in a worker process, which reads the profile that the trace carries."""
    profile = Profile.load(task.out / PROFILE_FILE) if task.has_profile else None
    return _simulate(task, _timings(task.scenario, profile))


def _simulate(task: _Task, timings: Mapping[str, Timing]) -> Ran:
    began_s = time.perf_counter()
    world = build_world(task.scenario, task.replication, timings)
    parts = TraceFolder.reopen(task.out).parts(task.label, task.replication)
    simulate(world, task.strategy, task.placement, task.placement.holdings, parts.write)
    return Ran(task.label, task.replication, time.perf_counter() - began_s)


# --- provenance ----------------------------------------------------------------------------------


def _facts(prepared: Prepared) -> dict[str, object]:
    """What ``run.json`` tells of the run, whatever its end."""
    scenario, profile = prepared.scenario, prepared.profile
    world = build_world(scenario, 0, _timings(scenario, profile), prepared.workload)
    objectives = scenario.objectives.values()
    return {
        "name": scenario.name,
        "scenario": {"file": scenario.origin.name, "digest": scenario.digest, "text": scenario.origin.text},
        "seed": scenario.seed,
        "replications": scenario.replications,
        "horizon_s": scenario.horizon_s,
        "warmup_s": scenario.warmup_s,
        "objectives": {"ttft_s": objectives.ttft_s, "tpot_s": objectives.tpot_s, "e2e_s": objectives.e2e_s},
        "model": {"name": world.model.name, "dtype": world.model.dtype, "digest": world.model.digest},
        "strategies": list(prepared.strategies),
        "options": {label: s.model_dump(mode="json") for label, s in prepared.strategies.items()},
        "placements": {
            label: [{"device": stage.device, "holds": str(stage.part)} for stage in placement.stages]
            for label, placement in prepared.placements.items()
        },
        "profile": None
        if profile is None
        else {
            "file": PROFILE_FILE,
            "digest": profile.digest,
            "measured_at": profile.measured_at,
            "host": dict(profile.host),
            "device": profile.device,
            "threads": profile.threads,
            "held_out_error": {"median": profile.held_out_error.median, "p95": profile.held_out_error.p95},
        },
        "links": {
            via_of(link): {
                "rate_bps": link.rate_bps if isinstance(link.rate_bps, int | float) else None,
                "latency_s": link.latency_s,
            }
            for link in world.links
        },
        "n_devices": len(world.devices),
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
