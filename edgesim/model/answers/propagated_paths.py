"""Exit paths with caches filled by propagated states, measured for each exit rule of a grid.

With propagated caches (:class:`edgesim.model.answers.exit_paths.CacheFill`) the confidence of a token depends
on the exits of the tokens before it, and so on every threshold. Results are not interpolated between measured
rules: a rule off the grid is refused.
"""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from functools import cached_property
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
import numpy.typing as npt
import pyarrow as pa

from edgesim.errors import InputError
from edgesim.model.answers.compact_numbers import from_steps, to_steps
from edgesim.model.answers.exit_paths import CacheFill, ExitPath, path_in_records
from edgesim.model.answers.exit_records import ExitRecords, half_of_text
from edgesim.model.answers.exit_rule import ExitRule
from edgesim.model.answers.parquet_record import damage_reported, read_record, write_record

__all__ = ["ExitOutputs", "PropagatedPaths", "exit_path"]

Floats = npt.NDArray[np.float64]

_VERSION = 1
_KEY = b"edgesim_exit_paths"
_REMEDY = "give a file written by `edgesim quality MODEL --generation -o FOLDER`"


class ExitOutputs(NamedTuple):
    """Output of the exit taken, for every token under one exit rule; all arrays [n_tokens]."""

    exits: npt.NDArray[np.int64]
    """Index of the exit taken."""
    confidence: Floats
    """Largest token probability at this exit, after temperature scaling."""
    nll: Floats
    """Negative log likelihood of the right token at this exit [nats]."""
    is_correct: npt.NDArray[np.bool_]
    """Whether the most probable token was the right one."""

    def part(self, start: int, stop: int) -> ExitOutputs:
        """Return tokens `start` up to, but excluding, `stop`."""
        own = {name: values[start:stop] for name, values in self._asdict().items()}
        return ExitOutputs(**own)


