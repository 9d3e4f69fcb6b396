"""Configs from the Hugging Face Hub, for users who are online: the config's text, never code or weights."""

from __future__ import annotations

import re
from functools import cache
from pathlib import Path

from edgesim.errors import InputError
from edgesim.model.architecture import Architecture

__all__ = ["hub_architecture", "is_hub_id"]

_HUB_ID = re.compile(r"[A-Za-z0-9][\w.-]*/[A-Za-z0-9][\w.-]*")


def is_hub_id(name: str) -> bool:
    """Whether a name looks as models on the Hub are called, ``organisation/model``."""
    return _HUB_ID.fullmatch(name) is not None


def hub_architecture(name: str, *, dtype: str, reads_quantisation: bool = True) -> Architecture:
    """Read the config of a model on the Hugging Face Hub; a copy that was fetched before serves offline.

    What is fetched is `config.json`, through transformers' own client (which knows the user's token, cache
    and `HF_HUB_OFFLINE`). No code that may lie beside it is fetched or run.

    Raises
    ------
    InputError
        If the Hub cannot be reached, has no such model or does not let this user see it; and for what
        :meth:`edgesim.model.architecture.Architecture.from_config` refuses.
    """
    return Architecture.from_path(
        _config_file(name), dtype=dtype, name=name, reads_quantisation=reads_quantisation
    )


@cache
def _config_file(name: str) -> Path:
    """Fetch the config once a process: scenarios read their model often."""
    from transformers.utils.hub import cached_file  # takes a second to import

    try:
        file = cached_file(name, "config.json")
    except (OSError, ValueError) as error:
        reason = str(error).strip().partition("\n")[0]
        raise InputError(
            f"no model '{name}' in the catalogue or on this machine, and the Hugging Face Hub did not give "
            f"its config ({reason}); check the name and the connection, or download its config.json and give "
            "its path"
        ) from error
    return Path(str(file))
