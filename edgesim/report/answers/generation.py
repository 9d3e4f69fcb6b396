"""Tables of the effect of early exits on generated text: by cache fill, free-running, and impaired."""

from __future__ import annotations

import math
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any, Protocol

from rich.console import Console, ConsoleOptions, RenderResult
from rich.table import Table
from rich.text import Text

from edgesim.model.answers.exit_paths import CacheFill, ExitPath, path_in_records
from edgesim.model.answers.exit_records import ExitRecords, standard_error
from edgesim.model.answers.exit_rule import ExitRule
from edgesim.model.answers.free_running import FreeRunning
from edgesim.model.answers.impaired_answers import QualityTable
from edgesim.model.answers.impaired_exits import ImpairedExits
from edgesim.model.answers.propagated_paths import PropagatedPaths, exit_path
from edgesim.report.answers.quality_tables import plain_table

__all__ = ["Generated", "GenerationReport", "generation_as_rows"]

REQUEST_TOKENS = 64
"""Tokens per request assumed when same-path exits are evaluated."""
_WAYS = (CacheFill.RECOMPUTE, CacheFill.PROPAGATE, CacheFill.SAME_PATH)
_IMPAIRED_AT = 0.5  # confidence of all exits


class Generated(Protocol):
    """Interface of :class:`edgesim.measure.generation.generation_cache.MeasuredGeneration`."""

    @property
    def paths(self) -> PropagatedPaths: ...
    @property
    def written(self) -> FreeRunning: ...
    @property
    def impaired(self) -> ImpairedExits: ...


@dataclass(frozen=True, slots=True)
class GenerationReport:
    """A rich renderable: teacher-forced answers of each cache fill, free-running text, and impaired exits."""

    generated: Generated
    exits: ExitRecords
    table: QualityTable

    def __rich_console__(self, console: Console, options: ConsoleOptions) -> RenderResult:
        """Render the three tables."""
        rows = generation_as_rows(self.generated, self.exits, self.table)
        yield Text(
            "\nEarly exits during generation: loss [nats] by handling of missing keys and values "
            "(± one standard error of the difference from recomputing them)"
        )
        yield _forced_table(rows["teacher_forced"])
        about = self.generated.written.provenance
        yield Text(
            f"\nFree-running generation after {about.get('n_prompts')} prompts of "
            f"{about.get('prompt_tokens')} tokens, compared with the full model"
        )
        yield _written_table(rows["free_running"])
        yield Text(
            f"\nExits and impairments combined, exit at confidence {_IMPAIRED_AT:g}: measured together, and "
            "as the sum of the separate effects"
        )
        yield _impaired_table(rows["impaired"])


def generation_as_rows(
    generated: Generated, exits: ExitRecords, table: QualityTable
) -> dict[str, list[dict[str, Any]]]:
    """Return all three tables as plain values, for JSON.

    Raises
    ------
    InputError
        If the exit records and the paths do not cover the same tokens.
    """
    return {
        "teacher_forced": list(_forced_rows(generated.paths, exits)),
        "free_running": list(_written_rows(generated.written)),
        "impaired": list(_impaired_rows(generated.impaired, exits, table)),
    }


def _forced_rows(paths: PropagatedPaths, exits: ExitRecords) -> Iterator[dict[str, Any]]:
    for rule in paths.rules:
        by_way = [exit_path(fill, rule, exits, paths) for fill in _WAYS]
        exact = by_way[0]
        for path in by_way:
            stated, rise = path.answers(REQUEST_TOKENS), _paired(path, exact)
            yield {
                "rule": str(rule),
                "fill": str(path.fill),
                "mean_block": path.mean_block(),
                "blocks_saved": 1 - path.mean_block() / path.blocks[-1],
                "shares": path.shares().tolist(),
                "nll": stated.nll,
                "nll_se": _known(stated.nll_se),
                "accuracy": stated.accuracy,
                "accuracy_se": _known(stated.accuracy_se),
                "nll_rise": rise[0],
                "nll_rise_se": _known(rise[1]),
            }


def _paired(path: ExitPath, exact: ExitPath) -> tuple[float, float]:
    """Return the mean rise of the loss over recomputed caches, and its standard error over stretches."""
    (nll, _), (other, _) = path.by_row(REQUEST_TOKENS), exact.by_row(REQUEST_TOKENS)
    return float(nll.mean() - other.mean()), standard_error(nll - other)


