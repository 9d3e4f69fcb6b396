"""Kinds of devices and radios, models and engines by name, every figure with its source.

They come with edgesim, and with packages that offer a :class:`~edgesim.scenario.catalogue.sources.Catalogue`
through the entry point group ``edgesim.catalogues``.
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
    """A model by its published dimensions, as a Hugging Face config states them."""

    name: str
    """How scenarios call it."""
    description: str
    """What it is, in a line."""
    source: str
    """Where the dimensions are published, or how they were derived."""
    estimate: bool = False
    """Whether some dimension is derived and not published."""
    config: Mapping[str, Any] = Field(repr=False)
    """What its `config.json` says, as far as shape goes."""

    def architecture(self, dtype: str) -> Architecture:
        """Read the config for a number format."""
        return Architecture.from_config(self.config, name=self.name, dtype=dtype)


KINDS: Mapping[Part, type[Section]] = MappingProxyType(
    {"devices": DeviceKind, "models": ModelKind, "radios": RadioKind, "runtimes": RuntimeEntry}
)
"""What the entries of each part of a catalogue are."""


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
    """Return all engines by name."""
    return Entries("runtimes", RuntimeEntry, installed())


def runtime(name: str) -> RuntimeEntry:
    """Return one engine; an unknown name is an error that names the nearest."""
    return runtimes().named(name)


def radio_kind(name: str) -> RadioKind:
    """Return one radio; an unknown name is an error that names the nearest."""
    known = radio_kinds()
    if name not in known and name.lower().startswith(("lora", "sigfox")):
        raise ScenarioError(
            f"no radio '{name}': low-power wide-area radios are left out on purpose. At LoRa's 0.3 to 50 "
            "kbit/s and 1 % duty cycle in Europe, one token's hidden state of 4 kB takes from a minute to "
            "three hours; send text over such a link as {wired: {rate: ..., latency: ...}} if you must"
        )
    return known.named(name)


def device_kind(name: str) -> DeviceKind:
    """Return one device kind; an unknown name is an error that names the nearest."""
    return device_kinds().named(name)


def model(name: str) -> ModelKind:
    """Return one model; an unknown name is an error that names the nearest."""
    return models().named(name)
