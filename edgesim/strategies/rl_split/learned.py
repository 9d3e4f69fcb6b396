"""The trained policy of a strategy: found, held to what it is to decide, or what has to be learned first."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from math import log2
from typing import Any

from edgesim.errors import InputError, PlacementError
from edgesim.planning.policies.shipped import SHIPPED, policy_file
from edgesim.planning.splitting.policy import Policy
from edgesim.strategies.rl_split.options import Learning, Weights
from edgesim.strategies.rl_split.seeing import HIGHEST, LOWEST, check_names
from edgesim.strategy import Training, Utility

__all__ = ["load_policy", "remark_on", "training_of"]


def load_policy(
    named: str,
    *,
    actions: str,
    splits: tuple[int, ...],
    n_actions: int,
    names: Sequence[str],
    n_blocks: int,
) -> Policy:
    """Read a policy, and refuse it unless it fits what it is to decide.

    Parameters
    ----------
    named
        A file, or ``shipped:NAME``.
    names
        What the strategy shows if the policy does not say what it sees.
    n_blocks
        Of the model.

    Raises
    ------
    PlacementError
        If there is none, it cannot be read, or was trained for something else; with what to do about it.
    """
    try:
        file = policy_file(named)
        policy = Policy.load(file)
    except InputError as error:
        raise PlacementError(
            f"rl_split: {error}; train one (edgesim train), or say 'policy: trained' or a rule"
        ) from None
    where, record = named if named.startswith(SHIPPED) else str(file), policy.record
    told = _splits(policy)
    origin = _mapping(record.more, "provenance")
    decision, depth = origin.get("decision", "split"), _mapping(origin, "model").get("n_blocks", n_blocks)
    if decision != "split":
        raise PlacementError(
            f"rl_split: {where} was trained for the decision {decision!r:.60}, and this is 'split'; "
            "train one for it"
        )
    if depth != n_blocks:
        raise PlacementError(
            f"rl_split: {where} was trained for a model of {depth!r:.20} blocks, and there are {n_blocks}: "
            "its cuts mean others here; train one for this model"
        )
    if policy.n_actions != n_actions:
        raise PlacementError(
            f"rl_split: {where} chooses among {policy.n_actions} actions, and there are {n_actions} "
            f"({actions}, splits {_listed(splits)}){_trained_for(told)}; train one for these, or "
            "change 'splits'"
        )
    if record.observations:
        check_names(record.observations, f"the policy {where}")
    elif policy.n_seen != len(names):
        raise PlacementError(
            f"rl_split: {where} sees {policy.n_seen} numbers without names, and 'see' names {len(names)}"
        )
    if record.actions not in ("other", actions):
        raise PlacementError(
            f"rl_split: {where} was trained with {record.actions} actions; say 'actions: {record.actions}'"
        )
    if told is not None and tuple(told) != splits:
        raise PlacementError(
            f"rl_split: {where} was trained for splits {_listed(told)}, and there are {_listed(splits)}; "
            "train one for these, or change 'splits'"
        )
    return policy


def remark_on(policy: Policy, named: str, *, options: Mapping[str, Any], worth: Mapping[str, float]) -> str:
    """What a policy was trained for that is otherwise here, and yet no reason to refuse it; or nothing.

    Parameters
    ----------
    options
        By name, those under which requests are served here.
    worth
        Weights of the utility here.
    """
    origin = _mapping(policy.record.more, "provenance")
    there, weights = _mapping(_mapping(origin, "strategy"), "options"), _mapping(origin, "utility")
    found = [
        f"{name}: {there[name]!r:.40} (here {value!r})"
        for name, value in options.items()
        if name in there and there[name] != value
    ]
    found += [
        f"{name} {weights[name]:g} (here {weight:g})"
        for name, weight in worth.items()
        if isinstance(weights.get(name), int | float) and weights[name] != weight
    ]
    said = f"{named} was trained for {', '.join(found)}" if found else ""
    if _splits(policy) is None:
        said += f"{'; it' if said else named} does not say for which splits it was trained"
    return f"{said}; train one for this (edgesim train)" if said else ""


def _splits(policy: Policy) -> Sequence[object] | None:
    """Splits that a policy was trained for; None if it does not say."""
    record = policy.record
    told = record.more.get("splits")
    if isinstance(told, list):
        return told
    return range(record.first_split, record.first_split + record.n_splits) if record.n_splits else None


def _mapping(value: Mapping[str, Any], name: str) -> Mapping[str, Any]:
    """A part of a record, of which a file may say anything."""
    part = value.get(name)
    return part if isinstance(part, Mapping) else {}


def training_of(
    names: tuple[str, ...],
    *,
    weights: Weights,
    learning: Learning,
    actions: str,
    moves: tuple[int, ...],
    splits: tuple[int, ...],
    n_blocks: int,
    clean_nll: float | None,
    n_most_tokens: int,
) -> Training:
    """Say what is to be learned.

    Parameters
    ----------
    moves
        Of actions: cuts by number, or by how many numbers to move.
    clean_nll
        Mean negative log likelihood of answers without losses [nats]; None where no answers were measured,
        and then they have no weight.
    n_most_tokens
        Of a request's text; a power of two above it ends the ranges of counts of tokens.
    """
    high = dict(HIGHEST) | {
        "split": float(n_blocks),
        "tokens_left": _power(n_most_tokens),
        "context": _power(n_most_tokens),
    }
    is_absolute = actions == "absolute"
    place = names.index("split") if "split" in names else None
    if weights.load and not is_absolute and place is None:
        raise InputError(
            "rl_split: load has a weight and actions are relative, so what is seen must have 'split' in it: "
            "add it to 'see'"
        )

    worth = weights.model_dump()
    if clean_nll is None:
        worth["quality"] = 0.0

    def load_of(seen: Sequence[float], action: int) -> float:
        if is_absolute:
            return splits[action] / n_blocks
        assert place is not None
        here = splits.index(round(seen[place]))
        return splits[min(max(0, here + moves[action]), len(splits) - 1)] / n_blocks

    return Training(
        decision="split",
        utility=Utility(**worth, clean_nll=clean_nll or 0.0),
        observations=names,
        low=tuple(LOWEST[name] for name in names),
        high=tuple(high[name] for name in names),
        actions="absolute" if is_absolute else "relative",
        splits=splits,
        moves=() if is_absolute else moves,
        load_of=load_of if is_absolute or place is not None else None,
        algorithm=learning.algorithm,
        n_steps=learning.steps,
        seed=learning.seed,
    )


def _power(number: int) -> float:
    return 2.0 ** max(1, int(log2(max(1, number))) + 1)


def _listed(splits: Sequence[object]) -> str:
    return ", ".join(map(str, splits))


def _trained_for(told: Sequence[object] | None) -> str:
    return "" if told is None else f"; it was trained for splits {_listed(told)}"
