"""Loading of a strategy's trained policy, checks that it fits the decision, and specification of training."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from math import log2
from typing import Any

from edgesim.errors import InputError, PlacementError
from edgesim.planning.policies.shipped import SHIPPED, policy_file
from edgesim.planning.splitting.policy import Policy
from edgesim.strategies.rl_split.observations import HIGHEST, LOWEST, check_names
from edgesim.strategies.rl_split.options import Learning, Weights
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
    """Load a policy, and check that it fits the decision.

    Parameters
    ----------
    named
        A file, or ``shipped:NAME``.
    actions, splits, n_actions
        Kind of actions, allowed splits and number of actions of the decision.
    names
        Observations that the strategy gives if the policy does not name its own.
    n_blocks
        Number of blocks of the model.

    Raises
    ------
    PlacementError
        If there is no such policy, it cannot be read, or it was trained for another decision; the message
        states what to do.
    """
    try:
        file = policy_file(named)
        policy = Policy.load(file)
    except InputError as error:
        raise PlacementError(
            f"rl_split: {error}; train one (edgesim train), or set 'policy: trained' or a rule"
        ) from None
    where, record = named if named.startswith(SHIPPED) else str(file), policy.record
    trained_splits = _splits(policy)
    origin = _mapping(record.more, "provenance")
    decision, depth = origin.get("decision", "split"), _mapping(origin, "model").get("n_blocks", n_blocks)
    if decision != "split":
        raise PlacementError(
            f"rl_split: {where} was trained for the decision {decision!r:.60}, but this is 'split'; "
            "train one for it"
        )
    if depth != n_blocks:
        raise PlacementError(
            f"rl_split: {where} was trained for a model of {depth!r:.20} blocks, but this one has "
            f"{n_blocks}: its splits have another meaning here; train one for this model"
        )
    if policy.n_actions != n_actions:
        raise PlacementError(
            f"rl_split: {where} chooses among {policy.n_actions} actions, but there are {n_actions} "
            f"({actions}, splits {_listed(splits)}){_trained_for(trained_splits)}; train one for these, or "
            "change 'splits'"
        )
    if record.observations:
        check_names(record.observations, f"the policy {where}")
    elif policy.n_seen != len(names):
        raise PlacementError(
            f"rl_split: {where} observes {policy.n_seen} numbers without names, but 'see' names {len(names)}"
        )
    if record.actions not in ("other", actions):
        raise PlacementError(
            f"rl_split: {where} was trained with {record.actions} actions; set 'actions: {record.actions}'"
        )
    if trained_splits is not None and tuple(trained_splits) != splits:
        raise PlacementError(
            f"rl_split: {where} was trained for splits {_listed(trained_splits)}, but the allowed ones are "
            f"{_listed(splits)}; train one for these, or change 'splits'"
        )
    return policy


def remark_on(policy: Policy, named: str, *, options: Mapping[str, Any], worth: Mapping[str, float]) -> str:
    """Return a remark on how a policy's training differs from its use here, where that is allowed.

    It is empty if nothing differs.

    Parameters
    ----------
    options
        Options under which requests are served here, by name.
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
        said += f"{'; it' if said else named} does not record for which splits it was trained"
    return f"{said}; train one for this (edgesim train)" if said else ""


def _splits(policy: Policy) -> Sequence[object] | None:
    """Return the splits that a policy was trained for; None if it does not record them."""
    record = policy.record
    listed = record.more.get("splits")
    if isinstance(listed, list):
        return listed
    return range(record.first_split, record.first_split + record.n_splits) if record.n_splits else None


def _mapping(value: Mapping[str, Any], name: str) -> Mapping[str, Any]:
    """Return a part of a record's unchecked content, empty if it is not a mapping."""
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
    """Return the specification of the training.

    Parameters
    ----------
    moves
        For each action, the index of a split, or the number of indices to move.
    clean_nll
        Mean negative log likelihood of answers without losses [nats]. None: answers were not measured, and
        quality has no weight.
    n_most_tokens
        Most tokens of a request's text; the next power of two is the upper end of token counts' ranges.
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
            "rl_split: load has a weight and actions are relative, so the observations must contain 'split': "
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


def _trained_for(splits: Sequence[object] | None) -> str:
    return "" if splits is None else f"; it was trained for splits {_listed(splits)}"