@dataclass(frozen=True, eq=False)
class PropagatedPaths:
    """Exit and answer of every token of a text, for each exit rule of a grid.

    Rows are those of the :class:`edgesim.model.answers.exit_records.ExitRecords` of the same model and text.
    For each token only the exit taken is stored; by the rule, earlier exits did not meet their thresholds.

    Attributes
    ----------
    blocks : [n_exits]
        Number of blocks before each exit; the last exit is the model's own head.
    said
        Outputs of the exits taken, by rule.
    provenance
        Origin of the measurement: model, its digest, text, its digest, versions, date.
    """

    blocks: tuple[int, ...]
    said: Mapping[ExitRule, ExitOutputs]
    provenance: Mapping[str, Any] = field(default_factory=dict)

    def __post_init__(self) -> None:
        if not self.said:
            raise InputError("propagated paths: no rule was measured; expected at least one")
        sizes = {len(values) for said in self.said.values() for values in said}
        lengths = {len(rule.thresholds) for rule in self.said}
        if len(sizes) != 1 or 0 in sizes or lengths != {len(self.blocks) - 1}:
            raise InputError(
                f"propagated paths: rules of {sorted(lengths)} thresholds and {sorted(sizes)} tokens for "
                f"{len(self.blocks)} exits; expected a threshold for each inner exit, and as many tokens "
                "under each rule"
            )

    @property
    def rules(self) -> tuple[ExitRule, ...]:
        """Measured exit rules."""
        return tuple(self.said)

    @property
    def n_tokens(self) -> int:
        """Number of tokens recorded under each rule."""
        return len(next(iter(self.said.values())).exits)

    def nearest(self, rule: ExitRule) -> ExitRule | None:
        """Return the measured rule nearest to `rule` (:meth:`ExitRule.distance`), or None if none fits."""
        found = min(self.said, key=rule.distance)
        return None if math.isinf(rule.distance(found)) else found

    def path(self, rule: ExitRule) -> ExitPath:
        """Return the exit path under a measured rule.

        Raises
        ------
        InputError
            If the rule was not measured; the message names the nearest measured rule.
        """
        try:
            return self._paths[rule]
        except KeyError:
            nearest = self.nearest(rule)
            instead = (
                f"none of the {len(self.said)} measured rules is of that kind"
                if nearest is None
                else f"the nearest of {len(self.said)} measured rules is {nearest}"
            )
            raise InputError(
                f"propagated caches: answers were not measured with {rule}, and depend on every threshold; "
                f"{instead}; use a rule of the grid, or another cache-filling method"
            ) from None

    @cached_property
    def _paths(self) -> Mapping[ExitRule, ExitPath]:
        return {
            rule: ExitPath(
                fill=CacheFill.PROPAGATE,
                rule=rule,
                blocks=self.blocks,
                exits=said.exits,
                is_correct=said.is_correct[:, None],
                nll=said.nll[:, None],
            )
            for rule, said in self.said.items()
        }

    def check_fits(self, records: ExitRecords) -> None:
        """Raise InputError unless the rows are the tokens of the given exit records."""
        both = (self.provenance, records.provenance)
        for name in ("model_sha256", "text_sha256", "rows"):
            own, theirs = (each.get(name) for each in both)
            if own != theirs:
                raise InputError(
                    f"propagated paths with {name} {own}, and exit records with {theirs}; measure both on "
                    "one model and text"
                )
        if self.n_tokens != records.n_tokens or len(self.blocks) != len(records.blocks):
            raise InputError(
                f"propagated paths of {self.n_tokens} tokens and {len(self.blocks)} exits, and exit records "
                f"of {records.n_tokens} and {len(records.blocks)}; measure both on one model and text"
            )

    def stretched(self, n_blocks: int) -> PropagatedPaths:
        """Return the paths with exits at the same relative depths, as :meth:`ExitRecords.stretched` does."""
        from_depths = ExitRecords(
            self.blocks, np.zeros((1, len(self.blocks))), np.zeros((1, len(self.blocks)), dtype=np.bool_)
        )
        return replace(self, blocks=from_depths.stretched(n_blocks).blocks)

    def calibration(self) -> PropagatedPaths:
        """Return the tokens of :meth:`ExitRecords.calibration`, for tuning."""
        return self.part(0, half_of_text(self.n_tokens))

    def judged(self) -> PropagatedPaths:
        """Return the tokens of :meth:`ExitRecords.judged`, for evaluation."""
        return self.part(half_of_text(self.n_tokens), self.n_tokens)

    def part(self, start: int, stop: int) -> PropagatedPaths:
        """Return the paths of tokens `start` up to, but excluding, `stop`."""
        if not 0 <= start < stop <= self.n_tokens:
            raise InputError(
                f"propagated paths: tokens {start} to {stop} of {self.n_tokens}; expected at least one"
            )
        first, _ = self.provenance.get("rows", (0, self.n_tokens))
        said = {rule: each.part(start, stop) for rule, each in self.said.items()}
        provenance = {**self.provenance, "rows": [first + start, first + stop]}
        return replace(self, said=said, provenance=provenance)

    # --- files --------------------------------------------------------------------------------------

    def save(self, path: Path) -> None:
        """Write one Parquet file: columns by rule; real numbers are rounded as in :mod:`.stepped`."""
        columns: dict[str, pa.Array] = {}
        for number, said in enumerate(self.said.values()):
            columns[f"exit_{number}"] = pa.array(said.exits, pa.uint8())
            columns[f"is_correct_{number}"] = pa.array(said.is_correct, pa.bool_())
            for name in ("confidence", "nll"):
                columns[f"{name}_{number}"] = to_steps(name, getattr(said, name))
        stated = {
            "version": _VERSION,
            "blocks": list(self.blocks),
            "rules": [
                {
                    "kind": rule.kind,
                    "thresholds": [each if math.isfinite(each) else None for each in rule.thresholds],
                }
                for rule in self.said
            ],
            "provenance": dict(self.provenance),
        }
        write_record(pa.table(columns), path, _KEY, stated, compression="zstd", compression_level=19)

    @classmethod
    def load(cls, path: Path) -> PropagatedPaths:
        """Read a file written by :meth:`save`.

        Raises
        ------
        InputError
            If there is no such file, or it does not contain propagated paths.
        """
        table, stated = read_record(path, _KEY, _VERSION, what="a file of propagated paths", remedy=_REMEDY)
        with damage_reported(path, _REMEDY):
            blocks = tuple(int(block) for block in stated["blocks"])
            said = {}
            for number, one in enumerate(stated["rules"]):
                never = math.inf if one["kind"] == "confidence" else -math.inf
                rule = ExitRule(
                    tuple(never if each is None else each for each in one["thresholds"]), one["kind"]
                )
                exits = table[f"exit_{number}"].to_numpy().astype(np.int64)
                if exits.max(initial=0) >= len(blocks):
                    raise ValueError(f"exit {exits.max()} of {len(blocks)}")
                said[rule] = ExitOutputs(
                    exits=exits,
                    confidence=from_steps("confidence", table[f"confidence_{number}"]),
                    nll=from_steps("nll", table[f"nll_{number}"]),
                    is_correct=table[f"is_correct_{number}"].to_numpy().astype(np.bool_),
                )
            return cls(blocks, said, stated["provenance"])


def exit_path(
    fill: CacheFill, rule: ExitRule, exits: ExitRecords, propagated: PropagatedPaths | None = None
) -> ExitPath:
    """Return the exit path under a rule, for any cache-filling method.

    Parameters
    ----------
    exits
        Exit records of passes through all blocks.
    propagated
        Measured paths of the same tokens; required if caches are propagated.

    Raises
    ------
    InputError
        If the path was not measured, or paths and records are of different tokens.
    """
    if fill is not CacheFill.PROPAGATE:
        return path_in_records(fill, rule, exits)
    if propagated is None:
        raise InputError(
            "propagated caches: answers were not measured; run `edgesim quality MODEL --generation` once, or "
            "use another cache-filling method"
        )
    propagated.check_fits(exits)
    return propagated.path(rule)
