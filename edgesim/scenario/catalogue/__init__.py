"""What comes with edgesim: device kinds, engines, models and radios, every figure with its source."""

from __future__ import annotations

import re
from collections.abc import Callable, Iterator, Mapping
from functools import cache
from importlib.resources import files
from itertools import pairwise
from typing import Any, TypeVar

from pydantic import Field
from ruamel.yaml import YAML

from edgesim.errors import ScenarioError
from edgesim.model.architecture import Architecture
from edgesim.nearest import suggest
from edgesim.scenario.schema.device_kinds import DeviceKind
from edgesim.scenario.schema.radio_kinds import RadioKind
from edgesim.scenario.schema.runtimes import RuntimeEntry
from edgesim.scenario.text.section import Section

__all__ = [
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

Entry = TypeVar("Entry")

_HEADING = re.compile(r"^(?P<name>[A-Za-z0-9][A-Za-z0-9._-]*):", re.MULTILINE)


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


class _Entries(Mapping[str, Entry]):
    """The entries of a file by name, each read when it is asked for: few of them are."""

    def __init__(self, file: str, read: Callable[[str, Any], Entry]) -> None:
        text = files("edgesim.scenario.catalogue").joinpath(file).read_text(encoding="utf-8")
        starts = [*_HEADING.finditer(text), None]
        self._texts = {
            start["name"]: text[start.start() : None if after is None else after.start()]
            for start, after in pairwise(starts)
            if start is not None
        }
        self._read = read
        self._known: dict[str, Entry] = {}

    def __getitem__(self, name: str) -> Entry:
        if name not in self._known:
            (entry,) = YAML(typ="safe", pure=True).load(self._texts[name]).values()
            self._known[name] = self._read(name, entry)
        return self._known[name]

    def __iter__(self) -> Iterator[str]:
        return iter(self._texts)

    def __len__(self) -> int:
        return len(self._texts)

    def __contains__(self, name: object) -> bool:
        return name in self._texts


@cache
def device_kinds() -> Mapping[str, DeviceKind]:
    """Return all device kinds by name."""
    return _Entries("devices.yaml", lambda _, entry: DeviceKind.model_validate(entry))


@cache
def models() -> Mapping[str, ModelKind]:
    """Return all models by name."""
    return _Entries("models.yaml", lambda name, entry: ModelKind.model_validate({"name": name, **entry}))


@cache
def radio_kinds() -> Mapping[str, RadioKind]:
    """Return all radios by name."""
    return _Entries("radios.yaml", lambda _, entry: RadioKind.model_validate(entry))


@cache
def runtimes() -> Mapping[str, RuntimeEntry]:
    """Return all engines by name."""
    return _Entries("runtimes.yaml", lambda _, entry: RuntimeEntry.model_validate(entry))


def runtime(name: str) -> RuntimeEntry:
    """Return one engine; an unknown name is an error that names the nearest."""
    known = runtimes()
    if name not in known:
        raise ScenarioError(f"no runtime '{name}'; {suggest(name, known)} (edgesim list runtimes)")
    return known[name]


def radio_kind(name: str) -> RadioKind:
    """Return one radio; an unknown name is an error that names the nearest."""
    known = radio_kinds()
    if name.lower().startswith(("lora", "sigfox")):
        raise ScenarioError(
            f"no radio '{name}': low-power wide-area radios are left out on purpose. At LoRa's 0.3 to 50 "
            "kbit/s and 1 % duty cycle in Europe, one token's hidden state of 4 kB takes from a minute to "
            "three hours; send text over such a link as {wired: {rate: ..., latency: ...}} if you must"
        )
    if name not in known:
        raise ScenarioError(f"no radio '{name}'; {suggest(name, known)} (edgesim list radios)")
    return known[name]


def device_kind(name: str) -> DeviceKind:
    """Return one device kind; an unknown name is an error that names the nearest."""
    known = device_kinds()
    if name not in known:
        raise ScenarioError(f"no device kind '{name}'; {suggest(name, known)} (edgesim list devices)")
    return known[name]


def model(name: str) -> ModelKind:
    """Return one model; an unknown name is an error that names the nearest."""
    known = models()
    if name not in known:
        raise ScenarioError(f"no model '{name}'; {suggest(name, known)} (edgesim list models)")
    return known[name]
