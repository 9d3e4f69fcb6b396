"""Fetch model configs from the Hugging Face Hub: the text of the config, never code or weights."""

from __future__ import annotations

import re
from functools import cache
from pathlib import Path

from edgesim.errors import InputError
from edgesim.model.architecture import Architecture

__all__ = ["hub_architecture", "is_hub_id"]

_HUB_ID = re.compile(r"[A-Za-z0-9][\w.-]*/[A-Za-z0-9][\w.-]*")


def is_hub_id(name: str) -> bool:
    """Return whether a name has the form of a Hub model, ``organisation/model``."""
    return _HUB_ID.fullmatch(name) is not None


def hub_architecture(name: str, *, dtype: str, reads_quantisation: bool = True) -> Architecture:
    """Read the config of a model on the Hugging Face Hub; a copy fetched earlier also works offline.

    Only `config.json` is fetched, by transformers' own client (which handles the user's token, cache
    and `HF_HUB_OFFLINE`). Code in the repository is neither fetched nor run.

    Raises
    ------
    InputError
        If the Hub cannot be reached, has no such model or denies this user access; and for any config that
        :meth:`edgesim.model.architecture.Architecture.from_config` refuses.
    """
    return Architecture.from_path(
        _config_file(name), dtype=dtype, name=name, reads_quantisation=reads_quantisation
    )


@cache
def _config_file(name: str) -> Path:
    """Fetch the config once per process, since scenarios read their model often."""
    from transformers.utils.hub import cached_file  # takes a second to import

    try:
        file = cached_file(name, "config.json")
    except (OSError, ValueError) as error:
        reason = str(error).strip().partition("\n")[0]
        raise InputError(
            f"no model '{name}' in the catalogue or on this machine, and the Hugging Face Hub did not return "
            f"its config ({reason}); check the name and the connection, or download its config.json and give "
            "its path"
        ) from error
    return Path(str(file))
