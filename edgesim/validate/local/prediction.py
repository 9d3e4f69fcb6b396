"""Simulate the settings of real runs with the costs measured alongside them."""

from __future__ import annotations

import io
import json
from collections.abc import Sequence
from itertools import pairwise
from pathlib import Path
from typing import Any

from ruamel.yaml import YAML

from edgesim import runner
from edgesim.measure.real.exchanges import GroupTimes
from edgesim.measure.real.rests import RestLosses
from edgesim.model.communication import Communication
from edgesim.model.profile import Phase, Profile
from edgesim.scenario.load import parse
from edgesim.trace.reader import Trace
from edgesim.units import TIME, bits
from edgesim.validate.local.contention import shares_beside
from edgesim.validate.local.figures import Figures
from edgesim.validate.local.profiles_in_use import weighed, with_messages, with_shards
from edgesim.validate.local.ring_cycle import (
    between_prompts_s,
    handling_s,
    idle_s,
    wait_for_prompt_s,
)
from edgesim.validate.local.settings import Extent, Setting
from edgesim.validate.local.shapes import ModelShape

__all__ = ["predicted", "scenario", "stage_blocks"]

_N_WEIGHINGS = 2  # a third changed no figure by 0.01 %, in a repetition of two models
_FASTEST = 1e14  # highest rate allowed in a scenario; such a link takes no time


def stage_blocks(n_blocks: int, n_stages: int) -> list[tuple[int, int]]:
    """Cut the blocks as evenly as possible: (first, end) of each stage; earlier stages are larger."""
    each, left = divmod(n_blocks, n_stages)
    ends = [0]
    for stage in range(n_stages):
        ends.append(ends[-1] + each + (stage < left))
    return list(pairwise(ends))


def scenario(
    shape: ModelShape,
    setting: Setting,
    extent: Extent,
    profiles: Sequence[Path],
    communication: Communication | None,
    model: Path,
    per_sum_s: float = 0.0,
    start_ups_s: Sequence[float] = (),
) -> dict[str, Any]:
    """Return a setting as the contents of a scenario file.

    Parameters
    ----------
    profiles
        Files of the devices' profiles, one for each; for a ring, they include the handling of messages.
    communication
        Costs of messages; needed for a ring.
    model
        Folder with the model's config.
    per_sum_s
        Time of a group's sum [s], all of it.
    start_ups_s
        What each device's first pass takes longer [s]; none by default.
    """
    devices = _devices(setting)
    wire = {"rate": f"{_FASTEST:g} bit/s", "latency": "0 s"}
    strategy: dict[str, Any] = {"use": "local"}
    if setting.kind == "pipeline":
        assert communication is not None
        transit = communication.transit
        rate_bps = setting.link.rate_bps or _rate_bps(transit.s_per_byte)
        latency_s = setting.link.latency_s + transit.fixed_s
        wire = {"rate": f"{rate_bps:.9g} bit/s", "latency": _time(latency_s)}
        cut = [last - first for first, last in stage_blocks(shape.architecture.n_blocks, setting.n_devices)]
        strategy = {"use": "pipeline", "partition": cut, "over": devices}
    elif setting.kind == "tensor":
        strategy = {"use": "tensor_parallel", "over": devices, "all_reduce": "star"}
        strategy["per_sum"] = _time(per_sum_s)
    return {
        "name": "validate-local",
        "model": {"architecture": str(model), "dtype": "float32"},
        "profile": str(profiles[0]),
        "kinds": {
            f"core-{number}": {
                "memory": "1 TB",
                "process_memory": "0 B",
                "power": dict.fromkeys(("idle", "active", "tx", "rx"), "0 W"),
                "endpoint": {"overhead": "0 s"},  # the passes include the handling of messages
                "profile": [str(profile)],
                "start_up": _time(start_up_s),
            }
            for number, (profile, start_up_s) in enumerate(
                zip(profiles, start_ups_s or [0.0] * len(profiles), strict=True)
            )
        },
        "topology": {
            "devices": [{"id": device, "kind": f"core-{number}"} for number, device in enumerate(devices)],
            "links": [
                {"between": [one, other], "wired": wire}
                for number, one in enumerate(devices)
                for other in devices[number + 1 :]
            ],
        },
        "workload": {
            "sources": devices[0],
            "arrivals": {"bursts": {"requests": setting.n_samples, "every": "24 h"}},
            "requests": setting.n_samples,
            "prompt_tokens": extent.n_prompt,
            "output_tokens": extent.n_out,
        },
        "strategies": [strategy],
    }


def predicted(
    shape: ModelShape,
    setting: Setting,
    extent: Extent,
    profiles: Sequence[Profile],
    communication: Communication | None,
    losses: RestLosses | None,
    folder: Path,
    *,
    alone: Sequence[Profile] | None = None,
    group: GroupTimes | None = None,
) -> Figures:
    """Simulate a setting.

    Parameters
    ----------
    profiles
        Of each device; for a ring with several samples, of processes that compute all the time. Prompts of a
        ring with one sample may have been timed behind a sleep.
    losses
        What processes compute more slowly after they have slept, beyond what the profiles have; needed for a
        ring.
    folder
        Folder for intermediate files; must not exist yet.
    alone
        Profiles of each device's process while the others do nothing. A stage of a ring with several samples
        computes beside another one for a part of the time, which is read from a simulation in which it always
        does, and again from the next one. None: `profiles` hold as they are.
    group
        What a group computes between sums, and how long it exchanges; needed for a group.
    """
    folder.mkdir(parents=True)
    model = folder / shape.name
    model.mkdir()
    (model / "config.json").write_text(json.dumps(dict(shape.config)), encoding="utf-8")
    if setting.kind == "single":
        return _figures(_simulated(shape, setting, extent, profiles, communication, model), setting)
    if setting.kind == "tensor":
        assert group is not None
        return _of_group(shape, setting, extent, profiles, group, model)
    assert communication is not None
    assert losses is not None
    trace = _of_ring(shape, setting, extent, profiles, communication, losses, model)
    if alone is not None:
        for _ in range(_N_WEIGHINGS):
            shares = shares_beside(trace.spans(trace.strategies[0], 0), _devices(setting))
            between = [weighed(*each) for each in zip(alone, profiles, shares, strict=True)]
            trace = _of_ring(shape, setting, extent, between, communication, losses, model)
    return _figures(trace, setting)


