"""The cycle of a ring of stages: how long each of them sleeps, and what handling messages takes then."""

from __future__ import annotations

from collections.abc import Sequence
from typing import NamedTuple

from edgesim.measure.real.rests import RESTS_S, RestLosses
from edgesim.model.architecture import Slice
from edgesim.model.communication import Communication
from edgesim.model.profile import Profile
from edgesim.units import bits
from edgesim.validate.local.settings import Extent, Setting

__all__ = ["Cycle", "cycle", "handling_s", "prompt_losses_s"]

_ASLEEP_S = RESTS_S[1]  # sleep after which receiving takes as long as after any: assumed, not measured
_AWAKE_S = 1e-6  # idle time below which a stage does not sleep
_N_STEPS = 600  # of the iteration for the cycle of a ring
_N_HALVES = 60  # steps that move halfway to the next value; later ones ever less, so that steep losses settle


class Cycle(NamedTuple):
    """What a decoding step of a ring is like, by stage.

    Attributes
    ----------
    rests_s
        How long a stage sleeps between two passes.
    losses_s
        How much longer its pass takes for that.
    """

    rests_s: list[float]
    losses_s: list[float]


def cycle(
    profiles: Sequence[Profile],
    cuts: Sequence[tuple[int, int]],
    setting: Setting,
    communication: Communication,
    losses: RestLosses,
    extent: Extent,
) -> Cycle:
    """Find how long each stage sleeps between two passes of decoding, and what it loses by that.

    A token takes a cycle: as long as one sample needs to go round, shared by all samples in flight, but never
    less than the busiest stage's pass. A stage that sleeps longer takes longer for its pass, and so sleeps
    less: both are found by iteration, which settles for losses of up to a dozen times the further sleep.
    The others' passes are assumed to lie within its sleep as far as they fit, and not to overlap each other.
    """
    n_bytes = profiles[0].architecture.activation_bytes(1)
    computing_s = []
    for number, (profile, (first, last)) in enumerate(zip(profiles, cuts, strict=True)):
        # Every stage prepares positions and masks, which a profile counts with the embedding.
        part = Slice(first, last, embedding=True, head=number == 0)
        seconds = profile.timing().seconds(part, batch=1, n_new=1, n_context=extent.n_prompt)
        computing_s.append(float(seconds))
    way_s = _way_s(setting, communication, n_bytes)
    rests_s, passes_s = [0.0] * len(cuts), computing_s
    for step in range(_N_STEPS):
        share = 0.5 * min(1.0, _N_HALVES / (step + 1))
        handled_s = handling_s(communication, n_bytes, rests_s)
        losses_s = [
            losses.after(number, rest_s, _share(sum(passes_s) - passes_s[number], rest_s))
            for number, rest_s in enumerate(rests_s)
        ]
        passes_s = [sum(parts_s) for parts_s in zip(computing_s, handled_s, losses_s, strict=True)]
        round_s = sum(passes_s) + len(passes_s) * way_s
        cycle_s = max(*passes_s, round_s / setting.n_samples)
        rests_s = [
            before_s + share * (cycle_s - pass_s - before_s)
            for before_s, pass_s in zip(rests_s, passes_s, strict=True)
        ]
    return Cycle(rests_s, losses_s)


def prompt_losses_s(
    profiles: Sequence[Profile],
    cuts: Sequence[tuple[int, int]],
    setting: Setting,
    communication: Communication,
    losses: RestLosses,
    extent: Extent,
) -> tuple[list[float], float]:
    """Return what a prompt loses at each stage, and the first stage's head when it comes back.

    Before the first stage's part all is idle. A later stage has slept during the part of the stage before it
    and the message. The head waits until the first of all prompts has gone round.
    """
    n_bytes = extent.n_prompt * profiles[0].architecture.activation_bytes(1)
    parts_s = [
        float(
            profile.timing().seconds(Slice(*cut, embedding=True), batch=1, n_new=extent.n_prompt, n_context=0)
        )
        for profile, cut in zip(profiles, cuts, strict=True)
    ]
    way_s = _way_s(setting, communication, n_bytes)
    shares = [0.0, *(_share(part_s, part_s + way_s) for part_s in parts_s[:-1])]
    prompts_s = [losses.prompt_after(number, share) for number, share in enumerate(shares)]
    others_s = sum(parts_s[1:])
    wait_s = max(0.0, others_s + len(cuts) * way_s - (setting.n_samples - 1) * parts_s[0])
    return prompts_s, losses.head_after(wait_s, _share(others_s, wait_s))


def _share(others_s: float, rest_s: float) -> float:
    """Return during which share of a sleep others compute."""
    return min(1.0, others_s / max(rest_s, 1e-12))


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
