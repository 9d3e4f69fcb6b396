"""Profiles of processes in use: what is added to a measured profile, or lies between two of them."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace

from edgesim.measure.real.exchanges import GroupTimes
from edgesim.model.architecture import Component
from edgesim.model.communication import Communication
from edgesim.model.profile import Phase, Point, Profile
from edgesim.validate.local.contention import Shares

__all__ = ["weighed", "with_loop_steps", "with_messages", "with_shards"]


def with_loop_steps(profile: Profile, communication: Communication) -> Profile:
    """Replace the generation step of `generate` by that of rings and groups.

    Rings and groups choose a token by its largest logit and continue; transformers' own loop does more.
    """
    by_phase = {Phase.PREFILL: communication.step_before_s, Phase.DECODE: communication.step_s}
    points = tuple(
        _having(point, by_phase[point.phase]) if point.component is Component.STEP else point
        for point in profile.points
    )
    return replace(profile, points=points)


def with_shards(profile: Profile, group: GroupTimes, n_members: int) -> Profile:
    """Add the shards of blocks, as measured in context, to the profile of whole ones.

    A decoding step's context makes no difference here, as it is short. A prompt's embedding is charged with
    all that the first attention takes longer than the others.

    Not distinguished: that a decoding step's embedding holds what the first of whole blocks takes longer, and
    a shard's first block less.
    """
    halves = (Component.ATTENTION, Component.MLP, Component.BLOCK)

    def shard_s(point: Point) -> float:
        stretches = group.prompt if point.phase is Phase.PREFILL else group.step
        by_half = {Component.ATTENTION: stretches.attention_s, Component.MLP: stretches.mlp_s}
        own_s = by_half.get(point.component, stretches.attention_s + stretches.mlp_s)
        return own_s * group.exchanges.slowdown(stretches.mean_s)

    def whole(point: Point) -> Point:
        if point.component is Component.EMBEDDING and point.phase is Phase.PREFILL:
            arrived_s = group.first_stretch_s - group.prompt.late_s  # the wait counts with the sum
            further_s = group.prompt.attention_s * group.exchanges.slowdown(group.prompt.mean_s)
            return _having(point, max(1e-9, arrived_s - further_s))
        return point

    shards = tuple(
        replace(_having(point, shard_s(point)), n_shards=n_members)
        for point in profile.points
        if point.component in halves
    )
    return replace(profile, points=(*map(whole, profile.points), *shards))


def with_messages(
    profile: Profile,
    communication: Communication,
    n_blocks: int,
    *,
    is_first: bool,
    handled_s: float,
    slowed_s: Mapping[Phase, float],
    head_slowed_s: float = 0.0,
) -> Profile:
    """Add the handling of messages to a stage's blocks: one message received and one sent in every pass.

    Also added is the preparation in any pass of transformers before its first block (positions and masks). A
    profile counts that with the embedding, whose own lookup is short in comparison, and which only the first
    stage is charged. With it comes what a first block takes longer than others, measured behind a head. Not
    distinguished: that a later stage's first block follows no head.

    A process with one thread sends its result before it checks for new messages. Charged as work of an
    endpoint on the same processor, sending would queue after a pass of another sample that has already
    arrived.

    Parameters
    ----------
    n_blocks
        Blocks of the stage.
    is_first
        Whether the stage has the embedding.
    handled_s
        Handling of the two messages of a decoding step [s]; those of a prompt find their receivers asleep.
    slowed_s
        What a pass loses because the process has slept until its message arrived [s], by phase.
    head_slowed_s
        What the head loses because the process has slept until a prompt came back [s].
    """
    state_bytes = profile.architecture.activation_bytes(1)

    def both_s(point: Point) -> float:
        is_prompt = point.phase is Phase.PREFILL
        return communication.handled_s(point.n_new * state_bytes) if is_prompt else handled_s

    preludes_s = {
        (point.phase, point.at): 0.0 if is_first else point.median_s
        for point in profile.points
        if point.component is Component.EMBEDDING
    }

    def charged(point: Point) -> Point:
        if point.component is Component.STEP and point.phase is Phase.PREFILL:
            return _having(point, point.median_s + head_slowed_s)
        if point.component is not Component.BLOCK:
            return point
        added_s = both_s(point) + slowed_s[point.phase] + preludes_s[point.phase, point.at]
        return _having(point, point.median_s + added_s / n_blocks)

    return replace(profile, points=tuple(charged(point) for point in profile.points))


def _having(point: Point, median_s: float) -> Point:
    """Return the same point with another time; a held-out point's prediction is shifted with it."""
    moved_s = median_s - point.median_s
    foreseen_s = None if point.predicted_s is None else max(point.predicted_s + moved_s, 1e-9)
    return replace(point, median_s=median_s, predicted_s=foreseen_s)


def weighed(alone: Profile, beside: Profile, shares: Shares) -> Profile:
    """Return a profile between those of a process that is alone and of one beside another.

    What is weighed are speeds, the inverse of times, since the shares are of the resulting time.

    Parameters
    ----------
    alone, beside
        Of one model, measured at the same points.
    shares
        Share of the computing that is beside another process, by phase.
    """
    alone_s = {(point.of, point.at): point.median_s for point in alone.points}

    def taking(point: Point) -> Point:
        own_s = alone_s[point.of, point.at]
        share = shares[point.phase]
        return _having(point, 1.0 / ((1.0 - share) / own_s + share / point.median_s))

    return replace(beside, points=tuple(taking(point) for point in beside.points))
