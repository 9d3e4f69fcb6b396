"""Published times of groups of one and two nodes, with their sources, from a file beside this module."""

from __future__ import annotations

from collections.abc import Mapping
from functools import cache
from importlib.resources import files
from typing import Any

from ruamel.yaml import YAML

__all__ = ["published_groups"]


@cache
def published_groups() -> Mapping[str, Any]:
    """Return the testbeds by name: their source, their set-up, and their rows.

    No row has more than two nodes.
    """
    text = files("edgesim.validate.published").joinpath("groups.yaml").read_text(encoding="utf-8")
    testbeds: Mapping[str, Any] = YAML(typ="safe", pure=True).load(text)
    return testbeds
