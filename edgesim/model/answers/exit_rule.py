"""Early-exit rule: a threshold on confidence or entropy for each inner exit."""

from __future__ import annotations

import math
from dataclasses import dataclass

import numpy as np

from edgesim.errors import InputError

__all__ = ["ExitRule"]

_MOST_NATS = 20.0  # bound on any entropy: that of half a billion equally likely words


@dataclass(frozen=True, slots=True)
class ExitRule:
    """Rule by which a token leaves at the first exit whose threshold it meets, else at the model's own head.

    Attributes
    ----------
    thresholds : [n_exits - 1]
        Minimum confidence, or maximum entropy [nats], of each inner exit. Plus infinity (confidence) or minus
        infinity (entropy) disables an exit; equivalent values (a confidence above 1, an entropy below 0) are
        replaced by these, so that equal rules compare equal.
    kind
        ``confidence``, the largest probability; or ``entropy`` of the distribution (DeeBERT, Xin et al. 2020,
        arXiv 2004.12993).
    """

    thresholds: tuple[float, ...]
    kind: str = "confidence"

    def __post_init__(self) -> None:
        if self.kind not in ("confidence", "entropy"):
            raise InputError(f"exit rule of '{self.kind}'; expected 'confidence' or 'entropy'")
        values = tuple(float(each) for each in self.thresholds)
        if not values or any(math.isnan(each) for each in values):
            raise InputError(f"exit rule: thresholds {values}; expected a number for each inner exit")
        if self.kind == "confidence":
            values = tuple(math.inf if each > 1 else max(each, 0.0) for each in values)
        else:
            values = tuple(-math.inf if each < 0 else each for each in values)
        object.__setattr__(self, "thresholds", values)

    def distance(self, other: ExitRule) -> float:
        """Euclidean distance between the thresholds of two rules; infinite if their kinds differ.

        A disabled exit counts as a confidence of 1 or an entropy of 0, the nearest threshold that can be met.
        """
        if self.kind != other.kind or len(self.thresholds) != len(other.thresholds):
            return math.inf
        least, most = (0.0, 1.0) if self.kind == "confidence" else (0.0, _MOST_NATS)
        clipped = (np.clip(rule.thresholds, least, most) for rule in (self, other))
        return float(np.linalg.norm(np.subtract(*clipped)))

    def __str__(self) -> str:
        never = math.inf if self.kind == "confidence" else -math.inf
        named = ", ".join("never" if each == never else f"{each:g}" for each in self.thresholds)
        return f"{self.kind} ({named})"

    @classmethod
    def fixed(cls, exit_index: int, n_exits: int) -> ExitRule:
        """Return the rule by which every token leaves at one exit, counted from 0; the last is the head."""
        if not 0 <= exit_index < n_exits:
            raise InputError(f"exit {exit_index} of {n_exits}; expected 0 to {n_exits - 1}")
        return cls(tuple(0.0 if exit_index == inner else math.inf for inner in range(n_exits - 1)))

    @classmethod
    def uniform(cls, threshold: float, n_exits: int, *, kind: str = "confidence") -> ExitRule:
        """Return the rule with one threshold for all inner exits."""
        return cls((threshold,) * (n_exits - 1), kind)
