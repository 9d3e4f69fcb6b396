"""How much the suite does: sizes that suit CI by default, larger ones and what takes minutes on demand."""

from __future__ import annotations

import os
from typing import TypeVar

import pytest

__all__ = ["IS_LONG", "long_only", "sized"]

IS_LONG = os.environ.get("EDGESIM_LONG_TESTS", "0") not in ("", "0")
"""Whether EDGESIM_LONG_TESTS asks for everything."""

T = TypeVar("T")


def sized(usual: T, long: T) -> T:
    """Return the size for this run: of a random test, whose tolerance follows from its own spread."""
    return long if IS_LONG else usual


def long_only(reason: str) -> pytest.MarkDecorator:
    """Mark a test that runs with EDGESIM_LONG_TESTS=1 alone."""
    return pytest.mark.skipif(not IS_LONG, reason=f"{reason}: set EDGESIM_LONG_TESTS=1")
