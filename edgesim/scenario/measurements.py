"""File of measured rates for calibrating a device, and the resulting device kind as YAML."""

from __future__ import annotations

import json
from collections.abc import Callable
from io import StringIO
from pathlib import Path as FilePath
from types import MappingProxyType
from typing import Annotated, Any, Literal

from pydantic import AfterValidator, Field

from edgesim.csv_rows import CsvError, named, read_rows
from edgesim.errors import InputError
from edgesim.fields import refuse
from edgesim.files import UnreadableFileError
from edgesim.model.calibration import Calibration, FittedParameter, Measurement
from edgesim.nearest import suggest
from edgesim.scenario.check import named_architecture
from edgesim.scenario.schema.topology import Count, Name
from edgesim.scenario.text.document import Document
from edgesim.scenario.text.problems import Problem
from edgesim.scenario.text.rows_file import each_row, file_text, validated
from edgesim.scenario.text.section import Section, known_keys
from edgesim.units import DATA_SIZE, POWER, TIME, Dimension, UnitError, parse

__all__ = [
    "MeasurementEntry",
    "MeasurementFile",
    "PowerTexts",
    "kind_snippet",
    "read_measurements",
    "to_fill_in",
]

SECONDS_PER_TOKEN = MappingProxyType({"ms/token": 1e-3, "s/token": 1.0})
TOKENS_PER_SECOND = ("tokens/s", "tok/s", "t/s")
LEAST_TOKEN_S, MOST_TOKEN_S = 1e-9, 1e6  # time per token; far beyond any device in both directions
UNITS = (*TOKENS_PER_SECOND, *SECONDS_PER_TOKEN)
NUMBERS = ("bytes_per_weight", "n_prompt", "n_output", "value", "nodes")  # numeric columns of a CSV file


class MeasurementEntry(Section):
    """One measured rate of a whole model on one device, at batch size 1."""

    model: str
    """Model of the catalogue (`edgesim list models`), or path of a local Hugging Face folder or config
    file."""
    value: Annotated[float, Field(gt=0)]
    """Measured number, in `unit`."""
    unit: str
    """Unit of the value: tokens/s, ms/token or s/token."""
    n_prompt: Count = 1
    """Number of prompt tokens."""
    n_output: Count = 1
    """Number of answer tokens; the middle decode step represents all."""
    phase: Literal["decode", "prefill"] = "decode"
    """Timed phase: generation (`decode`) or prompt processing (`prefill`)."""
    dtype: Literal["float32", "float16", "bfloat16"] = "float32"
    """Number format of weights, activations and KV cache."""
    bytes_per_weight: Annotated[float, Field(gt=0)] | None = None
    """Bytes of a quantised weight, such as 0.5625 for Q40; activations and cache keep `dtype`."""
    nodes: Count = 1
    """Number of devices that took part; calibration accepts only 1, as messages would distort the
    ceilings."""

    def measurement(self, folder: FilePath) -> Measurement:
        """Return the measurement for the fit."""
        if self.nodes != 1:
            raise InputError(
                f"'nodes' is {self.nodes}, so that messages between nodes are part of the time; expected 1: "
                "leave the row out"
            )
        if self.unit in SECONDS_PER_TOKEN:
            per_token_s = self.value * SECONDS_PER_TOKEN[self.unit]
        elif self.unit in TOKENS_PER_SECOND:
            per_token_s = 1 / self.value
        else:
            raise InputError(f"unit {self.unit!r}; expected {', '.join(UNITS)}: {suggest(self.unit, UNITS)}")
        if not LEAST_TOKEN_S <= per_token_s <= MOST_TOKEN_S:
            raise InputError(
                f"{self.value:g} {self.unit} is {per_token_s:.3g} s per token; expected {LEAST_TOKEN_S:g} to "
                f"{MOST_TOKEN_S:g} s: correct the value or its unit"
            )
        return Measurement(
            model=named_architecture(
                self.model,
                dtype=self.dtype,
                folder=folder,
                reads_quantisation=self.bytes_per_weight is None,
            ),
            phase=self.phase,
            n_prompt_tokens=self.n_prompt,
            n_output_tokens=self.n_output,
            seconds=per_token_s * (self.n_prompt if self.phase == "prefill" else 1),
            bytes_per_weight=self.bytes_per_weight,
        )