def _known(value: float) -> float | None:
    return None if math.isnan(value) else value


def _written_rows(written: FreeRunning) -> Iterator[dict[str, Any]]:
    for row in written.rows:
        marks = sorted({min(n, row.n_tokens) for n in (16, 64, row.n_tokens)})
        yield {
            "rule": str(row.rule),
            "fill": str(row.fill),
            "mean_block": row.mean_block,
            "identical": {str(n): row.identical(n) for n in marks},
            "same_at": {str(n): row.same_share[n - 1] for n in marks},
            "median_first_difference": row.median_first_difference,
            "nll": row.nll,
            "nll_se": _known(row.nll_se),
            "full_nll": row.full_nll,
        }


def _impaired_rows(
    impaired: ImpairedExits, exits: ExitRecords, table: QualityTable
) -> Iterator[dict[str, Any]]:
    rule = ExitRule.uniform(_IMPAIRED_AT, len(exits.blocks))
    alone = path_in_records(CacheFill.RECOMPUTE, rule, exits)
    for kind in impaired.records:
        together = path_in_records(CacheFill.RECOMPUTE, rule, impaired.applied_to(kind, exits))
        crossing = float(sum(s for s, b in zip(alone.shares(), exits.blocks, strict=True) if b > kind.block))
        impaired_only = table.answers(_Impairment(*kind))
        stated, clean = together.answers(), alone.answers()
        wrong = 1 - impaired_only.accuracy / table.clean.accuracy if table.clean.accuracy else 0.0
        yield {
            "kind": kind.name,
            "level": kind.level,
            "block": kind.block,
            "mean_block": together.mean_block(),
            "clean_mean_block": alone.mean_block(),
            "nll": stated.nll,
            "accuracy": stated.accuracy,
            "summed_nll": clean.nll + crossing * (impaired_only.nll - table.clean.nll),
            "summed_accuracy": clean.accuracy * (1 - crossing * wrong),
        }


@dataclass(frozen=True, slots=True)
class _Impairment:
    name: str
    level: float
    block: int | None
    n_devices: int | None = None


def _forced_table(rows: list[dict[str, Any]]) -> Table:
    table = plain_table(
        "exit at", "blocks saved", "recomputed", "right", "propagated", "right", "same path", "right"
    )
    table.columns[0].justify = "left"
    for number in range(0, len(rows), len(_WAYS)):
        exact, propagated, same = rows[number : number + len(_WAYS)]
        table.add_row(
            exact["rule"],
            f"{propagated['blocks_saved']:.1%}",
            f"{exact['nll']:.3f}",
            f"{exact['accuracy']:.1%}",
            _rise(propagated),
            f"{propagated['accuracy']:.1%}",
            _rise(same),
            f"{same['accuracy']:.1%}",
        )
    return table


def _rise(row: dict[str, Any]) -> str:
    error = "" if row["nll_rise_se"] is None else f" ± {row['nll_rise_se']:.3f}"
    return f"{row['nll_rise']:+.3f}{error}"


def _written_table(rows: list[dict[str, Any]]) -> Table:
    marks = list(rows[0]["identical"])
    table = plain_table(
        "exit at",
        "caches",
        "mean blocks",
        *(f"identical to token {n}" for n in marks),
        "first difference (median)",
        "perplexity to all blocks",
    )
    table.columns[0].justify = table.columns[1].justify = "left"
    for row in rows:
        table.add_row(
            row["rule"],
            row["fill"],
            f"{row['mean_block']:.2f}",
            *(f"{row['identical'][n]:.0%}" for n in marks),
            f"{row['median_first_difference']:g}",
            f"{math.exp(row['nll']):.2f}",
        )
    table.add_row("never", "", "", *("100%" for _ in marks), "–", f"{math.exp(rows[0]['full_nll']):.2f}")
    return table


def _impaired_table(rows: list[dict[str, Any]]) -> Table:
    table = plain_table(
        "impairment", "after block", "mean blocks", "without", "loss", "summed", "right", "summed"
    )
    table.columns[0].justify = "left"
    for row in rows:
        table.add_row(
            f"{row['kind']} {row['level']:g}",
            str(row["block"]),
            f"{row['mean_block']:.2f}",
            f"{row['clean_mean_block']:.2f}",
            f"{row['nll']:.3f}",
            f"{row['summed_nll']:.3f}",
            f"{row['accuracy']:.1%}",
            f"{row['summed_accuracy']:.1%}",
        )
    return table
