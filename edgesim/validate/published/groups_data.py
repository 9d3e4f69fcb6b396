"""Published times of groups of one and two nodes, as they are kept beside this module, with their sources."""

from __future__ import annotations

from collections.abc import Mapping
from functools import cache
from importlib.resources import files
from typing import Any

from ruamel.yaml import YAML

__all__ = ["published_groups"]


@cache
def published_groups() -> Mapping[str, Any]:
    """Return the testbeds by name: their source, what their set-up was, and their rows.

    Not a row of more than two nodes is among them.
    """
    text = files("edgesim.validate.published").joinpath("groups.yaml").read_text(encoding="utf-8")
    told: Mapping[str, Any] = YAML(typ="safe", pure=True).load(text)
    return told
