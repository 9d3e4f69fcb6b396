"""Measure exits and impairments together: states are impaired at a split before they reach later exits."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import replace
from typing import Any

from edgesim.errors import InputError
from edgesim.measure.exits import exit_records
from edgesim.measure.language_model import LanguageModel
from edgesim.measure.text import Text
from edgesim.model.answers.exit_records import ExitRecords
from edgesim.model.answers.impaired_exits import ImpairedExits, SplitKind
from edgesim.model.answers.impairment import Erasure, Impairment

__all__ = ["measure_impaired_exits", "standard_impairments"]

_PROBABILITIES = (0.1, 0.3)

Progress = Callable[[int, int, str], None]


def standard_impairments(exit_blocks: Sequence[int]) -> list[Impairment]:
    """Return erasures of packets after each inner exit but the last, and of elements after the first.

    With a single inner exit, all of them act after that exit.
    """
    kinds = [("packet", block) for block in exit_blocks[:-1] or exit_blocks]
    kinds[1:1] = [("element", block) for block in exit_blocks[:1]]
    return [Erasure(p, block, unit=unit) for unit, block in kinds for p in _PROBABILITIES]


def measure_impaired_exits(
    language_model: LanguageModel,
    text: Text,
    impairments: Sequence[Impairment],
    *,
    n_tokens: int = 16_384,
    seed: int = 1,
    provenance: Mapping[str, Any] | None = None,
    progress: Progress | None = None,
) -> ImpairedExits:
    """Record the predictions of the exits after each split for the tokens of :func:`exit_records`.

    Entropies are not recorded.

    Raises
    ------
    InputError
        If an impairment acts at no split, or at one with no exit after it.
    """
    found: dict[SplitKind, ExitRecords] = {}
    for number, impairment in enumerate(impairments):
        block = impairment.block
        if block is None:
            raise InputError(
                f"exits under '{impairment.name}': it acts at no split; expected one after a block"
            )
        if progress is not None:
            progress(number, len(impairments), f"exits under {impairment.name} {impairment.level:g}")
        records = exit_records(language_model, text, n_tokens=n_tokens, impairment=impairment, seed=seed)
        behind = [column for column, own in enumerate(records.blocks) if own > block]
        assert records.nll is not None
        found[SplitKind(impairment.name, impairment.level, block)] = replace(
            records,
            blocks=tuple(records.blocks[column] for column in behind),
            confidence=records.confidence[:, behind],
            is_correct=records.is_correct[:, behind],
            entropy=None,
            nll=records.nll[:, behind],
        )
    if progress is not None:
        progress(len(impairments), len(impairments), "done")
    return ImpairedExits(found, dict(provenance or {}))
