"""Posterior files: the one shipped with edgesim, and those fitted by users."""

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
"""Number of stored draws: enough for the 5 % and 95 % quantiles of derived values."""


def save_posterior(posterior: Posterior, path: Path) -> None:
    """Write parameter names and draws to a file in .npz format."""
    with path.open("wb") as file:  # given a path, numpy would append a missing suffix
        np.savez_compressed(file, names=np.array(posterior.names), draws=posterior.draws.astype(np.float32))


def load_posterior(path: Path) -> Posterior:
    """Read a posterior written by :func:`save_posterior`.

    Raises
    ------
    InputError
        If the file does not contain a valid posterior.
    """
    try:
        with np.load(path, allow_pickle=False) as file:
            names, draws = tuple(map(str, file["names"])), file["draws"].astype(np.float64)
    except (OSError, ValueError, KeyError, EOFError, zipfile.BadZipFile) as error:
        raise InputError(
            f"{path}: not a parameter file: {error}; give a file written by `edgesim calibrate --parameters`"
        ) from None
    if draws.ndim != 2 or draws.shape[1] != len(names) or not len(draws) or not np.isfinite(draws).all():
        raise InputError(
            f"{path}: a damaged parameter file: draws of shape {draws.shape}, {len(names)} names; fit again"
        )
    return Posterior(names, draws)


@cache
def shipped_posterior() -> Posterior:
    """Return the posterior fitted to the rates shipped with edgesim (by ``scripts/fit_engines.py``)."""
    with as_file(files("edgesim.data").joinpath("engines.npz")) as path:
        return load_posterior(path)
