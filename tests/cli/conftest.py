from __future__ import annotations

import sys
from collections.abc import Callable
from dataclasses import dataclass

import pytest

from edgesim.cli import main

Edgesim = Callable[..., "Said"]


@dataclass(frozen=True)
class Said:
    """What a command printed, and its exit status."""

    out: str
    err: str
    status: int


@pytest.fixture
def edgesim(monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> Edgesim:
    """The command line, in this process."""

    def call(*words: object) -> Said:
        monkeypatch.setattr(sys, "argv", ["edgesim", *map(str, words)])
        monkeypatch.setenv("COLUMNS", "120")
        try:
            main()
            status = 0
        except SystemExit as end:
            status = end.code if isinstance(end.code, int) else 1
        told = capsys.readouterr()
        return Said(told.out, told.err, status)

    return call
