"""Open the traces and sweeps in given folders, and label them."""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Protocol

import pandas as pd

from edgesim.errors import TraceError
from edgesim.trace.reader import Trace

__all__ = ["SweepLike", "chosen_strategies", "labelled", "opened"]


class SweepLike(Protocol):
    """Interface of a sweep that listings, figures and pages use."""

    @property
    def path(self) -> Path: ...
    @property
    def name(self) -> str: ...
    @property
    def axes(self) -> Mapping[str, tuple[object, ...]]: ...
    @property
    def strategies(self) -> tuple[str, ...]: ...
    @property
    def incomplete(self) -> str | None: ...
    @property
    def record(self) -> Mapping[str, object]: ...
    def results(self) -> pd.DataFrame: ...
    def failures(self) -> pd.DataFrame: ...


def opened(path: Path) -> Trace | SweepLike:
    """Open the trace or sweep in a folder.

    Raises
    ------
    TraceError
        If the folder contains neither a trace nor a sweep, or one that is unreadable or inconsistent.
    """
    try:
        is_sweep, is_trace = (path / "sweep.json").is_file(), (path / "run.json").is_file()
    except (OSError, ValueError) as error:  # a name that no file can have
        raise TraceError(f"{path}: cannot be read ({error})") from None
    if is_sweep:
        # Imported late, since it imports the runner and most folders are traces.
        from edgesim.sweep.reader import Sweep

        return Sweep(path)
    if is_trace or not path.is_dir():
        if not path.exists():
            raise TraceError(f"{path}: there is no such folder; name one that 'edgesim run' wrote")
        if not path.is_dir():
            raise TraceError(f"{path}: a file; expected the folder of a trace or of a sweep")
        return Trace(path).sound()
    raise TraceError(
        f"{path}: neither a trace nor a sweep (no run.json, no sweep.json); name a folder that 'edgesim run' "
        "or 'edgesim sweep' wrote"
    )


def labelled(paths: Sequence[Path]) -> dict[str, Trace | SweepLike]:
    """Open several folders; label each by the shortest suffix of its path that is unique.

    Raises
    ------
    TraceError
        As :func:`opened`; also if a folder is given twice.
    """
    whole = [path.resolve() for path in paths]
    if twice := [str(path) for path, n in Counter(whole).items() if n > 1]:
        raise TraceError(f"{twice[0]}: given twice; expected each folder once")
    return {_label(path, whole): opened(given) for path, given in zip(whole, paths, strict=True)}


def _label(path: Path, paths: Sequence[Path]) -> str:
    others = [other for other in paths if other != path]
    for n_parts in range(1, len(path.parts)):
        end = path.parts[-n_parts:]
        if all(other.parts[-n_parts:] != end for other in others):
            return "/".join(end)
    return str(path)


def chosen_strategies(known: Sequence[str], asked: Sequence[str], where: str) -> tuple[str, ...]:
    """Return the requested strategies in the order of `known`; all if none is requested.

    Raises
    ------
    TraceError
        If a requested strategy does not exist.
    """
    for label in asked:
        if label not in known:
            raise TraceError(f"--strategy: {where} has no {label!r}; there are {', '.join(known) or 'none'}")
    return tuple(label for label in known if not asked or label in asked)
