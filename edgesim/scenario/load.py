"""From a file to a checked scenario."""

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
from edgesim.scenario.schema.scenario import Origin, Scenario
from edgesim.scenario.text.document import MAX_SIZE_BYTES, Document
from edgesim.scenario.text.overrides import apply
from edgesim.scenario.text.packaged import packaged_scenarios
from edgesim.scenario.text.problems import from_validation
from edgesim.scenario.text.section import known_keys

__all__ = ["load", "parse"]


def load(path_or_name: str | PathLike[str], overrides: Iterable[str] = ()) -> Scenario:
    """Read and check a scenario.

    Parameters
    ----------
    path_or_name
        A file, or the name of a shipped scenario (``smart_city``) where there is no such file.
    overrides
        Changes to it, such as ``topology.devices.camera.count=4``.

    Raises
    ------
    ScenarioError
        Listing all mistakes, one a line: where (file, line, column, path), what was found, what was
        expected, and what to do.
    """
    file, name, folder = _find(Path(path_or_name))
    return parse(_read(file, name), name=name, folder=folder, overrides=overrides)


def parse(
    text: str, *, name: str = "scenario", folder: Path | None = None, overrides: Iterable[str] = ()
) -> Scenario:
    """Read and check a scenario's text, called `name` in messages; relative paths start at `folder`."""
    document = Document.parse(text, name)
    overrides = tuple(overrides)
    for override in overrides:
        apply(document, override)
    origin = Origin(name=name, text=document.text if overrides else text, folder=folder or Path())
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
    """Find the file, what to call it, and where relative paths in it start."""
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


def _read(file: Traversable, name: str) -> str:
    try:
        # One byte more than allowed tells a file that is too large without reading all of it.
        with file.open("rb") as stream:
            data = stream.read(MAX_SIZE_BYTES + 1)
        if len(data) > MAX_SIZE_BYTES:
            raise ScenarioError(f"{name}: larger than {MAX_SIZE_BYTES // 1000} kB, which no scenario is")
        return data.decode("utf-8-sig")
    except OSError as error:
        raise ScenarioError(f"{name}: cannot be read: {error.strerror}") from None
    except UnicodeDecodeError as error:
        raise ScenarioError(f"{name}: not YAML: byte {error.start} is no UTF-8 text") from None
