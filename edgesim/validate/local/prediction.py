"""Simulate the settings of real runs with the costs measured alongside them."""

from __future__ import annotations

import io
import json
from collections.abc import Mapping, Sequence
from dataclasses import replace
from itertools import pairwise
from pathlib import Path
from typing import Any

from ruamel.yaml import YAML

from edgesim import runner
from edgesim.measure.real.rests import RESTS_S, RestLosses
from edgesim.model.architecture import Component, Slice
from edgesim.model.communication import Communication
from edgesim.model.profile import Phase, Point, Profile
from edgesim.scenario.load import parse
from edgesim.trace.reader import Trace
from edgesim.units import TIME, bits
from edgesim.validate.local.figures import Figures
from edgesim.validate.local.settings import Extent, Setting
from edgesim.validate.local.shapes import ModelShape

__all__ = [
    "predicted",
    "scenario",
    "stage_blocks",
    "with_awakening",
    "with_loop_steps",
    "with_messages",
    "with_rests",
]

_ASLEEP_S = RESTS_S[1]  # sleep after which receiving takes as long as after any: assumed, not measured
_AWAKE_S = 1e-6  # idle time below which a stage does not sleep
_N_STEPS = 600  # of the iteration for the cycle of a ring
_N_HALVES = 60  # steps that move halfway to the next value; later ones ever less, so that steep losses settle

_FASTEST = 1e14  # highest rate allowed in a scenario; such a link takes no time


def stage_blocks(n_blocks: int, n_stages: int) -> list[tuple[int, int]]:
    """Cut the blocks as evenly as possible: (first, end) of each stage; earlier stages are larger."""
    each, left = divmod(n_blocks, n_stages)
    ends = [0]
    for stage in range(n_stages):
        ends.append(ends[-1] + each + (stage < left))
    return list(pairwise(ends))


def with_loop_steps(profile: Profile, communication: Communication) -> Profile:
    """Replace the generation step of `generate` by that of rings and groups.

    Rings and groups choose a token by its largest logit and continue; transformers' own loop does more.
    """
    first_s = communication.step_before_s + communication.step_s
    by_phase = {Phase.PREFILL: first_s, Phase.DECODE: communication.step_s}
    points = tuple(
        _having(point, by_phase[point.phase]) if point.component is Component.STEP else point
        for point in profile.points
    )
    return replace(profile, points=points)


def with_awakening(profile: Profile, losses: RestLosses) -> Profile:
    """Add to the step before a single device's first pass what it loses for having slept before.

    Taken is the loss of the first stage's prompt: the blocks after it follow without a sleep.
    """
    points = tuple(
        _having(point, point.median_s + max(0.0, losses.prompts_s[0]))
        if point.component is Component.STEP and point.phase is Phase.PREFILL
        else point
        for point in profile.points
    )
    return replace(profile, points=points)


def with_rests(profile: Profile, losses: RestLosses) -> Profile:
    """Add to the shards of a block what a member loses for having slept in the block's two sums."""
    lost_s = {
        Phase.PREFILL: 2.0 * max(0.0, losses.prompt_sum_s),
        Phase.DECODE: 2.0 * max(0.0, losses.sum_s),
    }
    points = tuple(
        _having(point, point.median_s + lost_s[point.phase])
        if point.component is Component.BLOCK and point.n_shards > 1
        else point
        for point in profile.points
    )
    return replace(profile, points=points)


