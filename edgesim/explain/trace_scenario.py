"""The scenario of a trace, to be run again with or without changes."""

from __future__ import annotations

import hashlib
from collections.abc import Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any, cast

from edgesim import runner
from edgesim.errors import InputError, TraceError
from edgesim.files import user_path
from edgesim.runner import Prepared
from edgesim.scenario.build import resolve
from edgesim.scenario.load import parse
from edgesim.scenario.named_files import named_files
from edgesim.scenario.schema.scenario import Scenario
from edgesim.trace.reader import Trace

__all__ = ["Original"]


@dataclass(frozen=True)
class Original:
    """The scenario from which a trace was made.

    Parameters
    ----------
    trace
        Contains the text of the scenario, and the profile from which its run took compute times.
    folder
        Folder in which files named by the scenario are looked up.

    Raises
    ------
    TraceError
        If the trace does not contain the scenario, or the scenario differs from what ran (``edited``).
    """

    trace: Trace
    folder: Path

    def __post_init__(self) -> None:
        if edited := self.trace.run.get("edited"):
            parts = ", ".join(cast("list[str]", edited))
            raise TraceError(
                f"{self.trace.path}: parts of this study were replaced in Python ({parts}), which its "
                "scenario's text does not contain; expected a run of an unedited scenario: leave out --advice"
            )
        if not self._facts.get("text"):
            raise TraceError(
                f"{self.trace.path}: its run.json lacks the scenario's text; expected it, to run it again: "
                "leave out --advice"
            )

    @property
    def _facts(self) -> dict[str, str]:
        return cast("dict[str, str]", self.trace.run.get("scenario") or {})

    def scenario(self, changes: Sequence[str] = ()) -> Scenario:
        """Read the scenario, with changes such as ``topology.devices[0].speed=2``.

        Raises
        ------
        InputError
            If a file named by the scenario is missing or has changed, or a change does not fit the scenario.
        """
        # Use the profile in the trace, so that nothing is measured again.
        profile = cast("dict[str, Any] | None", self.trace.run.get("profile"))
        charged = [] if profile is None else [f"profile={_quoted(str(self._file(profile['file'])))}"]
        name = self._facts.get("file", "scenario")
        scenario = parse(self._facts["text"], name=name, folder=self.folder, overrides=[*charged, *changes])
        self._check_files(scenario)
        return scenario

    def prepared(self, label: str, changes: Sequence[str] = ()) -> Prepared:
        """Prepare the scenario with one of its strategies: compute the placement and load the policy.

        Raises
        ------
        InputError
            As :meth:`scenario`; also if the strategy cannot be placed, or has to be trained first.
        """
        found = runner.prepare(self.scenario(changes), only=(label,))
        if found.strategies[label].needs_training:
            raise InputError(f"strategy {label!r} has to be trained for it first; train it (edgesim train)")
        return found

    def unplaced(self) -> Prepared:
        """Prepare the scenario without any strategy, for results that depend on none; nothing is planned.

        Raises
        ------
        InputError
            As :meth:`scenario`.
        """
        return runner.prepare(replace(resolve(self.scenario()), strategies={}))

    def _file(self, name: str) -> Path:
        return (self.trace.path / name).absolute()

    def _check_files(self, scenario: Scenario) -> None:
        recorded = dict(cast("dict[str, str]", self.trace.run.get("files") or {}))
        there = named_files(scenario)
        if graph := cast("dict[str, str] | None", self.trace.run.get("topology_file")):
            recorded[graph["file"]] = graph["sha256"]
            data = user_path(self.folder, graph["file"]).read_bytes()
            there[graph["file"]] = hashlib.sha256(data).hexdigest()
        for name, digest in recorded.items():
            if there.get(name) != digest:
                how = "has changed" if name in there else "is missing"
                raise TraceError(
                    f"{self.trace.path}: {name}, which its scenario names, {how} in {self.folder}; expected "
                    "the file that was simulated: give its folder with --folder, or leave out --advice"
                )


def _quoted(text: str) -> str:
    """Quote any text as a YAML string."""
    return "'" + text.replace("'", "''") + "'"