def _of_group(
    shape: ModelShape,
    setting: Setting,
    extent: Extent,
    profiles: Sequence[Profile],
    group: GroupTimes,
    model: Path,
) -> Figures:
    """Simulate a group with the sums of its prompt, and again with those of its decoding steps.

    A scenario has one time for all sums, and a prompt's can be shorter or longer than a step's.
    """
    sharded = [with_shards(profile, group, setting.n_devices) for profile in profiles]
    prompt, steps = (
        _figures(_simulated(shape, setting, extent, sharded, None, model, per_sum_s), setting)
        for per_sum_s in (group.prompt_sum_s, group.step_sum_s)
    )
    lasted_s = prompt.ttft_s + (extent.n_out - 1) * steps.tpot_s
    with_steps_s = extent.n_out / steps.tokens_per_s  # members compute as long, whatever a sum takes
    return Figures(
        ttft_s=prompt.ttft_s,
        tpot_s=steps.tpot_s,
        tokens_per_s=extent.n_out / lasted_s,
        utilisation=tuple(share * with_steps_s / lasted_s for share in steps.utilisation),
    )


def _of_ring(
    shape: ModelShape,
    setting: Setting,
    extent: Extent,
    profiles: Sequence[Profile],
    communication: Communication,
    losses: RestLosses,
    model: Path,
) -> Trace:
    """Simulate a ring, having added to the profiles of its stages what messages and sleeps cost them."""
    cuts = stage_blocks(shape.architecture.n_blocks, setting.n_devices)
    rests_s = idle_s(profiles, cuts, setting, communication, losses, extent)
    between_s = between_prompts_s(profiles, cuts, setting, communication, losses, extent)
    handled_s = handling_s(communication, shape.architecture.activation_bytes(1), rests_s)
    head_slowed_s = losses.head_after(wait_for_prompt_s(profiles, cuts, setting, communication, extent))
    in_use = [
        with_messages(
            profile,
            communication,
            last - first,
            is_first=first == 0,
            handled_s=handled_s[number],
            slowed_s={
                Phase.PREFILL: losses.prompt_after(number, between_s[number]),
                Phase.DECODE: losses.after(number, rests_s[number]),
            },
            head_slowed_s=head_slowed_s,
        )
        for number, (profile, (first, last)) in enumerate(zip(profiles, cuts, strict=True))
    ]
    # The first of several prompts finds a stage that has slept since the run before.
    start_ups_s = [
        max(0.0, losses.prompts_s[number]) - losses.prompt_after(number, slept_s)
        for number, slept_s in enumerate(between_s)
    ]
    return _simulated(shape, setting, extent, in_use, communication, model, start_ups_s=start_ups_s)


def _simulated(
    shape: ModelShape,
    setting: Setting,
    extent: Extent,
    profiles: Sequence[Profile],
    communication: Communication | None,
    model: Path,
    per_sum_s: float = 0.0,
    start_ups_s: Sequence[float] = (),
) -> Trace:
    """Run the simulator; files of an earlier run beside the model's folder are replaced."""
    folder = model.parent
    files = []
    for number, profile in enumerate(profiles):
        files.append(folder / f"profile-{number}.parquet")
        profile.save(files[-1])
    text = io.StringIO()
    contents = scenario(shape, setting, extent, files, communication, model, per_sum_s, start_ups_s)
    YAML().dump(contents, text)
    prepared = runner.prepare(parse(text.getvalue(), folder=folder), force=True)
    return runner.run(prepared, folder / "trace", replace=True)


def _devices(setting: Setting) -> list[str]:
    return [f"device-{number}" for number in range(setting.n_devices)]


def _time(seconds: float) -> str:
    """Format a time as in scenarios, whose shortest time is a picosecond."""
    return f"{seconds:.9g} s" if seconds >= TIME.least else "0 s"


def _rate_bps(s_per_byte: float) -> float:
    return min(_FASTEST, bits(1) / max(s_per_byte, 1.0 / _FASTEST))


def _figures(trace: Trace, setting: Setting) -> Figures:
    label = trace.strategies[0]
    requests, devices = trace.requests(label, 0), trace.devices(label, 0)
    ttft_s = requests["first_token_at_s"] - requests["arrived_at_s"]
    after_s = requests["ended_at_s"] - requests["first_token_at_s"]
    n_tokens = requests["n_output_tokens"]
    ended_at_s = float(requests["ended_at_s"].max())
    return Figures(
        ttft_s=float(ttft_s.mean()),
        tpot_s=float((after_s / (n_tokens - 1).clip(lower=1)).mean()),
        tokens_per_s=float(n_tokens.sum()) / ended_at_s,
        utilisation=() if setting.kind == "single" else tuple((devices["busy_s"] / ended_at_s).tolist()),
    )
