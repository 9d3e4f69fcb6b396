"""Preparation of a study before time zero: profiles, placements, policies, and all checks."""

from __future__ import annotations

import math
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import replace
from pathlib import Path

from edgesim.engine.cluster import Cluster
from edgesim.engine.process.clock import Clock
from edgesim.errors import InputError, PlacementError, ProfileError, ScenarioError, StrategyError
from edgesim.rng import Streams
from edgesim.runner.prepared import Lesson, Prepared, Trainer
from edgesim.scenario.build import drawing, extent, resolve
from edgesim.scenario.radio.presence import PresentDemand
from edgesim.scenario.remarks import remarks
from edgesim.scenario.schema.scenario import Scenario
from edgesim.scenario.strategy_labels import strategies_by_label
from edgesim.scenario.study import Study
from edgesim.scenario.timings import Measuring, Profiles, check_coverage, find_profiles
from edgesim.scenario.trained_policies import find_policy, keep_policy, training_digest, training_study
from edgesim.strategy import Placement, Strategy, check_memory
from edgesim.workload.requests import Extent
from edgesim.world.fleet import Fleet
from edgesim.world.stages import check_stages
from edgesim.world.world import World

__all__ = ["check_edited", "check_trained", "lesson", "prepare"]


def prepare(
    scenario: Scenario | Study,
    *,
    only: Sequence[str] = (),
    measure: bool = True,
    refresh: bool = False,
    measuring: Measuring | None = None,
    trainer: Trainer | None = None,
    finds_policies: bool = True,
    force: bool = False,
    covering: Extent | None = None,
) -> Prepared:
    """Get the profiles, place the model by every strategy, and train strategies that need it.

    Parameters
    ----------
    scenario
        Scenario, or resolved study (:func:`edgesim.resolve`) in which parts may have been replaced.
    only
        Labels of the strategies to prepare; all if empty.
    measure
        Whether to measure a profile that is not available; if not, strategies are placed by the ceilings of
        the device kinds, which is enough for inspection but not for a run.
    refresh
        Whether to measure even if a cached profile exists.
    measuring
        Called with the progress if the profile has to be measured.
    trainer
        Trains strategies that need a policy and have none stored or shipped; without a trainer they remain
        untrained, which is enough for inspection and training but not for a run.
    finds_policies
        Whether to search for policies.
    force
        Whether to use a profile even if its errors at its own validation points exceed 100 %.
    covering
        Requests of other studies that a newly measured profile should also cover, so that all use the same
        profile.

    Raises
    ------
    InputError
        For every mistake that can be detected before time zero.
    """
    study = resolve(scenario)
    study.check_edits()
    study = _with_strategies(study, only)
    _check_arrivals(study)
    longest = extent(study)
    cuts_blocks = any(strategy.cuts_blocks for strategy in study.strategies.values())
    covered = longest if covering is None else Extent(*map(max, zip(longest, covering, strict=True)))
    profiles = find_profiles(
        study,
        covered,
        shards=cuts_blocks,
        measure=measure,
        refresh=refresh,
        force=force,
        measuring=measuring,
    )
    if not force:
        _check_noise(study, profiles)
    prepared = Prepared(**study.parts(), profiles=profiles, longest=longest, remarks=remarks(study))
    check_coverage(study, profiles, longest, prepared.timings)
    prepared = prepared.replaced(placements=_placements(prepared, prepared.strategies))
    policies: dict[str, Path] = {}
    for label, strategy in prepared.strategies.items() if finds_policies else ():
        if strategy.needs_training:
            found = _policy_of(_lesson(study, label, profiles), trainer)
            if found is not None:
                policies[label] = found
    if policies:
        given = {label: prepared.strategies[label].with_policy(file) for label, file in policies.items()}
        prepared = prepared.replaced(strategies={**prepared.strategies, **given}, policies=policies)
        if "strategies" not in study.edited:
            prepared = prepared.marked("strategies")
        prepared = prepared.replaced(placements={**prepared.placements, **_placements(prepared, policies)})
    return prepared.marked("profiles", "longest", "placements", "remarks", "policies")


def lesson(prepared: Prepared, label: str) -> Lesson:
    """Return the training lesson of a prepared study's strategy, whether or not it needs training.

    Raises
    ------
    InputError
        If no strategy has that label, or the strategy has no decision to train.
    """
    _chosen(prepared.strategies, (label,))
    return _lesson(prepared, label, prepared.profiles)


def check_trained(prepared: Prepared) -> None:
    """Refuse to run a strategy that has not been trained."""
    for label, strategy in prepared.strategies.items():
        if strategy.needs_training:
            raise StrategyError(
                f"{_at(prepared, label)}strategy {label!r} needs training, and no policy trained for exactly "
                "this study is stored or shipped; 'edgesim run' trains it on first use, 'edgesim train' "
                "into a file; in Python, use prepare(..., trainer=edgesim.gym.teaching.trainer())"
            )