def _quantity(dimension: Dimension) -> Callable[[str], str]:
    """Return a validator that checks a quantity and keeps its text."""

    def check(text: str) -> str:
        try:
            value = parse(text, dimension)
        except UnitError as error:
            refuse(str(error))
        if value < 0:
            refuse(f"expected {dimension.name} of zero or more, got {text!r}")
        return text

    return check


_Power = Annotated[str, AfterValidator(_quantity(POWER))]


class PowerTexts(Section):
    """Power draw by state, as text; `active`, `tx` and `rx` are added to `idle`."""

    idle: _Power
    """Power of the whole device, switched on and idle."""
    active: _Power
    """Additional power while computing."""
    tx: _Power
    """Additional power while sending."""
    rx: _Power
    """Additional power while receiving."""


class MeasurementFile(Section):
    """A file of measured rates of one device."""

    device: Name = "calibrated"
    """Name of the resulting device kind."""
    source: str = ""
    """Source of the measurements."""
    memory: Annotated[str, AfterValidator(_quantity(DATA_SIZE))] | None = None
    """Memory of the device, such as 8 GiB; like the following keys it cannot be fitted from rates."""
    process_memory: Annotated[str, AfterValidator(_quantity(DATA_SIZE))] | None = None
    """Memory occupied by operating system and runtime."""
    power: PowerTexts | None = None
    """Power draw by state."""
    message_overhead: Annotated[str, AfterValidator(_quantity(TIME))] | None = None
    """Overhead of a message at the device's own end."""
    measurements: Annotated[tuple[MeasurementEntry, ...], Field(min_length=1)]
    """Measured rates, one per row."""


def read_measurements(file: FilePath) -> tuple[MeasurementFile, list[Measurement]]:
    """Read a YAML file with a list ``measurements``, or a CSV file with the same columns.

    Raises
    ------
    InputError
        Listing all mistakes with their lines.
    """
    text = file_text(file, "a YAML or CSV file of measured rates")
    content, places = _from_csv(text, file) if file.suffix.lower() == ".csv" else _from_yaml(text, file)
    read = validated(MeasurementFile, content, known_keys(MeasurementFile), places.place)
    rows = each_row(
        "measurements", read.measurements, lambda entry: entry.measurement(file.parent), places.place
    )
    if len({row.dtype for row in read.measurements}) > 1:
        raise InputError(
            f"{file}: rows with {' and '.join(sorted({row.dtype for row in read.measurements}))}; expected "
            "one number format, as a device computes each at another rate: calibrate them one at a time"
        )
    return read, rows


class _Places:
    """Positions of mistakes in a YAML or CSV file."""

    def __init__(self, file: FilePath, document: Document | None, lines: tuple[int, ...] = ()) -> None:
        self._file, self._document, self._lines = file, document, lines

    def place(self, problem: Problem) -> str:
        if self._document is not None:
            return self._document.place(problem.path)
        row = next((step for step in problem.path if isinstance(step, int)), None)
        column = problem.path[-1] if problem.path and isinstance(problem.path[-1], str) else None
        where = str(self._file) if row is None else f"{self._file}:{self._lines[row]}"
        return f"{where}: {column}" if column and row is not None else where


def _from_yaml(text: str, file: FilePath) -> tuple[dict[str, Any], _Places]:
    document = Document.parse(text, file.name)
    return document.plain(), _Places(file, document)


