"""A token of a group that shares every block: what its time is made of, for any number of members.

The same arithmetic as a run's (:mod:`edgesim.engine.collective`), in the mean and for many sets of
parameters at once; a test holds one against the other.

* **Computing.** The head is the root's; of the blocks a share `u` is not divided (Amdahl 1967,
  doi:10.1145/1465482.1465560): B (u + (1 - u) / n).
* **Messages.** A star of n nodes over a switch, all ends alike: 4 ends and 4 wires in a row, and for every
  member beyond the second two more of whichever is longer, the root's end or its wire.
* **Waiting.** What a sum takes besides is one of four things that two nodes do not tell apart: a *delay*
  that is the same for any n; *lateness*, drawn anew for every sum, of which the latest of n counts; members
  of *unlike speed*, of which the slowest counts, in proportion to the computing between two sums; *handling
  per member*, one after the other or over a tree.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, fields, replace
from functools import cache
from typing import Any

import numpy as np
from numpy.typing import NDArray
from scipy import special

from edgesim.model.lateness.latest import growth
from edgesim.model.lateness.laws import GammaLateness, LognormalLateness
from edgesim.validate.published.group_row import Floats

__all__ = ["ShardedToken", "late_growth", "normal_growth", "star_s"]

_SPREADS = np.geomspace(0.5, 2.0, 9)


def star_s(n_nodes: int, end_s: Floats, wire_s: float) -> Floats:
    """Duration of one sum over a star: to the root and back, over one switch, ends occupied and wires [s].

    Parameters
    ----------
    end_s
        What a message occupies either end for.
    wire_s
        What it occupies a wire for; there are two between member and root.
    """
    if n_nodes == 1:
        return np.zeros_like(end_s)
    return 4.0 * end_s + 4.0 * wire_s + 2.0 * (n_nodes - 2) * np.maximum(end_s, wire_s)


@cache
def _growths(n_nodes: int) -> tuple[Floats, Floats]:
    told = [
        np.array([growth(family(1.0, float(cv)), n_nodes) for cv in _SPREADS])
        for family in (GammaLateness, LognormalLateness)
    ]
    return told[0], told[1]


def late_growth(n_nodes: int, spread: Floats, is_lognormal: Floats) -> Floats:
    """How many times as late the latest of n is as that of two, by the law's spread (0.5 to 2) and family."""
    gamma, lognormal = (np.interp(np.log(spread), np.log(_SPREADS), told) for told in _growths(n_nodes))
    told: Floats = np.where(is_lognormal, lognormal, gamma)
    return told


@cache
def normal_growth(n_nodes: int) -> float:
    """How many times as far the largest of n normals is from the mean as that of two (n > 1)."""

    def largest(n: int) -> float:
        z = np.linspace(-9.0, 9.0, 20_001)
        density = np.exp(-(z**2) / 2) / np.sqrt(2 * np.pi)
        return float(np.trapezoid(n * z * density * special.ndtr(z) ** (n - 1), z))

    return largest(n_nodes) / largest(2)


@dataclass(frozen=True, kw_only=True)
class ShardedToken:
    """Sets of parameters, one each in every array, of which some are known and numbers.

    Attributes
    ----------
    head_s, blocks_s
        Computing of a token on one device: what is the root's alone, and all blocks.
    undivided
        Share of the blocks' computing that is not divided.
    form
        Logarithm of what computing on 4 nodes is off by from that law, over its spread.
    form_spread
        That spread, by number of nodes.
    n_sums
        Sums of a token.
    wire_s, end_s
        Of a message: on one wire, and at one end.
    delay_s, late_s, unlike_s, per_member_s
        What a sum of two takes besides: the four readings.
    is_systematic
        Of `unlike_s`: 1 where all members but the root are slower alike, 0 where speeds are drawn.
    is_tree
        Of `per_member_s`: 1 where it grows with the number of members' logarithm, 0 with their number.
    spread, is_lognormal
        Of lateness.
    """

    head_s: Floats
    blocks_s: Floats
    undivided: Floats
    form: Floats
    form_spread: Mapping[int, float]
    n_sums: int
    wire_s: float
    end_s: Floats
    delay_s: Floats
    late_s: Floats
    unlike_s: Floats
    per_member_s: Floats
    is_systematic: Floats
    is_tree: Floats
    spread: Floats
    is_lognormal: Floats

    def computing_s(self, n_nodes: int) -> Floats:
        """What the root computes of a token."""
        off = np.exp(self.form_spread.get(n_nodes, 0.0) * self.form)
        return self.head_s + self._blocks_s(n_nodes) * off

    def parts_s(self, n_nodes: int) -> dict[str, Floats]:
        """What a token takes beyond an n-th of one device's time, by mechanism; they add up to the rest."""
        if n_nodes == 1:
            return {}
        even_s = (self.head_s + self.blocks_s) / n_nodes
        latest = late_growth(n_nodes, self.spread, self.is_lognormal)
        slowest = self.is_systematic + (1.0 - self.is_systematic) * normal_growth(n_nodes)
        in_line = self.is_tree * np.log2(n_nodes) + (1.0 - self.is_tree) * n_nodes / 2.0
        lasting = self._blocks_s(n_nodes) / self._blocks_s(2)
        per_sum_s = {
            "messages": star_s(n_nodes, self.end_s, self.wire_s),
            "delays": self.delay_s,
            "lateness": self.late_s * latest,
            "unlike speeds": self.unlike_s * slowest * lasting,
            "handling per member": self.per_member_s * in_line,
        }
        return {
            "undivided computing": self.computing_s(n_nodes) - even_s,
            **{name: self.n_sums * part_s for name, part_s in per_sum_s.items()},
        }

    def total_s(self, n_nodes: int) -> Floats:
        """Time per token."""
        total: Floats = (self.head_s + self.blocks_s) / n_nodes
        for part_s in self.parts_s(n_nodes).values():
            total = total + part_s
        return total

    def taken(self, chosen: NDArray[np.signedinteger[Any]]) -> ShardedToken:
        """The sets at these places."""
        arrays = {f.name: getattr(self, f.name) for f in fields(self)}
        return replace(
            self,
            **{name: value[chosen] for name, value in arrays.items() if isinstance(value, np.ndarray)},
        )

    def _blocks_s(self, n_nodes: int) -> Floats:
        return self.blocks_s * (self.undivided + (1.0 - self.undivided) / n_nodes)