def with_messages(
    profile: Profile,
    communication: Communication,
    n_blocks: int,
    *,
    is_first: bool,
    handling_s: float,
    slowed_s: Mapping[Phase, float],
    head_slowed_s: float = 0.0,
) -> Profile:
    """Add the handling of messages to a stage's blocks: one message received and one sent in every pass.

    Also added is the preparation in any pass of transformers before its first block (positions and masks). A
    profile counts that with the embedding, whose own lookup is short in comparison, and which only the first
    stage is charged.

    A process with one thread sends its result before it checks for new messages. Charged as work of an
    endpoint on the same processor, sending would queue after a pass of another sample that has already
    arrived.

    Parameters
    ----------
    n_blocks
        Blocks of the stage.
    is_first
        Whether the stage has the embedding.
    handling_s
        Handling of the two messages of a decoding step [s]; those of a prompt find their receivers asleep.
    slowed_s
        What a pass loses because the process has slept until its message arrived [s], by phase.
    head_slowed_s
        What the head loses because the process has slept until a prompt came back [s].
    """
    asleep, state_bytes = communication.endpoint, profile.architecture.activation_bytes(1)

    def handled_s(point: Point) -> float:
        is_prompt = point.phase is Phase.PREFILL
        return 2.0 * asleep.seconds(point.n_new * state_bytes) if is_prompt else handling_s

    preludes_s = {
        (point.phase, point.at): 0.0 if is_first else point.median_s
        for point in profile.points
        if point.component is Component.EMBEDDING
    }

    def charged(point: Point) -> Point:
        if point.component is Component.STEP and point.phase is Phase.PREFILL:
            return _having(point, point.median_s + head_slowed_s)
        if point.component is not Component.BLOCK or point.n_shards > 1:
            return point
        added_s = handled_s(point) + slowed_s[point.phase] + preludes_s[point.phase, point.at]
        return _having(point, point.median_s + added_s / n_blocks)

    return replace(profile, points=tuple(charged(point) for point in profile.points))


def _having(point: Point, median_s: float) -> Point:
    """Return the same point with another time; a held-out point's prediction is shifted with it."""
    moved_s = median_s - point.median_s
    foreseen_s = None if point.predicted_s is None else max(point.predicted_s + moved_s, 1e-9)
    return replace(point, median_s=median_s, predicted_s=foreseen_s)


def scenario(
    shape: ModelShape,
    setting: Setting,
    extent: Extent,
    profiles: Sequence[Path],
    communication: Communication | None,
    model: Path,
) -> dict[str, Any]:
    """Return a setting as the contents of a scenario file.

    Parameters
    ----------
    profiles
        Files of the devices' profiles, one for each; for a ring, they include the handling of messages.
    communication
        Costs of messages and sums; not needed for a single device.
    model
        Folder with the model's config.
    """
    devices = [f"device-{number}" for number in range(setting.n_devices)]
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
        assert communication is not None
        cost = communication.summing
        # A star of two sends the tensor twice, one after the other.
        rate_bps = _rate_bps(cost.s_per_byte / 2.0)
        wire = {"rate": f"{rate_bps:.9g} bit/s", "latency": "0 s"}
        strategy = {"use": "tensor_parallel", "over": devices, "all_reduce": "star"}
        strategy["per_sum"] = _time(max(0.0, cost.fixed_s - communication.rested_s))  # that is in the passes
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
            }
            for number, profile in enumerate(profiles)
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
) -> Figures:
    """Simulate a setting.

    Parameters
    ----------
    losses
        What processes compute more slowly after they have slept; None for a single device.
    folder
        Folder for intermediate files; must not exist yet.
    """
    folder.mkdir(parents=True)
    model = folder / shape.name
    model.mkdir()
    (model / "config.json").write_text(json.dumps(dict(shape.config)), encoding="utf-8")
    files = []
    if setting.kind == "pipeline":
        assert communication is not None
        cuts = stage_blocks(shape.architecture.n_blocks, setting.n_devices)
        assert losses is not None
        idle_s = _idle_s(profiles, cuts, setting, communication, losses, extent)
        head_slowed_s = losses.head_after(_wait_for_prompt_s(profiles, cuts, setting, communication, extent))
        # Only the first of several prompts finds the stages asleep, and delays all: the mean over samples of
        # what is charged for every one, and adds up in the queue, is the loss of one. Exact where prompts
        # queue at the first stage; on a slow link, where they arrive apart, too little by up to a third.
        prompts = 2.0 / (setting.n_samples + 1)
        handling_s = _handling_s(communication, shape.architecture.activation_bytes(1), idle_s)
        profiles = [
            with_messages(
                profile,
                communication,
                last - first,
                is_first=first == 0,
                handling_s=handling_s[number],
                slowed_s={
                    Phase.PREFILL: prompts * max(0.0, losses.prompts_s[number]),
                    Phase.DECODE: losses.after(number, idle_s[number]),
                },
                head_slowed_s=head_slowed_s,
            )
            for number, (profile, (first, last)) in enumerate(zip(profiles, cuts, strict=True))
        ]
    elif setting.kind == "tensor":
        assert losses is not None
        profiles = [with_rests(profile, losses) for profile in profiles]
    for number, profile in enumerate(profiles):
        files.append(folder / f"profile-{number}.parquet")
        profile.save(files[-1])
    text = io.StringIO()
    YAML().dump(scenario(shape, setting, extent, files, communication, model), text)
    prepared = runner.prepare(parse(text.getvalue(), folder=folder), force=True)
    return _figures(runner.run(prepared, folder / "trace"), setting)


