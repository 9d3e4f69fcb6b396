"""Prepare the studies of cells: every cell is checked and placed before any is simulated."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Callable, Mapping, Sequence
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import TypeAlias

from edgesim import runner
from edgesim.errors import InputError, ScenarioError
from edgesim.model.profile import Profile
from edgesim.rng import Streams
from edgesim.runner import Measuring, Prepared, Trainer
from edgesim.runner.preparing import check_trained
from edgesim.runner.provenance import facts
from edgesim.runner.workers import pickled
from edgesim.scenario.build import extent, resolve
from edgesim.scenario.schema.scenario import Scenario
from edgesim.sweep.axes import Axis, Cell
from edgesim.sweep.unit import Keep, Studied
from edgesim.trace.whole_files import write_whole
from edgesim.workload.requests import Extent

__all__ = ["Preparing", "Studies"]

Read: TypeAlias = Callable[[Sequence[str]], Scenario]
"""Reads the scenario with changes applied."""

_N_LISTED = 12


@dataclass(frozen=True)
class Preparing:
    """How cells become studies: a scenario reader, and the arguments of :func:`edgesim.runner.prepare`."""

    read: Read
    only: tuple[str, ...] = ()
    keep: Keep = "results"
    measuring: Measuring | None = None
    trainer: Trainer | None = None
    refresh: bool = False
    force: bool = False


@dataclass
class Studies:
    """Studies of all cells, pickled for the workers into files of a temporary folder.

    Attributes
    ----------
    facts
        The facts that a trace would record for the first cell's run.
    identities
        For each cell, the digests of its scenario, profiles, policies and placements, by which it is compared
        with the same cell of an earlier sweep.
    labels
        Strategies, in the order in which cells name them.
    n_replications
        The scenario's number of replications.
    has_objectives
        Whether any cell sets objectives for requests.
    remarks
        Notes about cells that are not errors, but that the user should see.
    """

    preparing: Preparing
    axes: Sequence[Axis]
    folder: Path
    facts: dict[str, object] = field(default_factory=dict)
    identities: dict[int, dict[str, object]] = field(default_factory=dict)
    labels: list[str] = field(default_factory=list)
    remarks: list[str] = field(default_factory=list)
    profiles: dict[str, Profile] = field(default_factory=dict)
    n_replications: int = 0
    has_objectives: bool = False
    _is_refreshed: bool = False
    _covered: dict[str, Extent] = field(default_factory=dict)  # by model

    def add(self, cells: Sequence[Cell]) -> None:
        """Check and prepare cells; a profile that several cells need is prepared once.

        Raises
        ------
        ScenarioError
            Listing all errors of all cells.
        """
        scenarios: dict[int, Scenario] = {}
        problems: list[tuple[Cell, InputError]] = []
        for cell in cells:
            try:
                scenarios[cell.number] = self.preparing.read(cell.overrides)
            except InputError as error:
                problems.append((cell, error))
        if not problems:
            self._cover(scenarios)
        for cell in cells if not problems else ():
            try:
                self._add(cell, self._prepared(scenarios.pop(cell.number), cell))
            except InputError as error:
                problems.append((cell, error))
        if problems:
            raise self._error(problems, len(cells))

    def pickled(self, cell: int) -> bytes:
        """Return a cell's pickled study."""
        return self.file(cell).read_bytes()

    def file(self, cell: int) -> Path:
        """Return the path of a cell's pickled study."""
        return self.folder / f"cell-{cell}.pickle"

    def save_profiles(self, folder: Path) -> None:
        """Save the profiles used by the cells to a folder, each once."""
        for digest, profile in self.profiles.items():
            file = folder / f"profile-{digest[:16]}.parquet"
            if not file.exists():
                temporary = self.folder / file.name
                profile.save(temporary)
                write_whole(file, temporary.read_bytes())

    def _cover(self, scenarios: Mapping[int, Scenario]) -> None:
        """Find the largest request extent per model, for models whose profile may have to be measured."""
        for scenario in scenarios.values():
            if scenario.profile.use == "auto":
                study = resolve(scenario)
                own, digest = extent(study), study.model.digest
                self._covered[digest] = Extent(
                    *map(max, zip(own, self._covered.get(digest, own), strict=True))
                )

    def _prepared(self, scenario: Scenario, cell: Cell) -> Prepared:
        study, preparing = resolve(scenario), self.preparing
        prepared = runner.prepare(
            study,
            only=cell.strategies
            or [label for label in preparing.only if label in study.strategies]
            or preparing.only,
            refresh=preparing.refresh and not self._is_refreshed,
            measuring=preparing.measuring,
            trainer=preparing.trainer,
            force=preparing.force,
            covering=self._covered.get(study.model.digest),
        )
        self._is_refreshed = True
        check_trained(prepared)
        return prepared

    def _add(self, cell: Cell, prepared: Prepared) -> None:
        scenario = prepared.scenario
        users = prepared.workload.notes(Streams(scenario.seed, 0)).get("n_users")
        studied = Studied(
            cell.number,
            tuple(axis.label for axis in self.axes),
            cell.values,
            prepared,
            self.preparing.keep,
            users if isinstance(users, int) else None,
        )
        if not self.facts:
            self.facts, self.n_replications = facts(prepared), scenario.replications
        self.identities[cell.number] = _identity(cell, prepared)
        self.labels += [label for label in prepared.strategies if label not in self.labels]
        notes = [f"{label}: {each.remark}" for label, each in prepared.placements.items() if each.remark]
        self.remarks += [note for note in (*notes, *prepared.remarks) if note not in self.remarks]
        base = [] if prepared.profiles.base is None else [prepared.profiles.base]
        self.profiles |= {one.digest: one for one in (*base, *prepared.profiles.own.values())}
        limits = scenario.objectives.values()
        self.has_objectives |= any(each is not None for each in asdict(limits).values())
        self.file(cell.number).write_bytes(pickled(studied))

    def _error(self, problems: Sequence[tuple[Cell, InputError]], n_cells: int) -> InputError:
        """Join the errors of cells into one, listing an error shared by many cells once."""
        by_text: dict[str, list[Cell]] = {}
        for cell, error in problems:
            by_text.setdefault(str(error), []).append(cell)
        if len(by_text) == 1 and len(problems) == n_cells:
            return problems[0][1]
        lines = []
        for text, cells in by_text.items():
            more = f" and {len(cells) - 1} more" if len(cells) > 1 else ""
            lines.append(f"{cells[0].named(self.axes)}{more}: {text}")
        if len(lines) > _N_LISTED:
            lines[_N_LISTED:] = [f"and {len(lines) - _N_LISTED} more"]
        return ScenarioError("\n".join(lines))


def _identity(cell: Cell, prepared: Prepared) -> dict[str, object]:
    base, own = prepared.profiles.base, prepared.profiles.own
    placements = {
        label: [[stage.device, str(stage.part)] for stage in placement.stages]
        for label, placement in prepared.placements.items()
    }
    policies = {
        label: hashlib.sha256(file.read_bytes()).hexdigest() for label, file in prepared.policies.items()
    }
    return {
        "cell": cell.number,
        "values": list(cell.values),
        "scenario": {"digest": prepared.scenario.digest},
        "strategies": list(prepared.strategies),
        "profile": None if base is None else base.digest,
        "own_profiles": {name: one.digest for name, one in own.items()},
        "placements": {"digest": hashlib.sha256(json.dumps(placements).encode()).hexdigest()},
        **({"policies": policies} if policies else {}),
    }
