"""Catalogue of device kinds, radios, models and inference engines, with the source of every figure.

Entries are shipped with edgesim, and by packages that provide a
:class:`~edgesim.scenario.catalogue.sources.Catalogue` through the entry-point group ``edgesim.catalogues``.
"""

from __future__ import annotations

from collections.abc import Mapping
from functools import cache
from types import MappingProxyType
from typing import Any

from pydantic import Field

from edgesim.errors import ScenarioError
from edgesim.model.architecture import Architecture
from edgesim.scenario.catalogue.sources import Entries, Part, installed
from edgesim.scenario.schema.device_kinds import DeviceKind
from edgesim.scenario.schema.radio_kinds import RadioKind
from edgesim.scenario.schema.runtimes import RuntimeEntry
from edgesim.scenario.text.section import Section

__all__ = [
    "KINDS",
    "ModelKind",
    "device_kind",
    "device_kinds",
    "model",
    "models",
    "radio_kind",
    "radio_kinds",
    "runtime",
    "runtimes",
]


class ModelKind(Section):
    """A model, described by its published dimensions in the form of a Hugging Face config."""

    name: str
    """Name of the model in scenarios."""
    description: str
    """One-line description."""
    source: str
    """Publication of the dimensions, or how they were derived."""
    estimate: bool = False
    """Whether some dimension is derived instead of published."""
    config: Mapping[str, Any] = Field(repr=False)
    """The parts of its `config.json` that determine the shape."""

    def architecture(self, dtype: str) -> Architecture:
        """Return the architecture in a number format."""
        return Architecture.from_config(self.config, name=self.name, dtype=dtype)


KINDS: Mapping[Part, type[Section]] = MappingProxyType(
    {"devices": DeviceKind, "models": ModelKind, "radios": RadioKind, "runtimes": RuntimeEntry}
)
"""Section class of the entries of each part of a catalogue."""


@cache
def device_kinds() -> Entries[DeviceKind]:
    """Return all device kinds by name."""
    return Entries("devices", DeviceKind, installed())


@cache
def models() -> Entries[ModelKind]:
    """Return all models by name."""
    return Entries("models", ModelKind, installed())


@cache
def radio_kinds() -> Entries[RadioKind]:
    """Return all radios by name."""
    return Entries("radios", RadioKind, installed())


@cache
def runtimes() -> Entries[RuntimeEntry]:
    """Return all inference engines by name."""
    return Entries("runtimes", RuntimeEntry, installed())


def runtime(name: str) -> RuntimeEntry:
    """Return one engine by name; the error for an unknown name suggests the nearest."""
    return runtimes().named(name)


def radio_kind(name: str) -> RadioKind:
    """Return one radio by name; the error for an unknown name suggests the nearest."""
    known = radio_kinds()
    if name not in known and name.lower().startswith(("lora", "sigfox")):
        raise ScenarioError(
            f"no radio '{name}': low-power wide-area radios are deliberately left out. At LoRa's 0.3 to 50 "
            "kbit/s and 1 % duty cycle in Europe, one token's hidden state of 4 kB takes from a minute to "
            "three hours; to send text over such a link, give it as {wired: {rate: ..., latency: ...}}"
        )
    return known.named(name)


def device_kind(name: str) -> DeviceKind:
    """Return one device kind by name; the error for an unknown name suggests the nearest."""
    return device_kinds().named(name)


def model(name: str) -> ModelKind:
    """Return one model by name; the error for an unknown name suggests the nearest."""
    return models().named(name)