def _from_csv(text: str, file: FilePath) -> tuple[dict[str, Any], _Places]:
    try:
        found = read_rows(StringIO(text, newline=""))
        for column in (*NUMBERS, "model", "unit", "phase", "dtype"):
            named(column, found.names)  # each column at most once
        lines = list(found.rows)
    except CsvError as error:
        raise InputError(f"{file}:{error.line}: {error}; correct the row") from None
    except UnreadableFileError as error:
        raise InputError(f"{file}: {error}; expected a CSV file of measured rates") from None
    if not lines:
        raise InputError(f"{file}: no rows; expected one for each measured rate")
    rows = []
    for _, line in lines:
        cells = {key: value.strip() for key, value in zip(found.names, line, strict=True) if value.strip()}
        rows.append({key: _number(value) if key in NUMBERS else value for key, value in cells.items()})
    return {"measurements": rows}, _Places(file, None, lines=tuple(line for line, _ in lines))


def _number(text: str) -> int | float | str:
    """Parse a cell as a number; return other text unchanged, for validation to refuse."""
    for read in (int, float):
        try:
            return read(text)
        except ValueError:
            continue
    return text


def kind_snippet(read: MeasurementFile, fit: Calibration) -> str:
    """Return the fitted device as YAML of a scenario's ``kinds``, with placeholders for unknown values.

    The placeholder is ``FILL IN``, which no scenario accepts as a quantity, so that it cannot be simulated.
    """
    dtype = read.measurements[0].dtype
    came = f" ({read.source})" if read.source else ""
    n = len(fit.rows)
    rows = f"{n} measured rate{'s' * (n > 1)}{came}"
    if fit.flop_per_s is None:
        compute = f"{fit.flop_per_s_at_least / 1e9:.4g} GFLOP/s"
        compute_source = (
            "Not fitted, as no row is a prefill: lower bound from the decoding rates; give --compute"
        )
    else:
        compute = f"{fit.flop_per_s.value / 1e9:.4g} GFLOP/s"
        compute_source = _source(fit.flop_per_s, 1e9, "GFLOP/s", rows)
    power = read.power.model_dump() if read.power else dict.fromkeys(("idle", "active", "tx", "rx"))
    lines = [
        "kinds:",
        f"  {read.device}:",
        f"    memory: {_given(read.memory)}",
        f"    process_memory: {_given(read.process_memory)}",
        "    memory_bandwidth:",
        f"      value: {fit.bytes_per_s.value / 1e9:.4g} GB/s",
        "      estimate: true",
        f"      source: {_quoted(_source(fit.bytes_per_s, 1e9, 'GB/s', rows))}",
        "    compute:",
        f"      {dtype}:",
        f"        value: {compute}",
        "        estimate: true",
        f"        source: {_quoted(compute_source)}",
        "    overhead_per_call:",
        f"      value: {fit.overhead_s.value * 1e3:.4g} ms",
        "      estimate: true",
        f"      source: {_quoted(_source(fit.overhead_s, 1e-3, 'ms', rows))}",
        f"    power: {{{', '.join(f'{state}: {_given(text)}' for state, text in power.items())}}}",
        f"    endpoint: {{overhead: {_given(read.message_overhead)}}}",
    ]
    return "\n".join(lines) + "\n"


def to_fill_in(read: MeasurementFile) -> list[str]:
    """List the keys that neither rates nor the file give, and that a scenario needs."""
    keys = ("memory", "process_memory", "power", "message_overhead")
    return [key for key in keys if getattr(read, key) is None]


def _given(text: str | None) -> str:
    """Return the text from the file, or the placeholder."""
    return "FILL IN" if text is None else text.strip()


def _source(estimate: FittedParameter, scale: float, unit: str, rows: str) -> str:
    if not estimate.is_fitted:
        return "Given to edgesim calibrate"
    low, high = estimate.low / scale, estimate.high / scale
    return f"edgesim calibrate, {rows}: 95 % interval {low:.4g} to {high:.4g} {unit}"


def _quoted(text: str) -> str:
    return json.dumps(text)  # JSON strings are valid YAML, and contain no terminal control characters
