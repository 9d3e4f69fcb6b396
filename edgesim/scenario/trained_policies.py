"""Policies trained before time zero: their training study, digest and storage.

A policy is stored beside measured profiles, under a digest of everything that it depends on: the world, the
requests, the model and its profiles, measured answers, the strategy's options that affect training, the
training parameters, and the contents of the files that these name. The scenario's name, seed, replications,
horizon and other strategies are not part of the digest and do not affect training, which uses its own
episodes.
"""

from __future__ import annotations

import hashlib
import json
import os
import tempfile
import warnings
from collections.abc import Callable, Collection, Iterator, Mapping
from dataclasses import replace
from math import ceil, floor, log10
from pathlib import Path
from typing import Any

from edgesim.errors import InputError
from edgesim.files import sha256_of, user_path
from edgesim.measure.cache import CACHE_VARIABLE, cache_folder
from edgesim.planning.policies.shipped import shipped_trained_on
from edgesim.planning.policies.training import Training
from edgesim.planning.splitting.policy import Policy
from edgesim.rng import Streams
from edgesim.scenario.build import resolve
from edgesim.scenario.named_files import FILE_KEYS, WAYS
from edgesim.scenario.radio.presence import PresentDemand
from edgesim.scenario.schema.scenario import Scenario, StrategyEntry
from edgesim.scenario.strategy_labels import strategies_by_label
from edgesim.scenario.study import Study
from edgesim.scenario.timings import Profiles
from edgesim.strategy import Strategy
from edgesim.workload.bounded import Bounded
from edgesim.workload.requests import Demand, Workload

__all__ = [
    "RECIPE",
    "find_policy",
    "keep_policy",
    "policy_path",
    "training_digest",
    "training_study",
    "write_policy",
]

RECIPE = 2
"""Version of the training procedure; increased when the same training gives another policy."""

_N_ARRIVALS = 200  # requests of an episode: many more than are in flight at once

_WORLD = ("topology", "kinds", "workload", "memory", "faults", "retry")


def training_study(study: Study, label: str) -> Study:
    """Return the study in which a policy is trained, with training's seed, horizon and replications.

    An episode lasts until 200 requests have arrived; for closed workloads and others whose arrivals depend on
    the run, it is as long as the scenario, whose horizon is then part of the digest.

    Not modelled: changes of the world after the end of an episode.
    """
    scenario, strategy = study.scenario, study.strategies[label]
    labels = list(strategies_by_label(scenario))
    if label in labels:
        entry = scenario.strategies[labels.index(label)].model_copy(update={"label": label})
    else:  # the study's strategies were replaced
        entry = StrategyEntry(use=type(strategy).__name__, label=label)
    plain = {"seed": 0, "replications": 1, "warmup_s": 0.0, "cooldown_s": None, "strategies": (entry,)}
    own = scenario.model_copy(update=plain)
    law = study.workload
    if scenario.horizon_s is not None and isinstance(law, Workload):
        first = replace(law, horizon_s=None, n_requests=min(_N_ARRIVALS, law.n_requests or _N_ARRIVALS))
        instants_s = [request.arrived_at_s for request in first.requests(Streams(0))]
        if instants_s:
            own = own.model_copy(update={"horizon_s": _rounded_up(max(instants_s[-1], 1e-3))})
    # A random graph depends on the seed, and training uses another seed.
    layout = study.layout if scenario.topology.generate is None else resolve(own).layout
    law = _until(law, own.limit_s)
    return replace(study, scenario=own, layout=layout, strategies={label: strategy}, workload=law)


def training_digest(lesson: Study, strategy: Strategy, training: Training, profiles: Profiles) -> str:
    """Return the SHA-256 of everything that determines a policy.

    Parameters
    ----------
    lesson
        Training study, made by :func:`training_study`.
    """
    scenario = lesson.scenario
    values = scenario.model_dump(mode="json", by_alias=True)
    runtimes = [kind.runtime for kind in lesson.kinds.values()]
    runtimes += [device.runtime for device in scenario.topology.devices]
    # Datasheet peaks affect times only with a runtime.
    unused = {"peaks", "power_modes"} if runtimes.count(None) == len(runtimes) else None
    kinds = {
        name: kind.model_dump(mode="json", by_alias=True, exclude=unused)
        for name, kind in lesson.kinds.items()
    }
    determines = {
        "recipe": RECIPE,
        "world": _with_contents(
            {name: values[name] for name in _WORLD}, _names_a_file, scenario.origin.folder
        ),
        "horizon": None if isinstance(lesson.workload, Workload) else scenario.horizon_s,
        "model": lesson.model.digest,
        "kinds": kinds,
        "profile": None if profiles.base is None else profiles.base.digest,
        "own_profiles": {name: own.digest for name, own in profiles.own.items()},
        "quality": lesson.quality.facts(),
        "strategy": {"use": scenario.strategies[0].use, "options": _options(scenario, strategy)},
        "training": training.facts(),
    }
    text = json.dumps(determines, sort_keys=True, default=str)
    return hashlib.sha256(text.encode()).hexdigest()


