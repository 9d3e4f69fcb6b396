"""Progress bars of long operations."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Any

from rich.console import Console
from rich.progress import BarColumn, Progress, TextColumn, TimeElapsedColumn

__all__ = ["counting", "counting_up", "measuring_progress"]


@contextmanager
def measuring_progress(
    notes: Console, unit: str = "s", doing: str = "measuring"
) -> Iterator[Callable[[float, float, str], None]]:
    """Show a bar for a measurement or another long operation; plain lines if there is no terminal."""
    if not (notes.is_terminal or notes.is_jupyter):
        yield _plain(notes, unit, doing)
        return
    with Progress(
        TextColumn(doing), BarColumn(), TimeElapsedColumn(), TextColumn("{task.description}", markup=False),
        console=notes, transient=True,
    ) as bar:  # fmt: skip
        task: Any = None

        def update(done_s: float, total_s: float, what: str) -> None:
            nonlocal task
            if task is None:
                task = bar.add_task(what, total=total_s)
            bar.update(task, completed=done_s, total=total_s, description=what)

        yield update


@contextmanager
def counting(notes: Console, total: int, doing: str = "simulating") -> Iterator[Callable[[str], None]]:
    """Show a bar that advances by one per call; nothing if there is no terminal, since runs are short."""
    with Progress(
        TextColumn(doing), BarColumn(),
        TextColumn("{task.completed}/{task.total} {task.description}", markup=False),
        console=notes, transient=True, disable=not (notes.is_terminal or notes.is_jupyter),
        auto_refresh=False,  # it would start a thread, and a process with threads cannot safely be forked
    ) as bar:  # fmt: skip
        task = bar.add_task("", total=total)
        bar.refresh()
        yield lambda what: bar.update(task, advance=1, description=what, refresh=True)


@contextmanager
def counting_up(notes: Console, doing: str) -> Iterator[Callable[[str, int | None], None]]:
    """Show a bar that advances by one per call and whose total may change; nothing without a terminal."""
    with Progress(
        TextColumn(doing), BarColumn(),
        TextColumn("{task.completed} {task.description}", markup=False), TimeElapsedColumn(),
        console=notes, transient=True, disable=not (notes.is_terminal or notes.is_jupyter),
    ) as bar:  # fmt: skip
        task = bar.add_task("", total=None)
        yield lambda what, total: bar.update(task, advance=1, description=what, total=total)


def _plain(notes: Console, unit: str, doing: str) -> Callable[[float, float, str], None]:
    stated: dict[str, Any] = {"tenths": -1, "what": ""}

    def update(done_s: float, total_s: float, what: str) -> None:
        tenths = int(10 * done_s / total_s) if total_s else 10
        if done_s == 0.0 or tenths > stated["tenths"] or (unit == "" and what != stated["what"]):
            stated.update(tenths=tenths, what=what)
            counted = f"{done_s:.0f} of {total_s:.0f} {unit}".rstrip()
            notes.print(f"{doing} {counted}: {what}", markup=False)

    return update
