"""A catalogue: the board and the access point of a laboratory."""

from __future__ import annotations

from edgesim.scenario.catalogue.sources import Catalogue

__all__ = ["LAB"]

LAB = Catalogue("edgesim_example_plugin", devices="lab_devices.yaml", radios="lab_radios.yaml")
