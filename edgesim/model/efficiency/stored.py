"""A posterior in a file: the one that comes with edgesim, and those that users fit."""

from __future__ import annotations

import zipfile
from functools import cache
from importlib.resources import as_file, files
from pathlib import Path

import numpy as np

from edgesim.errors import InputError
from edgesim.model.efficiency.posterior import Posterior

__all__ = ["N_STORED", "load_posterior", "save_posterior", "shipped_posterior"]

N_STORED = 128
"""Draws that are kept: enough for the 5 and 95 % points of what follows from them."""


def save_posterior(posterior: Posterior, path: Path) -> None:
    """Write names and draws."""
    with path.open("wb") as file:  # a name without a suffix is kept so
        np.savez_compressed(file, names=np.array(posterior.names), draws=posterior.draws.astype(np.float32))


def load_posterior(path: Path) -> Posterior:
    """Read names and draws.

    Raises
    ------
    InputError
        If the file holds no such set.
    """
    try:
        with np.load(path, allow_pickle=False) as file:
            names, draws = tuple(map(str, file["names"])), file["draws"].astype(np.float64)
    except (OSError, ValueError, KeyError, EOFError, zipfile.BadZipFile) as error:
        raise InputError(
            f"{path}: no set of parameters: {error}; give a file that `edgesim calibrate --parameters` wrote"
        ) from None
    if draws.ndim != 2 or draws.shape[1] != len(names) or not len(draws) or not np.isfinite(draws).all():
        raise InputError(
            f"{path}: a damaged set of parameters, {draws.shape} for {len(names)} names; fit it anew"
        )
    return Posterior(names, draws)


@cache
def shipped_posterior() -> Posterior:
    """Return what the rates that come with edgesim say (written by ``scripts/fit_engines.py``)."""
    with as_file(files("edgesim.data").joinpath("engines.npz")) as path:
        return load_posterior(path)
