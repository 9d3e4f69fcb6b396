"""The scenario of a trace, ready to be run again, with or without changes."""

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
    """What a trace was made from.

    Parameters
    ----------
    trace
        Its scenario's text, and the profile that it was charged with, are in it.
    folder
        Where files that the scenario names are looked for.

    Raises
    ------
    TraceError
        If the scenario is not in it, or it says something else than what ran (``edited``).
    """

    trace: Trace
    folder: Path

    def __post_init__(self) -> None:
        if edited := self.trace.run.get("edited"):
            parts = ", ".join(cast("list[str]", edited))
            raise TraceError(
                f"{self.trace.path}: parts of this study were replaced in Python ({parts}), which its "
                "scenario's text does not say; expected a run of a scenario as it stands: leave out --advice"
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
        """Read it, with changes such as ``topology.devices[0].speed=2``.

        Raises
        ------
        InputError
            If a file that it names is gone or another one now, or a change does not fit it.
        """
        # Charged with the very profile of the trace, so that nothing is measured again.
        profile = cast("dict[str, Any] | None", self.trace.run.get("profile"))
        charged = [] if profile is None else [f"profile={_quoted(str(self._file(profile['file'])))}"]
        name = self._facts.get("file", "scenario")
        scenario = parse(self._facts["text"], name=name, folder=self.folder, overrides=[*charged, *changes])
        self._check_files(scenario)
        return scenario

    def prepared(self, label: str, changes: Sequence[str] = ()) -> Prepared:
        """Place one of its strategies, by its label, and find its policy.

        Raises
        ------
        InputError
            As :meth:`scenario`, and where the strategy cannot be placed, or has to be trained first.
        """
        found = runner.prepare(self.scenario(changes), only=(label,))
        if found.strategies[label].needs_training:
            raise InputError(f"strategy {label!r} has to be trained anew for it; train it (edgesim train)")
        return found

    def unplaced(self) -> Prepared:
        """The world without any strategy, for what does not hang on one; nothing is planned.

        Raises
        ------
        InputError
            As :meth:`scenario`.
        """
        return runner.prepare(replace(resolve(self.scenario()), strategies={}))

    def _file(self, name: str) -> Path:
        return (self.trace.path / name).absolute()

    def _check_files(self, scenario: Scenario) -> None:
        told = dict(cast("dict[str, str]", self.trace.run.get("files") or {}))
        there = named_files(scenario)
        if graph := cast("dict[str, str] | None", self.trace.run.get("topology_file")):
            told[graph["file"]] = graph["sha256"]
            data = user_path(self.folder, graph["file"]).read_bytes()
            there[graph["file"]] = hashlib.sha256(data).hexdigest()
        for name, digest in told.items():
            if there.get(name) != digest:
                how = "is another file now" if name in there else "is not there"
                raise TraceError(
                    f"{self.trace.path}: {name}, which its scenario names, {how} in {self.folder}; expected "
                    "the file that was simulated: say where it is with --folder, or leave out --advice"
                )


def _quoted(text: str) -> str:
    """As YAML takes it, whatever is in it."""
    return "'" + text.replace("'", "''") + "'"
