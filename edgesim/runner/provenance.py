"""Provenance of a trace: facts and inputs of the run that wrote it."""

from __future__ import annotations

import os
import platform
import subprocess
from dataclasses import asdict
from importlib.metadata import PackageNotFoundError, version
from pathlib import Path

from edgesim.files import sha256_of, user_path
from edgesim.model.efficiency.timing import RuntimeTiming
from edgesim.model.quantisation.packing import Packed
from edgesim.planning.splitting.policy import Policy
from edgesim.rng import Streams
from edgesim.runner.positions_and_cells import positions_and_cells
from edgesim.runner.prepared import Prepared
from edgesim.scenario.named_files import named_files
from edgesim.scenario.schema.scenario import Scenario
from edgesim.scenario.timings import Profiles, corrections
from edgesim.trace.writer import OWN_PROFILE_FILE, PROFILE_FILE
from edgesim.world.routes import link_facts
from edgesim.world.world import World

__all__ = ["facts", "profile_files", "save_inputs", "versions"]


def facts(prepared: Prepared) -> dict[str, object]:
    """Return the facts that ``run.json`` records of a run, except its status."""
    scenario, profiles = prepared.scenario, prepared.profiles
    world = prepared.world(0)
    base, own_files = profile_files(profiles)
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
            **({} if world.model.keeps_cache else {"kv_cache": False}),
        },
        "strategies": list(prepared.strategies),
        "options": {label: s.model_dump(mode="json") for label, s in prepared.strategies.items()},
        "placements": {
            label: [{"device": stage.device, "holds": str(stage.part)} for stage in placement.stages]
            for label, placement in prepared.placements.items()
        },
        "profile": None if profiles.base is None else {"file": base, **profiles.base.facts()},
        "own_profiles": {
            name: {"file": own_files[name], **own.facts()} for name, own in profiles.own.items()
        },
        "scaled_monotone": {
            name: {str(part): asdict(change) for part, change in parts.items()}
            for name, parts in corrections(prepared.timings).items()
        },
        **_runtime_facts(prepared),
        "quality": prepared.answers.facts(),
        **_policy_facts(prepared),
        **({"edited": list(prepared.edited)} if prepared.edited else {}),
        "links": link_facts(world.links),
        "bands": {
            station: {
                "terminals": sorted(band.members),
                "streams": band.n_streams,
                "antennas": dict(zip(("station", "terminal"), band.antennas, strict=True)),
            }
            for station, band in world.bands.items()
        },
        **positions_and_cells(prepared.layout.nodes.values(), world),
        **_service_facts(world),
        "n_devices": len(world.devices),
        "may_fail": _may_fail(world),
        "retries": world.retry is not None,
        "links_may_fail": [] if world.faults is None else sorted(world.faults.links),
        "topology_file": _file_facts(scenario),
        **({"files": files} if (files := named_files(scenario)) else {}),
        "workload": world.workload.notes(Streams(scenario.seed, 0)),
        "machine": {
            "system": platform.platform(),
            "python": platform.python_version(),
            "cores": os.cpu_count(),
        },
        "versions": versions(),
        "git": _git_revision(),
    }


def profile_files(profiles: Profiles) -> tuple[str | None, dict[str, str]]:
    """Return the names of a trace's profile files: the base's, and by kind; kinds can share one."""
    own = {name: OWN_PROFILE_FILE.format(own.digest[:16]) for name, own in profiles.own.items()}
    return None if profiles.base is None else PROFILE_FILE, own


def save_inputs(prepared: Prepared, folder: Path) -> None:
    """Write the profiles and measured answers of a run into its trace folder."""
    base, own_files = profile_files(prepared.profiles)
    if base is not None and prepared.profiles.base is not None:
        prepared.profiles.base.save(folder / base)
    for name, file in own_files.items():
        prepared.profiles.own[name].save(folder / file)
    prepared.answers.save(folder)


def _runtime_facts(prepared: Prepared) -> dict[str, object]:
    """Return the shares of peaks of kinds with a runtime; empty if there are none."""
    charged = {name: one for name, one in prepared.timings.items() if isinstance(one, RuntimeTiming)}
    reached = {
        name: {
            "memory_share": one.memory_share,
            "vector_share": one.vector_share,
            "matrix_share": one.matrix_share,
            "overhead_s": one.overhead_s,
            "head_cost": one.head_cost,
            "is_enqueued": one.is_enqueued,
        }
        for name, one in charged.items()
    }
    return {"runtimes": reached} if reached else {}


def _policy_facts(prepared: Prepared) -> dict[str, object]:
    """Return the policies of strategies and their training digests; empty if there are none."""
    stated = {
        label: {
            "file": file.name,
            "sha256": sha256_of(file),
            "trained_on": Policy.load(file).record.trained_on,
        }
        for label, file in prepared.policies.items()
    }
    return {"policies": stated} if stated else {}


def _service_facts(world: World) -> dict[str, object]:
    """Return devices with random service times, with a speed, or with a start-up time; empty if none."""
    drawn = {id_: str(device.service) for id_, device in world.devices.items() if device.service is not None}
    paced = {id_: str(device.speed) for id_, device in world.devices.items() if device.speed is not None}
    starting = {id_: device.start_up_s for id_, device in world.devices.items() if device.start_up_s}
    stated: dict[str, object] = {"service": drawn, "speed": paced, "start_up_s": starting}
    return {name: facts for name, facts in stated.items() if facts}


def _may_fail(world: World) -> list[str]:
    """Return the devices that can fail: scheduled, at random, or with an empty battery."""
    failing = set() if world.faults is None else set(world.faults.devices)
    return sorted(failing | {id_ for id_, device in world.devices.items() if device.battery is not None})


def _file_facts(scenario: Scenario) -> dict[str, str] | None:
    """Return name and digest of the topology's graph file; None if there is none."""
    file = scenario.topology.file
    if file is None:
        return None
    return {"file": file.path, "sha256": sha256_of(user_path(scenario.origin.folder, file.path))}


def versions() -> dict[str, str]:
    """Return the versions of the installed packages that affect results."""
    found = {}
    for package in ("edgesim", "simpy", "numpy", "networkx", "pyarrow", "pydantic", "torch", "transformers"):
        try:
            found[package] = version(package)
        except PackageNotFoundError:  # torch is not needed if a profile is available
            continue
    return found


def _git_revision() -> dict[str, object] | None:
    """Return the revision of edgesim's checkout; None for an installed package."""
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
