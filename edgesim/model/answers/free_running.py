"""How far text that a model writes while its tokens leave early departs from what all its blocks write."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt
import pyarrow as pa

from edgesim.errors import InputError
from edgesim.model.answers.exit_paths import CacheFill
from edgesim.model.answers.exit_rule import ExitRule
from edgesim.model.answers.parquet_record import damage_reported, read_record, write_record

__all__ = ["Divergence", "FreeRunning", "first_differences"]

_VERSION = 1
_KEY = b"edgesim_free_running"
_REMEDY = "give a file written by `scripts/measure_bundled_generation.py`"


@dataclass(frozen=True, slots=True, kw_only=True)
class Divergence:
    """Greedy text under one rule and one way of filling caches, beside that of the whole model.

    Attributes
    ----------
    rule, fill
        When tokens left, and what became of the keys and values that they lacked.
    first_difference : [n_prompts]
        Tokens of each text before the first that is not the whole model's; its length if there is none.
    same_share : [n_tokens]
        Share of the texts whose n-th token is the whole model's n-th.
    nll, nll_se
        Mean negative log likelihood of the text under the whole model, given prompt and text so far, and its
        standard error over prompts [nats/token].
    full_nll
        The same of what the whole model writes: what greedy text has without leaving early.
    mean_block
        Mean number of blocks that a token passed before it was answered.
    """

    rule: ExitRule
    fill: CacheFill
    first_difference: tuple[int, ...]
    same_share: tuple[float, ...]
    nll: float
    nll_se: float
    full_nll: float
    mean_block: float

    @property
    def n_tokens(self) -> int:
        """Tokens of each text."""
        return len(self.same_share)

    @property
    def median_first_difference(self) -> float:
        """Median number of tokens before the first that differs; the length for texts that never do."""
        return float(np.median(self.first_difference))

    def identical(self, n: int) -> float:
        """Share of the texts whose first n tokens are all those of the whole model."""
        if not 1 <= n <= self.n_tokens:
            raise InputError(f"texts of {self.n_tokens} tokens: the first {n}; expected 1 to {self.n_tokens}")
        return float(np.mean(np.asarray(self.first_difference) >= n))


@dataclass(frozen=True, eq=False)
class FreeRunning:
    """Divergences of one model from the same prompts.

    Attributes
    ----------
    rows
        One for each rule and way of filling caches.
    provenance
        What was measured on what: model, its digest, text, its digest, prompts, versions, date.
    """

    rows: Sequence[Divergence]
    provenance: Mapping[str, Any] = field(default_factory=dict)

    def at(self, fill: CacheFill, rule: ExitRule) -> Divergence:
        """Return the row of a way and a rule.

        Raises
        ------
        InputError
            If it was not measured; the message names the nearest rule that was.
        """
        own = [row for row in self.rows if row.fill is fill]
        found = next((row for row in own if row.rule == rule), None)
        if found is None:
            nearest = min((row.rule for row in own), key=rule.distance, default=None)
            raise InputError(
                f"free-running text was not measured with {fill} and {rule}; the nearest measured rule is "
                f"{nearest or 'none'}"
            )
        return found

    def save(self, path: Path) -> None:
        """Write one Parquet file."""
        columns: dict[str, list[Any]] = {name: [] for name in _SCHEMA.names}
        for row in self.rows:
            values = {name: getattr(row, name) for name in _SCHEMA.names if hasattr(row, name)}
            values |= {"fill": str(row.fill), "kind": row.rule.kind, "thresholds": list(row.rule.thresholds)}
            for name in columns:
                columns[name].append(values[name])
        stated = {"version": _VERSION, "provenance": dict(self.provenance)}
        write_record(pa.table(columns, schema=_SCHEMA), path, _KEY, stated, compression="zstd")

    @classmethod
    def load(cls, path: Path) -> FreeRunning:
        """Read what :meth:`save` wrote.

        Raises
        ------
        InputError
            If there is no such file, or it is none of these.
        """
        table, stated = read_record(path, _KEY, _VERSION, what="a file of free-running text", remedy=_REMEDY)
        with damage_reported(path, _REMEDY):
            rows = []
            for values in table.select(_SCHEMA.names).to_pylist():
                rule = ExitRule(tuple(values.pop("thresholds")), values.pop("kind"))
                values |= {name: tuple(values[name]) for name in ("first_difference", "same_share")}
                rows.append(Divergence(rule=rule, fill=CacheFill(values.pop("fill")), **values))
            return cls(rows, stated["provenance"])


def first_differences(texts: npt.NDArray[np.int64], reference: npt.NDArray[np.int64]) -> tuple[int, ...]:
    """Tokens before the first that differs, by row of two arrays [n_texts, n_tokens]."""
    differs = np.hstack([texts != reference, np.ones((len(texts), 1), dtype=np.bool_)])
    return tuple(np.argmax(differs, axis=1).tolist())


_SCHEMA = pa.schema(
    [
        ("fill", pa.string()),
        ("kind", pa.string()),
        ("thresholds", pa.list_(pa.float64())),
        ("first_difference", pa.list_(pa.int32())),
        ("same_share", pa.list_(pa.float64())),
        ("nll", pa.float64()),
        ("nll_se", pa.float64()),
        ("full_nll", pa.float64()),
        ("mean_block", pa.float64()),
    ]
)