def _idle_s(
    profiles: Sequence[Profile],
    cuts: Sequence[tuple[int, int]],
    setting: Setting,
    communication: Communication,
    losses: RestLosses,
    extent: Extent,
) -> list[float]:
    """Return how long each stage sleeps between two passes of decoding.

    A token takes a cycle: as long as one sample needs to go round, shared by all samples in flight, but never
    less than the busiest stage's pass. A stage that sleeps longer takes longer for its pass, and so sleeps
    less: both are found by iteration, which settles for losses of up to a dozen times the further sleep.
    """
    n_bytes = profiles[0].architecture.activation_bytes(1)
    computing_s = []
    for number, (profile, (first, last)) in enumerate(zip(profiles, cuts, strict=True)):
        # Every stage prepares positions and masks, which a profile counts with the embedding.
        part = Slice(first, last, embedding=True, head=number == 0)
        seconds = profile.timing().seconds(part, batch=1, n_new=1, n_context=extent.n_prompt)
        computing_s.append(float(seconds))
    way_s = _way_s(setting, communication, n_bytes)
    idle_s = [0.0] * len(cuts)
    for step in range(_N_STEPS):
        share = 0.5 * min(1.0, _N_HALVES / (step + 1))
        handling_s = _handling_s(communication, n_bytes, idle_s)
        passes_s = [
            computing_s[number] + handling_s[number] + losses.after(number, rest_s)
            for number, rest_s in enumerate(idle_s)
        ]
        round_s = sum(passes_s) + len(passes_s) * way_s
        cycle_s = max(*passes_s, round_s / setting.n_samples)
        idle_s = [
            before_s + share * (cycle_s - pass_s - before_s)
            for before_s, pass_s in zip(idle_s, passes_s, strict=True)
        ]
    return idle_s


def _wait_for_prompt_s(
    profiles: Sequence[Profile],
    cuts: Sequence[tuple[int, int]],
    setting: Setting,
    communication: Communication,
    extent: Extent,
) -> float:
    """Return how long the first stage sleeps, having passed on all prompts, until the first comes back."""
    n_bytes = extent.n_prompt * profiles[0].architecture.activation_bytes(1)
    first_s, *others_s = (
        float(
            profile.timing().seconds(Slice(*cut, embedding=True), batch=1, n_new=extent.n_prompt, n_context=0)
        )
        for profile, cut in zip(profiles, cuts, strict=True)
    )
    round_s = sum(others_s) + len(cuts) * _way_s(setting, communication, n_bytes)
    return max(0.0, round_s - (setting.n_samples - 1) * first_s)


def _way_s(setting: Setting, communication: Communication, n_bytes: float) -> float:
    """Return how long a message is under way between two stages."""
    link = setting.link
    wire_s = 0.0 if link.rate_bps is None else bits(n_bytes) / link.rate_bps
    return wire_s + link.latency_s + communication.transit.seconds(n_bytes)


def _handling_s(communication: Communication, n_bytes: float, idle_s: Sequence[float]) -> list[float]:
    """Return how long each stage handles the two messages of a pass: the one received and the one sent.

    Sending takes longer where it has to wake the next stage. Receiving takes longer for having slept, in
    proportion to the sleep as long as that is short; and never less, although the header of a message that
    was waited for belongs to its transit, and of one that was there to its receiving.
    """
    sending, awake_sending = communication.sending, communication.awake_sending
    awake_s = communication.awake_receiving.seconds(n_bytes)
    longer_s = max(0.0, communication.receiving.seconds(n_bytes) - awake_s)
    return [
        awake_s
        + longer_s * min(1.0, own_s / _ASLEEP_S)
        + (sending if next_s > _AWAKE_S else awake_sending).seconds(n_bytes)
        for own_s, next_s in zip(idle_s, (*idle_s[1:], idle_s[0]), strict=True)
    ]


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
