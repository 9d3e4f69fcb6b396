"""Trained policies as plain numbers: evaluated without the training library, and stored without pickle."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, fields
from pathlib import Path
from typing import Any, Literal

import numpy as np
from numpy.typing import NDArray
from safetensors import SafetensorError, safe_open
from safetensors.numpy import save

from edgesim.errors import InputError
from edgesim.planning.splitting.encoding import Encoding

__all__ = ["Layer", "Policy", "PolicyRecord"]

Floats = NDArray[np.float64]
Layer = tuple[NDArray[np.float32], NDArray[np.float32]]
"""Weights, [n_out, n_in], and biases, [n_out]."""

_KEY = "edgesim_policy"
_VERSION = 1
_MOST_BYTES = 64 * 2**20  # policies have some thousand weights; a larger file is not a policy
_ACTIONS = ("absolute", "relative", "other")


@dataclass(frozen=True, kw_only=True)
class PolicyRecord:
    """Description of a policy and its training.

    Attributes
    ----------
    algorithm, preset, seed, n_steps
        Algorithm (``ppo``, ``a2c`` or ``dqn``); name of its settings; seed; environment steps.
    actions
        ``absolute``: an action is a split; ``relative``: it is a move; ``other``: any other decision.
    first_split, n_splits
        Splits to choose from, consecutive numbers of blocks; 0 and 0 for other decisions.
    observations : [n_seen]
        Names of the observations.
    trained_on
        Digest of the table or scenario that it was trained on.
    more
        Further entries, as JSON values.
    """

    algorithm: str = ""
    preset: str = ""
    seed: int = 0
    n_steps: int = 0
    actions: Literal["absolute", "relative", "other"] = "other"
    first_split: int = 0
    n_splits: int = 0
    observations: tuple[str, ...] = ()
    trained_on: str = ""
    more: Mapping[str, Any] = field(default_factory=dict)


@dataclass(frozen=True, eq=False, kw_only=True)
class Policy:
    """A multilayer perceptron that scores actions.

    Attributes
    ----------
    encoding
        Map from observations to inputs.
    layers
        Layers from inputs to scores, with the activation between them.
    activation
        ``tanh`` or ``relu``.
    scores
        ``logits`` of probabilities, or expected ``returns``, of which the largest is chosen.
    record
        Description of the policy and its training.

    Raises
    ------
    InputError
        If shapes do not match, or a weight is not finite.
    """

    encoding: Encoding
    layers: tuple[Layer, ...]
    activation: Literal["tanh", "relu"] = "tanh"
    scores: Literal["logits", "returns"] = "logits"
    record: PolicyRecord = field(default_factory=PolicyRecord)

    def __post_init__(self) -> None:
        with np.errstate(over="ignore"):  # values beyond single precision become infinite and are rejected
            layers = tuple((np.asarray(w, np.float32), np.asarray(b, np.float32)) for w, b in self.layers)
        object.__setattr__(self, "layers", layers)
        width = self.encoding.n_inputs
        for place, (weight, bias) in enumerate(layers):
            if weight.ndim != 2 or weight.shape[1] != width or bias.shape != weight.shape[:1]:
                raise InputError(
                    f"policy: layer {place} has weights of shape {weight.shape} and biases of shape "
                    f"{bias.shape}; expected ({bias.size}, {width}) and one bias for each row"
                )
            if not (np.isfinite(weight).all() and np.isfinite(bias).all()):
                raise InputError(f"policy: layer {place} has weights that are not finite; train it again")
            width = len(bias)
        if not layers or not width:
            raise InputError("policy: no layers; expected at least one, from inputs to actions")
        if self.activation not in ("tanh", "relu") or self.scores not in ("logits", "returns"):
            raise InputError(
                f"policy: activation '{self.activation}' and scores '{self.scores}'; expected tanh or relu, "
                "and logits or returns"
            )
        names = self.record.observations
        if names and len(names) != self.encoding.n_seen:
            raise InputError(
                f"policy: {len(names)} names for {self.encoding.n_seen} observations; expected one each"
            )

    @property
    def n_seen(self) -> int:
        """Number of observations."""
        return self.encoding.n_seen

    @property
    def n_actions(self) -> int:
        """Number of actions."""
        return len(self.layers[-1][1])

    def scored(self, seen: Sequence[float] | Floats) -> Floats:
        """Return the scores of all actions, in double precision: [..., n_seen] to [..., n_actions].

        Raises
        ------
        InputError
            If the number of observations differs from the training's, or one is not finite.
        """
        values = np.asarray(seen, np.float64)
        if values.shape[-1:] != (self.n_seen,) or not np.isfinite(values).all():
            raise InputError(
                f"policy: observations {values.tolist() if values.size < 20 else values.shape}; expected "
                f"{self.n_seen} finite numbers ({', '.join(self.record.observations) or 'no names kept'})"
            )
        # The training library gets observations in single precision.
        state = self.encoding(values.astype(np.float32).astype(np.float64))
        for place, (weight, bias) in enumerate(self.layers):
            if place:
                state = np.tanh(state) if self.activation == "tanh" else np.maximum(state, 0.0)
            state = state @ weight.T.astype(np.float64) + bias
        return state

    def act(self, seen: Sequence[float] | Floats, allowed: Sequence[bool] | None = None) -> int:
        """Return the best of the allowed actions; of equal ones, the first.

        Parameters
        ----------
        seen : [n_seen]
            Observations.
        allowed : [n_actions]
            Which actions are possible; all of them if None.

        Raises
        ------
        InputError
            As :meth:`scored`; also if `allowed` has another length or allows no action.
        """
        return int(np.argmax(self._masked(self.scored(seen), allowed)))

    def acts(self, seen: Floats) -> NDArray[np.int64]:
        """Return the best action for each of many observations: [..., n_seen] to [...]."""
        best: NDArray[np.int64] = np.argmax(self.scored(seen), axis=-1)
        return best

    def probabilities(self, seen: Sequence[float] | Floats, allowed: Sequence[bool] | None = None) -> Floats:
        """Return the action probabilities of training: [n_actions]; for expected returns, 1 for the best."""
        scores = self._masked(self.scored(seen), allowed)
        if self.scores == "returns":
            sure: Floats = (np.arange(self.n_actions) == np.argmax(scores)).astype(np.float64)
            return sure
        weights = np.exp(scores - scores.max())
        shares: Floats = weights / weights.sum()
        return shares

    def _masked(self, scores: Floats, allowed: Sequence[bool] | None) -> Floats:
        if allowed is None:
            return scores
        mask = np.asarray(allowed, np.bool_)
        if mask.shape != (self.n_actions,) or not mask.any():
            raise InputError(
                f"policy: allowed actions {mask.tolist()}; expected {self.n_actions} flags, at least one true"
            )
        return np.where(mask, scores, -np.inf)

    # --- files --------------------------------------------------------------------------------------

    def save(self, path: Path) -> None:
        """Write one safetensors file, with settings and record in its header; equal policies, equal bytes."""
        path.write_bytes(self.encoded())

    def encoded(self) -> bytes:
        """Return the bytes that :meth:`save` writes."""
        tensors: dict[str, NDArray[Any]] = {"low": self.encoding.low, "high": self.encoding.high}
        for place, (weight, bias) in enumerate(self.layers):
            tensors |= {f"layer.{place}.weight": weight, f"layer.{place}.bias": bias}
        settings: dict[str, Any] = {
            "version": _VERSION,
            "knots": list(self.encoding.knots),
            "activation": self.activation,
            "scores": self.scores,
            "record": {**vars(self.record), "more": dict(self.record.more)},
        }
        if self.encoding.places:
            settings["places"] = [list(each) for each in self.encoding.places]
        if self.encoding.is_crossed:
            settings["is_crossed"] = True
        header = {_KEY: json.dumps(settings, sort_keys=True)}
        return save({name: np.ascontiguousarray(each) for name, each in tensors.items()}, header)

    @classmethod
    def load(cls, path: Path) -> Policy:
        """Read a file written by :meth:`save`.

        Raises
        ------
        InputError
            If there is no such file, or it is not a policy.
        """
        remedy = "expected a file written by edgesim after training; train it again"
        if path.is_file() and path.stat().st_size > _MOST_BYTES:
            raise InputError(f"{path}: larger than {_MOST_BYTES >> 20} MiB, so not a policy; {remedy}")
        try:
            with safe_open(path, framework="numpy") as file:
                settings = json.loads((file.metadata() or {}).get(_KEY, "null"))
                tensors = {name: file.get_tensor(name) for name in file.keys()}  # noqa: SIM118 (no mapping)
        except (OSError, SafetensorError, ValueError, TypeError, AttributeError, RecursionError) as error:
            raise InputError(f"{path}: no policy can be read ({error}); {remedy}") from None
        if not isinstance(settings, dict) or settings.get("version") != _VERSION:
            version = settings.get("version") if isinstance(settings, dict) else None
            raise InputError(
                f"{path}: no policy of version {_VERSION} "
                f"({'of none' if version is None else f'of version {version}'}); {remedy}"
            )
        try:
            return _assembled(settings, tensors)
        except (KeyError, TypeError, ValueError, OverflowError, InputError) as error:
            missing = f"{error} is missing" if isinstance(error, KeyError) else error
            raise InputError(f"{path}: a damaged policy ({missing}); {remedy}") from None


def _assembled(settings: Mapping[str, Any], tensors: Mapping[str, NDArray[Any]]) -> Policy:
    """Build a policy from the unchecked content of a file."""
    n_layers = (len(tensors) - 2) // 2
    names = {"low", "high"} | {f"layer.{place}.{part}" for place in range(n_layers) for part in _PARTS}
    if set(tensors) != names:
        raise InputError(f"it contains {', '.join(sorted(tensors)) or 'no numbers'}")
    return Policy(
        encoding=Encoding(
            tensors["low"],
            tensors["high"],
            tuple(settings["knots"]),
            tuple(tuple(each) for each in settings.get("places", ())),
            settings.get("is_crossed", False) is True,
        ),
        layers=tuple(
            (tensors[f"layer.{place}.weight"], tensors[f"layer.{place}.bias"]) for place in range(n_layers)
        ),
        activation=settings["activation"],
        scores=settings["scores"],
        record=_record(settings["record"]),
    )


def _record(content: Any) -> PolicyRecord:
    """Build a record from the unchecked content of a file."""
    if not isinstance(content, dict):
        raise InputError(f"the record is {type(content).__name__}; expected a mapping")
    expected = {field.name: getattr(_PLAIN, field.name) for field in fields(PolicyRecord)}
    if content.keys() != expected.keys():
        raise InputError(f"a record of {', '.join(map(str, content))}; expected {', '.join(expected)}")
    for name, default in expected.items():
        kind = list if name == "observations" else dict if name == "more" else type(default)
        if type(content[name]) is not kind:
            raise InputError(f"record.{name} is {content[name]!r:.60}; expected {_KINDS[kind]}")
    seen = content["observations"]
    if not all(isinstance(name, str) for name in seen) or len(set(seen)) != len(seen):
        raise InputError(f"record.observations is {seen!r:.60}; expected names, each once")
    if content["actions"] not in _ACTIONS:
        raise InputError(f"record.actions is {content['actions']!r:.60}; expected {', '.join(_ACTIONS)}")
    return PolicyRecord(**{**content, "observations": tuple(seen)})


_PLAIN = PolicyRecord()
_PARTS = ("weight", "bias")
_KINDS = {str: "a text", int: "a whole number", list: "a list of names", dict: "a mapping"}
