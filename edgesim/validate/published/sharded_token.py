"""Composition of a token's time in a group that shares every block, for any number of members.

The same arithmetic as in a run (:mod:`edgesim.engine.collective`), as means and for many parameter sets
at once; a test compares the two.

* **Computing.** The root computes the head; a share `u` of the blocks is not divided (Amdahl 1967,
  doi:10.1145/1465482.1465560): B (u + (1 - u) / n).
* **Messages.** A star of n nodes over a switch with equal ends: 4 ends and 4 wires in series, and for every
  member beyond the second two more of whichever takes longer, the root's end or its wire.
* **Waiting.** The rest of a sum's time has four possible causes, which times of two nodes do not
  distinguish: a *delay* that is the same for any n; *lateness*, drawn independently for every sum, of which
  the largest of n counts; members of *unlike speed*, of which the slowest counts, in proportion to the
  computing between two sums; *handling per member*, sequential or over a tree.
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
    """Return the duration of one sum over a star: to the root and back over one switch, with busy ends [s].

    Parameters
    ----------
    end_s
        How long a message occupies each end.
    wire_s
        How long it occupies a wire; there are two between member and root.
    """
    if n_nodes == 1:
        return np.zeros_like(end_s)
    return 4.0 * end_s + 4.0 * wire_s + 2.0 * (n_nodes - 2) * np.maximum(end_s, wire_s)


@cache
def _growths(n_nodes: int) -> tuple[Floats, Floats]:
    by_family = [
        np.array([growth(family(1.0, float(cv)), n_nodes) for cv in _SPREADS])
        for family in (GammaLateness, LognormalLateness)
    ]
    return by_family[0], by_family[1]


def late_growth(n_nodes: int, spread: Floats, is_lognormal: Floats) -> Floats:
    """Return the growth of the maximum lateness from two to n, by the law's spread (0.5 to 2) and family."""
    gamma, lognormal = (np.interp(np.log(spread), np.log(_SPREADS), each) for each in _growths(n_nodes))
    factor: Floats = np.where(is_lognormal, lognormal, gamma)
    return factor


@cache
def normal_growth(n_nodes: int) -> float:
    """Return the expected maximum of n standard normals over that of two (n > 1)."""

    def largest(n: int) -> float:
        z = np.linspace(-9.0, 9.0, 20_001)
        density = np.exp(-(z**2) / 2) / np.sqrt(2 * np.pi)
        return float(np.trapezoid(n * z * density * special.ndtr(z) ** (n - 1), z))

    return largest(n_nodes) / largest(2)


@dataclass(frozen=True, kw_only=True)
class ShardedToken:
    """Parameter sets of a token's time; arrays have one element per set, known parameters are numbers.

    Attributes
    ----------
    head_s, blocks_s
        Computing of a token on one device: of the head, which only the root computes, and of all blocks.
    undivided
        Share of the blocks' computing that is not divided.
    form
        Standardised logarithm of the deviation of computing from that law.
    form_spread
        Standard deviation of that logarithm, by number of nodes.
    n_sums
        Sums per token.
    wire_s, end_s
        Duration of a message on one wire, and at one end.
    delay_s, late_s, unlike_s, per_member_s
        Other time of a sum of two nodes, by its four possible causes.
    is_systematic
        For `unlike_s`: 1 where all members but the root are equally slower, 0 where speeds are random.
    is_tree
        For `per_member_s`: 1 where it grows with the logarithm of the number of members, 0 with the number.
    spread, is_lognormal
        Spread and family of lateness.
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
        """Return the root's computing time per token."""
        off = np.exp(self.form_spread.get(n_nodes, 0.0) * self.form)
        return self.head_s + self._blocks_s(n_nodes) * off

    def parts_s(self, n_nodes: int) -> dict[str, Floats]:
        """Return a token's time beyond an n-th of one device's time, as a sum of parts by mechanism."""
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
        """Return the time per token."""
        total: Floats = (self.head_s + self.blocks_s) / n_nodes
        for part_s in self.parts_s(n_nodes).values():
            total = total + part_s
        return total

    def taken(self, chosen: NDArray[np.signedinteger[Any]]) -> ShardedToken:
        """Return the sets with these indices."""
        arrays = {f.name: getattr(self, f.name) for f in fields(self)}
        return replace(
            self,
            **{name: value[chosen] for name, value in arrays.items() if isinstance(value, np.ndarray)},
        )

    def _blocks_s(self, n_nodes: int) -> Floats:
        return self.blocks_s * (self.undivided + (1.0 - self.undivided) / n_nodes)
