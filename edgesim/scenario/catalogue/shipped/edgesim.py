"""The catalogue shipped with edgesim."""

from __future__ import annotations

from edgesim.scenario.catalogue.sources import Catalogue

__all__ = ["CATALOGUE"]

CATALOGUE = Catalogue(
    "edgesim.scenario.catalogue",
    devices="devices.yaml",
    models="models.yaml",
    radios="radios.yaml",
    runtimes="runtimes.yaml",
)
