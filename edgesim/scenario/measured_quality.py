"""Measured answers of a scenario, which its runs look up."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass, replace
from functools import cache
from pathlib import Path
from typing import Any

from edgesim.errors import InputError, ScenarioError
from edgesim.files import is_there, user_path
from edgesim.measure.generation.generation_cache import MeasuredGeneration, kept_generation
from edgesim.measure.model_folder import BUNDLED
from edgesim.measure.quality_cache import MeasuredAnswers, kept_answers
from edgesim.model.answers.exit_paths import CacheFill
from edgesim.model.answers.exit_records import ExitRecords
from edgesim.model.answers.exit_rule import ExitRule
from edgesim.model.answers.impaired_answers import QualityTable
from edgesim.model.answers.propagated_paths import PropagatedPaths
from edgesim.model.answers.user_quality import read_user_table
from edgesim.scenario.schema.quality import QualityEntry
from edgesim.scenario.schema.scenario import Scenario
from edgesim.trace.writer import EXITS_FILE, PATHS_FILE, QUALITY_FILE

__all__ = ["Quality", "find_quality"]


@dataclass(frozen=True)
class Quality:
    """Measured answers of a scenario; parts that it does not request are None.

    Attributes
    ----------
    table
        Answers under impairments.
    exits
        Exit records as measured, after blocks of the measured model.
    paths
        Exit paths of tokens with propagated caches, after blocks of the measured model.
    """

    table: QualityTable | None = None
    exits: ExitRecords | None = None
    paths: PropagatedPaths | None = None

    def exits_of(self, n_blocks: int) -> ExitRecords | None:
        """Return the exit records at the same relative depths of a model with `n_blocks` blocks.

        Raises
        ------
        ScenarioError
            If the model has too few blocks for the exits.
        """
        try:
            return None if self.exits is None else self.exits.stretched(n_blocks)
        except InputError as error:
            raise ScenarioError(f"$.quality: {error}, or leave 'quality' out") from error

    def paths_of(self, n_blocks: int) -> PropagatedPaths | None:
        """Return the exit paths with exits at the depths of :meth:`exits_of`."""
        return None if self.paths is None else self.paths.stretched(n_blocks)

    def needed_by(self, rules: Iterable[tuple[ExitRule, CacheFill]]) -> Quality:
        """Return a copy without the exit paths (one or two megabytes) unless some rule propagates caches."""
        if any(caches is CacheFill.PROPAGATE for _, caches in rules):
            return self
        return replace(self, paths=None)

    def facts(self) -> dict[str, Any] | None:
        """Return the provenance of the answers, for ``run.json``; None if there are none."""
        if self.table is None and self.exits is None:
            return None
        return {
            "table": None if self.table is None else {"file": QUALITY_FILE, **self.table.provenance},
            "exits": None if self.exits is None else {"file": EXITS_FILE, **self.exits.provenance},
            **({} if self.paths is None else {"paths": {"file": PATHS_FILE, **self.paths.provenance}}),
        }

    def save(self, folder: Path) -> None:
        """Write the answers into the folder of a trace."""
        if self.table is not None:
            self.table.save(folder / QUALITY_FILE)
        if self.exits is not None:
            self.exits.save(folder / EXITS_FILE)
        if self.paths is not None:
            self.paths.save(folder / PATHS_FILE)

    @classmethod
    def load(cls, folder: Path) -> Quality:
        """Read the answers that :meth:`save` wrote."""
        table, exits, paths = (folder / name for name in (QUALITY_FILE, EXITS_FILE, PATHS_FILE))
        return cls(
            QualityTable.load(table) if table.is_file() else None,
            ExitRecords.load(exits) if exits.is_file() else None,
            PropagatedPaths.load(paths) if paths.is_file() else None,
        )


def find_quality(scenario: Scenario) -> Quality:
    """Return the answers that a scenario requests: shipped, cached, or from its own files.

    Nothing is measured.

    Raises
    ------
    InputError
        If the answers were never measured (the message says how to measure them), or a file cannot be read.
    """
    entry = scenario.quality
    if entry is None:
        return Quality()
    where = scenario.place(("quality",))
    try:
        return _found(entry, scenario.origin.folder)
    except InputError as error:
        raise ScenarioError(f"{where}: {error}") from error


def _found(entry: QualityEntry, folder: Path) -> Quality:
    quality = Quality()
    if entry.model is not None:
        model, text = _here(entry.model, folder), _here(entry.text, folder)
        kept = _kept(model, text)
        if kept is None:
            of_text = "" if entry.text == "bundled" else f" --text {text}"
            raise InputError(
                f"answers of '{entry.model}' have not been measured; run "
                f"`edgesim quality {model}{of_text}` once, which stores them"
            )
        quality = Quality(kept.table, kept.exits, _kept_paths(model, text, kept.exits))
    if entry.table is not None:
        quality = replace(quality, table=read_user_table(_file(entry.table, folder)))
    if entry.exits is not None:
        quality = replace(quality, exits=ExitRecords.load(_file(entry.exits, folder)), paths=None)
    if entry.paths is not None:
        paths = PropagatedPaths.load(_file(entry.paths, folder))
        if quality.exits is None:
            raise InputError("'paths' needs 'exits' of the same model and text; give them, or a 'model'")
        paths.check_fits(quality.exits)
        quality = replace(quality, paths=paths)
    return quality


def _kept_paths(model: str, text: str, exits: ExitRecords) -> PropagatedPaths | None:
    """Return the exit paths measured on the same tokens with propagated caches; None if there are none."""
    kept = _kept_generation(model, text)
    if kept is None or kept.paths.n_tokens != exits.n_tokens:
        return None
    kept.paths.check_fits(exits)
    return kept.paths


def _here(name: str, folder: Path) -> str:
    """Resolve a name as a path from the scenario's folder if that exists and it is not 'bundled'."""
    path = _file(name, folder)
    return str(path) if name != BUNDLED and is_there(path) else name


def _file(name: str, folder: Path) -> Path:
    return user_path(folder, name)


@cache
def _kept(model: str, text: str) -> MeasuredAnswers | None:
    """Read stored answers once per process, as worlds are built for every replication."""
    return kept_answers(model, text)


@cache
def _kept_generation(model: str, text: str) -> MeasuredGeneration | None:
    """Read a stored generation once per process."""
    return kept_generation(model, text)
