"""Published token rates of one request on one device, to which shares of peaks are fitted."""

from __future__ import annotations

from collections.abc import Mapping
from functools import cache
from importlib.resources import files
from pathlib import Path
from typing import Annotated, Any, Literal

from pydantic import Field, model_validator
from ruamel.yaml import YAML

from edgesim.fields import refuse
from edgesim.model.efficiency.effects import Rate
from edgesim.model.efficiency.law import Terms
from edgesim.scenario import catalogue
from edgesim.scenario.runtimes import use_of
from edgesim.scenario.schema.topology import Count
from edgesim.scenario.text.document import Document
from edgesim.scenario.text.problems import Problem
from edgesim.scenario.text.rows_file import each_row, file_text, validated
from edgesim.scenario.text.section import Section, known_keys

__all__ = ["RateEntry", "published_rates", "read_rates"]

ASSUMED_PROMPT, ASSUMED_OUTPUT = 16, 128
"""Lengths assumed if a source states none: short, as in most demonstrations."""


class RateEntry(Section):
    """One published rate, at batch size 1."""

    device: str
    """A device kind of the catalogue."""
    power_mode: str | None = None
    """Power mode of the device, if it differs from the kind's."""
    model: str
    """Model of the catalogue with the same shape."""
    label: str
    """Name of the model and its weights in the source."""
    dtype: Literal["float32", "float16", "bfloat16"] = "float16"
    """Number format of activations and cache, and of unquantised weights."""
    bytes_per_weight: Annotated[float, Field(gt=0, le=4)] | None = None
    """Bytes read per weight in a step, if weights are quantised."""
    runtime: str
    """Inference engine of the catalogue."""
    value: Annotated[float, Field(gt=0)]
    """Published number, in `unit`."""
    unit: Literal["tokens/s", "ms/token", "ms/request"]
    """Unit of the value: of decoding (per token), or of prompt and whole answer (per request)."""
    n_prompt: Count = ASSUMED_PROMPT
    """Tokens of the prompt."""
    n_output: Count = ASSUMED_OUTPUT
    """Tokens of the answer."""
    lengths: Literal["stated", "assumed"] = "stated"
    """Whether the source states the lengths, or they are assumed."""
    source: str
    """Publication of the rate."""

    @model_validator(mode="after")
    def _lengths(self) -> RateEntry:
        given = {"n_prompt", "n_output"} <= self.model_fields_set
        if given == (self.lengths == "assumed"):
            refuse("expected either 'n_prompt' and 'n_output', or 'lengths: assumed'")
        return self

    @property
    def seconds(self) -> float:
        """Time per token, or of the request [s]."""
        return 1 / self.value if self.unit == "tokens/s" else self.value / 1e3

    def in_unit(self, seconds: float) -> float:
        """Convert a predicted time to the source's unit."""
        return 1 / seconds if self.unit == "tokens/s" else 1e3 * seconds

    def rate(self) -> Rate:
        """Return the rate for the fit."""
        kind = catalogue.device_kind(self.device).model_copy(update={"power_mode": self.power_mode})
        peaks = kind.peak_values(self.device)
        model = catalogue.model(self.model).architecture(self.dtype)
        stored = float(model.dtype_bytes) if self.bytes_per_weight is None else self.bytes_per_weight
        if self.bytes_per_weight is not None:
            model = model.quantised(self.bytes_per_weight)
        whole = self.unit == "ms/request"
        # The middle step of an answer represents all, as times are linear in the context.
        n_context = self.n_prompt + max(0, self.n_output - 2) // 2
        terms = Terms.of(
            model,
            peaks,
            n_prompt=self.n_prompt if whole else 0,
            n_context=n_context,
            n_decoded=self.n_output - 1 if whole else 1,
        )
        return Rate(use_of(self.runtime, catalogue.runtime(self.runtime), peaks, stored), terms, self.seconds)


def read_rates(file: Path) -> tuple[RateEntry, ...]:
    """Read a user's own rows: a YAML file with a list ``rates`` of mappings as in `published_rates.yaml`.

    Raises
    ------
    InputError
        Listing all mistakes with their lines.
    """
    document = Document.parse(file_text(file, "a YAML file with a list 'rates'"), file.name)

    def place(problem: Problem) -> str:
        return document.place(problem.path)

    known = {**known_keys(_RateFile), **known_keys(RateEntry)}
    read = validated(_RateFile, document.plain(), known, place)
    each_row("rates", read.rates, RateEntry.rate, place)
    return read.rates


class _RateFile(Section):
    """A file of published rates."""

    rates: Annotated[tuple[RateEntry, ...], Field(min_length=1)]
    """Published rates, one per row."""


@cache
def published_rates() -> tuple[RateEntry, ...]:
    """Return all rates shipped with edgesim."""
    text = files("edgesim.data").joinpath("published_rates.yaml").read_text(encoding="utf-8")
    rows: list[Mapping[str, Any]] = YAML(typ="safe", pure=True).load(text)
    return tuple(RateEntry.model_validate(row) for row in rows)
