"""The cycle of a ring of stages: how long each of them sleeps, and what handling messages takes then."""

from __future__ import annotations

from collections.abc import Sequence

from edgesim.measure.real.rests import RESTS_S, RestLosses
from edgesim.model.architecture import Slice
from edgesim.model.communication import Communication
from edgesim.model.profile import Profile
from edgesim.units import bits
from edgesim.validate.local.settings import Extent, Setting

__all__ = ["between_prompts_s", "handling_s", "idle_s", "wait_for_prompt_s"]

_ASLEEP_S = RESTS_S[1]  # sleep after which receiving takes as long as after any: assumed, not measured
_AWAKE_S = 1e-6  # idle time below which a stage does not sleep
_N_STEPS = 600  # of the iteration for the cycle of a ring
_N_HALVES = 60  # steps that move halfway to the next value; later ones ever less, so that steep losses settle


def idle_s(
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
    rests_s = [0.0] * len(cuts)
    for step in range(_N_STEPS):
        share = 0.5 * min(1.0, _N_HALVES / (step + 1))
        handled_s = handling_s(communication, n_bytes, rests_s)
        passes_s = [
            computing_s[number] + handled_s[number] + losses.after(number, rest_s)
            for number, rest_s in enumerate(rests_s)
        ]
        round_s = sum(passes_s) + len(passes_s) * way_s
        cycle_s = max(*passes_s, round_s / setting.n_samples)
        rests_s = [
            before_s + share * (cycle_s - pass_s - before_s)
            for before_s, pass_s in zip(rests_s, passes_s, strict=True)
        ]
    return rests_s


def wait_for_prompt_s(
    profiles: Sequence[Profile],
    cuts: Sequence[tuple[int, int]],
    setting: Setting,
    communication: Communication,
    extent: Extent,
) -> float:
    """Return how long the first stage sleeps, having passed on all prompts, until the first comes back."""
    n_bytes = extent.n_prompt * profiles[0].architecture.activation_bytes(1)
    first_s, *others_s = _prompts_s(profiles, cuts, extent)
    round_s = sum(others_s) + len(cuts) * _way_s(setting, communication, n_bytes)
    return max(0.0, round_s - (setting.n_samples - 1) * first_s)


def between_prompts_s(
    profiles: Sequence[Profile],
    cuts: Sequence[tuple[int, int]],
    setting: Setting,
    communication: Communication,
    losses: RestLosses,
    extent: Extent,
) -> list[float]:
    """Return how long each stage sleeps between two of the prompts that arrive together.

    At the first stage they queue. At a later one they arrive as far apart as the slowest stage before it, or
    the link, lets them pass. The first one takes longer, since it finds the stage asleep.
    """
    n_bytes = extent.n_prompt * profiles[0].architecture.activation_bytes(1)
    rate_bps = setting.link.rate_bps
    apart_s = 0.0 if rate_bps is None else bits(n_bytes) / rate_bps
    handled_s = communication.handled_s(n_bytes)
    found_s = []
    for number, prompt_s in enumerate(_prompts_s(profiles, cuts, extent)):
        visit_s = prompt_s + handled_s
        first_s = visit_s + max(0.0, losses.prompts_s[number])
        found_s.append(max(0.0, apart_s - first_s) if number else 0.0)
        apart_s = max(apart_s, visit_s + losses.prompt_after(number, found_s[-1]))
    return found_s


def _prompts_s(profiles: Sequence[Profile], cuts: Sequence[tuple[int, int]], extent: Extent) -> list[float]:
    """Return how long each stage computes for a prompt."""
    return [
        float(
            profile.timing().seconds(Slice(*cut, embedding=True), batch=1, n_new=extent.n_prompt, n_context=0)
        )
        for profile, cut in zip(profiles, cuts, strict=True)
    ]


def _way_s(setting: Setting, communication: Communication, n_bytes: float) -> float:
    """Return how long a message is under way between two stages."""
    link = setting.link
    wire_s = 0.0 if link.rate_bps is None else bits(n_bytes) / link.rate_bps
    return wire_s + link.latency_s + communication.transit.seconds(n_bytes)


def handling_s(communication: Communication, n_bytes: float, rests_s: Sequence[float]) -> list[float]:
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
        for own_s, next_s in zip(rests_s, (*rests_s[1:], rests_s[0]), strict=True)
    ]