def policy_path(digest: str) -> Path:
    """Return the path at which a policy is stored."""
    return cache_folder().parent / "policies" / f"{digest[:32]}.safetensors"


def find_policy(digest: str) -> Path | None:
    """Return the file of the policy with this digest, stored or shipped; None if there is none.

    A stored file that cannot be read, or has another digest, is ignored.
    """
    path = policy_path(digest)
    if path.is_file():
        try:
            if Policy.load(path).record.trained_on == digest:
                return path
        except InputError:
            pass
    return shipped_trained_on(digest)


def keep_policy(policy: Policy) -> Path:
    """Store a policy for later runs, under the digest in its record, and return its path.

    If the cache cannot be written, the policy is written to a temporary folder with a warning; later runs do
    not find it there.
    """
    path = policy_path(policy.record.trained_on)
    try:
        write_policy(policy, path)
    except InputError as error:
        path = Path(tempfile.mkdtemp(prefix="edgesim-policy-")) / path.name
        write_policy(policy, path)
        warnings.warn(
            f"{error}; the policy was written to {path} instead, and later runs will train it again; set "
            f"{CACHE_VARIABLE} to another folder, or save it with 'edgesim train -o FILE'",
            stacklevel=2,
        )
    return path


def write_policy(policy: Policy, path: Path) -> None:
    """Write a policy to a file atomically, under a temporary name first.

    Raises
    ------
    InputError
        If it cannot be written.
    """
    partial = path.with_name(f"{path.name}.{os.getpid()}.partial")
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        try:
            policy.save(partial)
            partial.replace(path)
        finally:
            partial.unlink(missing_ok=True)
    except OSError as error:
        raise InputError(f"{path}: cannot be written: {error.strerror or error}") from None


def _until(law: Demand, limit_s: float | None) -> Demand:
    """Return the same demand with another horizon."""
    if isinstance(law, PresentDemand):
        return replace(law, drawn=_until(law.drawn, limit_s))
    if isinstance(law, Bounded) and law.horizon_s != limit_s:
        return replace(law, horizon_s=limit_s)
    return law


def _rounded_up(value_s: float) -> float:
    """Round up to two digits, so that no episode depends on the last bits of a drawn instant."""
    unit = 10.0 ** (floor(log10(value_s)) - 1)
    return ceil(value_s / unit) * unit


def _options(lesson: Scenario, strategy: Strategy) -> Any:
    """Return the options that affect training, with digests of the files that they name.

    A value is a file name if it is declared as a path, or is text with a suffix, which no name of a scenario
    has.
    """
    beside = set(strategy.options_beside_training)
    with_one, with_other = (strategy.with_policy(Path(name)) for name in ("one", "other"))
    common = _common(*(each.model_dump(mode="json", exclude=beside) for each in (with_one, with_other)))
    paths = set(_paths(strategy.model_dump(exclude=beside)))

    def is_file(_: str, text: str) -> bool:
        return text in paths or Path(text).suffix != ""

    return _with_contents(common, is_file, Path(), lesson.origin.folder)


def _names_a_file(key: str, _: str) -> bool:
    return key in FILE_KEYS


def _with_contents(value: Any, is_file: Callable[[str, str], bool], *folders: Path, key: str = "") -> Any:
    """Return a value with file names, as determined by `is_file`, replaced by digests of the files."""
    if isinstance(value, Mapping):
        return {
            name: _with_contents(each, is_file, *folders, key=key if name in WAYS else name)
            for name, each in value.items()
        }
    if isinstance(value, list):
        return [_with_contents(each, is_file, *folders, key=key) for each in value]
    if isinstance(value, str) and 0 < len(value) < 1000 and "\0" not in value and is_file(key, value):
        for folder in folders:
            file = user_path(folder, value)
            if file.is_file():
                return {"sha256": sha256_of(file)}
    return value


def _common(one: Any, other: Any) -> Any:
    """Return the parts in which two values agree, with None for the others."""
    if isinstance(one, Mapping) and isinstance(other, Mapping):
        return {name: _common(each, other.get(name)) for name, each in one.items()}
    return one if one == other else None


def _paths(value: Any) -> Iterator[str]:
    """Yield all paths contained in options."""
    if isinstance(value, Path):
        yield str(value)
    for each in _parts(value):
        yield from _paths(each)


def _parts(value: Any) -> Collection[Any]:
    if isinstance(value, Mapping):
        return [*value.keys(), *value.values()]
    return value if isinstance(value, list | tuple | set | frozenset) else ()