def check_edited(prepared: Prepared) -> None:
    """Check the replaced parts of a study before time zero; unchanged parts were checked already.

    Raises
    ------
    InputError
        As :func:`prepare` raises for a scenario with the same mistakes.
    """
    if not prepared.edited:
        return
    prepared.check_edits()
    if set(prepared.strategies) != set(prepared.placements):
        raise PlacementError(
            f"there are strategies {', '.join(prepared.strategies)}, but placements of "
            f"{', '.join(prepared.placements) or 'none'}; prepare the study again, which places them"
        )
    _check_arrivals(prepared)
    longest = extent(prepared)
    check_coverage(prepared, prepared.profiles, longest, prepared.timings)
    world = prepared.planning_world()
    fleet = Fleet.of(world, longest)
    for label, placement in prepared.placements.items():
        try:
            _check_placement(placement, world, fleet)
        except InputError as error:
            raise PlacementError(f"{_at(prepared, label)}strategy {label!r}: {error}") from None


def _at(study: Study, label: str) -> str:
    """Return the position of a strategy in the scenario's file, as a prefix of messages."""
    labels = list(strategies_by_label(study.scenario))
    at = ("strategies", labels.index(label)) if label in labels else ("strategies",)
    return f"{study.scenario.place(at)}: "


def _with_strategies(study: Study, only: Sequence[str]) -> Study:
    """Return the study with some of its strategies only, which does not count as an edit."""
    chosen = replace(study, strategies=_chosen(study.strategies, only))
    return chosen if "strategies" in study.edited else chosen.marked("strategies")


def _chosen(strategies: Mapping[str, Strategy], only: Sequence[str]) -> Mapping[str, Strategy]:
    unknown = [label for label in only if label not in strategies]
    if unknown:
        raise ScenarioError(f"no strategy has the label {unknown[0]!r}; there are {', '.join(strategies)}")
    return {label: strategy for label, strategy in strategies.items() if not only or label in only}


def _check_arrivals(study: Study) -> None:
    """Refuse a study without requests, or without requests after the warm-up."""
    scenario, law = study.scenario, study.workload
    with drawing(scenario):
        arrives = _has_arrivals(study, 0.0)
        counts = not scenario.warmup_s or _has_arrivals(study, scenario.warmup_s)
    # If all sources are absent, a remark reports it.
    if not arrives and not isinstance(law, PresentDemand):
        raise ScenarioError(
            f"{scenario.place(('workload',))}: no request arrives before the horizon; "
            "lengthen it or raise the rate"
        )
    if not counts:
        raise ScenarioError(
            f"{scenario.place(('warmup',))}: no request arrives after the first "
            f"{scenario.warmup_s:g} s, so no request would count; shorten 'warmup', or let more arrive"
        )


def _check_noise(study: Study, profiles: Profiles) -> None:
    """Refuse a profile whose errors are too large to be useful."""
    for profile in filter(None, (profiles.base, *profiles.own.values())):
        if profile.is_useless:
            raise ProfileError(
                f"{study.scenario.place(('profile',))}: {profile} misses its validation points by up to "
                f"{profile.held_out_error.p95:.0%}, so its times are meaningless; measure again while the "
                "machine is idle (--refresh), write 'reference' or 'analytic', or use it anyway (--force)"
            )


def _has_arrivals(study: Study, from_s: float) -> bool:
    """Whether any request arrives between an instant and the horizon."""
    scenario, law = study.scenario, study.workload
    streams = Streams(scenario.seed)
    until_s = math.inf if scenario.horizon_s is None else scenario.horizon_s
    if law.is_closed:  # instants depend on the strategy, but for conversations' first turns
        return any(conversation.starts_at_s < until_s for conversation in law.conversations(streams))
    return any(from_s <= request.arrived_at_s < until_s for request in law.requests(streams))


def _placements(prepared: Prepared, labels: Iterable[str]) -> dict[str, Placement]:
    """Return the placements of strategies, each checked for execution."""
    world = prepared.planning_world()
    fleet = Fleet.of(world, prepared.longest)
    placements = {}
    for label in labels:
        try:
            placements[label] = prepared.strategies[label].place(world.model, fleet)
            _check_placement(placements[label], world, fleet)
        except InputError as error:
            raise PlacementError(f"{_at(prepared, label)}strategy {label!r}: {error}") from None
    return placements


def _check_placement(placement: Placement, world: World, fleet: Fleet) -> None:
    """Refuse placements that a run would refuse at time zero, so that `edgesim check` also reports them."""
    check_memory(placement, world.model, fleet)
    check_stages(world.model, world.devices, placement.holdings)
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


def _lesson(study: Study, label: str, profiles: Profiles) -> Lesson:
    own = training_study(study, label)
    prepared = Prepared(**own.parts(), profiles=profiles, longest=extent(own))
    prepared = prepared.replaced(placements=_placements(prepared, (label,)))
    world = prepared.planning_world()
    strategy, placement = own.strategies[label], prepared.placements[label]
    training = strategy.training(placement, world.model, Fleet.of(world, prepared.longest))
    if training is None:
        raise StrategyError(
            f"{_at(study, label)}strategy {label!r} has no decision that can be trained; expected a "
            "strategy whose method 'training' returns one"
        )
    digest = training_digest(replace(own, quality=prepared.answers), strategy, training, profiles)
    return Lesson(prepared, label, training, digest)


def _policy_of(lesson: Lesson, trainer: Trainer | None) -> Path | None:
    """Return the file of a strategy's policy: stored, shipped, or newly trained."""
    found = find_policy(lesson.digest)
    if found is not None or trainer is None:
        return found
    policy = trainer(lesson)
    return keep_policy(replace(policy, record=replace(policy.record, trained_on=lesson.digest)))
