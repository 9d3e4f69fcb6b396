"""Exit records measured under impairments at splits, one set per impairment level.

An impairment at a split changes the outputs and confidences of all exits after it, and so the exits at which
tokens leave. Exit records without impairment, or a table of mean losses, cannot show that; here both effects
are measured in one pass. Single tokens cannot be interpolated, so a level off the grid is refused.

All tokens of a pass are impaired. This applies to tokens whose missing blocks are recomputed (their states
cross the split late), and to tokens of same-path requests whose exit is after the split. Not modelled:
propagated caches together with impairments.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, NamedTuple, Protocol

import numpy as np
import numpy.typing as npt
import pyarrow as pa

from edgesim.errors import InputError
from edgesim.model.answers.compact_numbers import from_steps, to_steps
from edgesim.model.answers.exit_records import ExitRecords
from edgesim.model.answers.parquet_record import damage_reported, read_record, write_record

__all__ = ["ImpairedExits", "SplitKind"]

Floats = npt.NDArray[np.float64]

_VERSION = 1
_KEY = b"edgesim_impaired_exits"
_REMEDY = "give a file written by `scripts/measure_bundled_generation.py`"
_NUMBERS = ("confidence", "entropy", "nll")


class SplitKind(NamedTuple):
    """An impairment at a split, at one level."""

    name: str
    """The impairment's name (:mod:`edgesim.model.answers.impairment`)."""
    level: float
    """Level of the impairment, such as the probability of an erasure."""
    block: int
    """Number of blocks before the split."""


class _Impairing(Protocol):
    @property
    def name(self) -> str: ...
    @property
    def level(self) -> float: ...
    @property
    def block(self) -> int | None: ...


@dataclass(frozen=True, eq=False)
class ImpairedExits:
    """Exit records under impairments at splits; their rows are the tokens of the clean exit records.

    Attributes
    ----------
    records
        By impairment, outputs of the exits after its split; exits before the split are not included.
    provenance
        Origin of the measurement: model, its digest, text, its digest, versions, date.
    """

    records: Mapping[SplitKind, ExitRecords]
    provenance: Mapping[str, Any] = field(default_factory=dict)

    def __post_init__(self) -> None:
        if len({records.n_tokens for records in self.records.values()}) != 1:
            raise InputError(
                "impaired exits: no records, or of different lengths; expected equal numbers of tokens"
            )
        for kind, records in self.records.items():
            if records.blocks[0] <= kind.block:
                raise InputError(
                    f"impaired exits: an exit after block {records.blocks[0]} for a split after block "
                    f"{kind.block}; expected only exits after the split"
                )

    def applied_to(self, impairment: _Impairing, clean: ExitRecords) -> ExitRecords:
        """Return records of all exits under an impairment; exits before its split are taken from `clean`.

        Parameters
        ----------
        clean
            Exit records of the same tokens without impairment.

        Raises
        ------
        InputError
            If the impairment was not measured (the message names the nearest measured level), or `clean` is
            of other tokens.
        """
        if impairment.level == 0:
            return clean
        wanted = SplitKind(impairment.name, impairment.level, impairment.block or 0)
        found = self.records.get(wanted)
        if found is None:
            raise InputError(self._refusal(wanted))
        for name in ("model_sha256", "text_sha256"):
            if self.provenance.get(name) != clean.provenance.get(name):
                raise InputError(
                    f"impaired exits with {name} {self.provenance.get(name)}, and exit records with "
                    f"{clean.provenance.get(name)}; measure both on one model and text"
                )
        start, stop = clean.provenance.get("rows", (0, found.n_tokens))
        found = found.part(start, stop)
        n_before = len(clean.blocks) - len(found.blocks)
        if clean.n_tokens != found.n_tokens or clean.blocks[n_before:] != found.blocks:
            raise InputError(
                f"impaired exits of {found.n_tokens} tokens after blocks {found.blocks}, and exit records of "
                f"{clean.n_tokens} after {clean.blocks}; expected the measured model's own blocks and tokens"
            )

        def joined(before: Floats | None, behind: Floats | None) -> Floats | None:
            return None if before is None or behind is None else np.hstack([before[:, :n_before], behind])

        return ExitRecords(
            blocks=clean.blocks,
            confidence=np.hstack([clean.confidence[:, :n_before], found.confidence]),
            is_correct=np.hstack([clean.is_correct[:, :n_before], found.is_correct]),
            entropy=joined(clean.entropy, found.entropy),
            nll=joined(clean.nll, found.nll),
            provenance={**clean.provenance, "impairment": list(wanted)},
        )

    def _refusal(self, wanted: SplitKind) -> str:
        alike = [kind for kind in self.records if kind[::2] == wanted[::2]]
        if alike:
            nearest = min(alike, key=lambda kind: abs(kind.level - wanted.level))
            instead = f"the nearest measured level is {nearest.level:g}"
        else:
            kinds = sorted({f"{kind.name} after block {kind.block}" for kind in self.records})
            instead = f"measured were {', '.join(kinds)}"
        return (
            f"exits under {wanted.name} {wanted.level:g} after block {wanted.block} were not measured, and "
            f"single tokens cannot be interpolated; {instead}"
        )

    # --- files --------------------------------------------------------------------------------------

    def save(self, path: Path) -> None:
        """Write one Parquet file; numbers are rounded as in :mod:`edgesim.model.answers.compact_numbers`."""
        columns: dict[str, pa.Array] = {}
        for number, records in enumerate(self.records.values()):
            for column, block in enumerate(records.blocks):
                columns[f"is_correct_{number}_{block}"] = pa.array(records.is_correct[:, column], pa.bool_())
                for name in _NUMBERS:
                    values = getattr(records, name)
                    if values is not None:
                        columns[f"{name}_{number}_{block}"] = to_steps(name, values[:, column])
        stated = {
            "version": _VERSION,
            "kinds": [kind._asdict() for kind in self.records],
            "blocks": [list(records.blocks) for records in self.records.values()],
            "provenance": dict(self.provenance),
        }
        write_record(pa.table(columns), path, _KEY, stated, compression="zstd", compression_level=19)

    @classmethod
    def load(cls, path: Path) -> ImpairedExits:
        """Read a file written by :meth:`save`.

        Raises
        ------
        InputError
            If there is no such file, or it does not contain impaired exits.
        """
        table, stated = read_record(path, _KEY, _VERSION, what="a file of impaired exits", remedy=_REMEDY)
        with damage_reported(path, _REMEDY):
            found = {}
            for number, (kind, blocks) in enumerate(zip(stated["kinds"], stated["blocks"], strict=True)):
                values = {
                    name: np.stack(
                        [from_steps(name, table[f"{name}_{number}_{block}"]) for block in blocks], axis=1
                    )
                    for name in _NUMBERS
                    if f"{name}_{number}_{blocks[0]}" in table.column_names
                }
                right = [table[f"is_correct_{number}_{block}"].to_numpy() for block in blocks]
                found[SplitKind(**kind)] = ExitRecords(
                    blocks=tuple(blocks),
                    confidence=values["confidence"],
                    is_correct=np.stack(right, axis=1).astype(np.bool_),
                    entropy=values.get("entropy"),
                    nll=values.get("nll"),
                )
            return cls(found, stated["provenance"])
