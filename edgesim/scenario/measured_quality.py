"""From a scenario to the measured answers that its runs look up."""

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
    """Measured answers of a scenario; None for what it does not ask for.

    Attributes
    ----------
    table
        Answers under impairments.
    exits
        What exits said, as they were measured: after blocks of the measured model.
    paths
        Where tokens left with propagated caches, likewise.
    """

    table: QualityTable | None = None
    exits: ExitRecords | None = None
    paths: PropagatedPaths | None = None

    def exits_of(self, n_blocks: int) -> ExitRecords | None:
        """Return the exits at the same depths of a model of so many blocks.

        Raises
        ------
        ScenarioError
            If the model has too few blocks for so many exits.
        """
        try:
            return None if self.exits is None else self.exits.stretched(n_blocks)
        except InputError as error:
            raise ScenarioError(f"$.quality: {error}, or leave 'quality' out") from error

    def paths_of(self, n_blocks: int) -> PropagatedPaths | None:
        """Return the paths with exits where :meth:`exits_of` has them."""
        return None if self.paths is None else self.paths.stretched(n_blocks)

    def needed_by(self, rules: Iterable[tuple[ExitRule, CacheFill]]) -> Quality:
        """Leave out the paths, of a megabyte or two, unless some rule is for propagated caches."""
        if any(caches is CacheFill.PROPAGATE for _, caches in rules):
            return self
        return replace(self, paths=None)

    def facts(self) -> dict[str, Any] | None:
        """Tell where the answers come from, for the record of a run; None if there are none."""
        if self.table is None and self.exits is None:
            return None
        return {
            "table": None if self.table is None else {"file": QUALITY_FILE, **self.table.provenance},
            "exits": None if self.exits is None else {"file": EXITS_FILE, **self.exits.provenance},
            **({} if self.paths is None else {"paths": {"file": PATHS_FILE, **self.paths.provenance}}),
        }

    def save(self, folder: Path) -> None:
        """Write them into the folder of a trace."""
        if self.table is not None:
            self.table.save(folder / QUALITY_FILE)
        if self.exits is not None:
            self.exits.save(folder / EXITS_FILE)
        if self.paths is not None:
            self.paths.save(folder / PATHS_FILE)

    @classmethod
    def load(cls, folder: Path) -> Quality:
        """Read what :meth:`save` wrote."""
        table, exits, paths = (folder / name for name in (QUALITY_FILE, EXITS_FILE, PATHS_FILE))
        return cls(
            QualityTable.load(table) if table.is_file() else None,
            ExitRecords.load(exits) if exits.is_file() else None,
            PropagatedPaths.load(paths) if paths.is_file() else None,
        )


def find_quality(scenario: Scenario) -> Quality:
    """Find the answers that a scenario asks for: shipped, kept, or in files of its own. Nothing is measured.

    Raises
    ------
    InputError
        If they were never measured (the message says how to), or a file cannot be read.
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
                f"`edgesim quality {model}{of_text}` once, which keeps them"
            )
        quality = Quality(kept.table, kept.exits, _kept_paths(model, text, kept.exits))
    if entry.table is not None:
        quality = replace(quality, table=read_user_table(_file(entry.table, folder)))
    if entry.exits is not None:
        quality = replace(quality, exits=ExitRecords.load(_file(entry.exits, folder)), paths=None)
    if entry.paths is not None:
        paths = PropagatedPaths.load(_file(entry.paths, folder))
        if quality.exits is None:
            raise InputError("'paths' are of exits; give 'exits' of the same model and text, or a 'model'")
        paths.check_fits(quality.exits)
        quality = replace(quality, paths=paths)
    return quality


def _kept_paths(model: str, text: str, exits: ExitRecords) -> PropagatedPaths | None:
    """What was measured of the same tokens with propagated caches; None where nothing was."""
    kept = _kept_generation(model, text)
    if kept is None or kept.paths.n_tokens != exits.n_tokens:
        return None
    kept.paths.check_fits(exits)
    return kept.paths


def _here(name: str, folder: Path) -> str:
    """A path is meant from the scenario's folder; anything else is a name, and 'bundled' always."""
    path = _file(name, folder)
    return str(path) if name != BUNDLED and is_there(path) else name


def _file(name: str, folder: Path) -> Path:
    return user_path(folder, name)


@cache
def _kept(model: str, text: str) -> MeasuredAnswers | None:
    """Read them once a process: worlds are built for every replication."""
    return kept_answers(model, text)


@cache
def _kept_generation(model: str, text: str) -> MeasuredGeneration | None:
    """Likewise."""
    return kept_generation(model, text)
