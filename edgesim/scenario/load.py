"""Loading of scenario files: reading, overrides, includes, validation and checks."""

from __future__ import annotations

from collections.abc import Iterable
from importlib.resources.abc import Traversable
from os import PathLike
from pathlib import Path

from pydantic import ValidationError

from edgesim.errors import ScenarioError
from edgesim.files import is_there
from edgesim.nearest import suggest
from edgesim.scenario.check import examine
from edgesim.scenario.includes import expand, sets_includes
from edgesim.scenario.schema.scenario import Origin, Scenario
from edgesim.scenario.text.document import Document
from edgesim.scenario.text.overrides import apply
from edgesim.scenario.text.packaged import packaged_scenarios
from edgesim.scenario.text.problems import from_validation
from edgesim.scenario.text.reading import read_text
from edgesim.scenario.text.section import known_keys

__all__ = ["load", "parse"]


def load(path_or_name: str | PathLike[str], overrides: Iterable[str] = ()) -> Scenario:
    """Read and check a scenario.

    Parameters
    ----------
    path_or_name
        A file, or the name of a shipped scenario (``smart_city``) if there is no such file.
    overrides
        Overrides of single values, such as ``topology.devices.camera.count=4``.

    Raises
    ------
    ScenarioError
        Listing all mistakes, one per line: position (file, line, column, path), what was found, what was
        expected, and what to do.
    """
    file, name, folder = _find(Path(path_or_name))
    return parse(read_text(file, name), name=name, folder=folder, overrides=overrides)


def parse(
    text: str, *, name: str = "scenario", folder: Path | None = None, overrides: Iterable[str] = ()
) -> Scenario:
    """Read and check a scenario's text, called `name` in messages; relative paths start at `folder`.

    Contents of included files become part of the stored text (:attr:`Origin.text`).
    """
    document = Document.parse(text, name)
    folder = folder or Path()
    overrides = sorted(
        overrides, key=lambda override: not sets_includes(override)
    )  # overrides of 'include' are applied first
    for override in filter(sets_includes, overrides):
        apply(document, override)
    included = expand(document, folder)
    for override in overrides:
        if not sets_includes(override):
            apply(document, override)
    origin = Origin(
        name=name,
        text=document.text if overrides or included else text,
        folder=folder,
        included=included,
    )
    try:
        scenario = Scenario.model_validate(document.plain(), context=origin)
    except ValidationError as error:
        raise document.error(from_validation(error, known_keys(Scenario))) from None
    scenario.placed_by(document.place)
    problems = examine(scenario).problems
    if problems:
        raise document.error(problems)
    return scenario


def _find(path: Path) -> tuple[Traversable, str, Path]:
    """Return the file, its name in messages, and the folder in which its relative paths start."""
    if not is_there(path):
        pass
    elif path.is_file():
        return path, str(path), path.parent
    elif path.is_dir():
        raise ScenarioError(f"{path}: a folder; expected a scenario file such as {path / 'scenario.yaml'}")
    shipped = packaged_scenarios()
    if path.suffix in ("", ".yaml") and path.parent.name in ("", "scenarios") and path.stem in shipped:
        return shipped[path.stem], f"{path.stem}.yaml", Path()
    raise ScenarioError(
        f"{path}: no such file, and no shipped scenario of that name; {suggest(path.stem, shipped)}"
    )
