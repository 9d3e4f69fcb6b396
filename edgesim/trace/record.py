"""Reader and validator of ``run.json``, which may come from an untrusted source."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any, NoReturn

from pydantic import BaseModel, ConfigDict, ValidationError, model_validator

from edgesim.errors import TraceError

__all__ = ["RunRecord", "read_record"]

_MOST_BYTES = 256 * 2**20  # enough for a million links of 100 to 200 bytes each


class RunRecord(dict[str, Any]):
    """Contents of ``run.json``, as a dictionary that reports missing keys as an error of the file.

    Raises
    ------
    TraceError
        On access to a key that the file lacks.
    """

    def __init__(self, facts: dict[str, Any], file: Path) -> None:
        super().__init__(facts)
        self._file = file

    def __missing__(self, key: str) -> NoReturn:
        raise TraceError(
            f"{self._file}: {key!r} is missing; expected it in a trace of this schema version: run the "
            "scenario again"
        )


class _Model(BaseModel):
    """Validated keys of ``model``."""

    model_config = ConfigDict(strict=True, extra="ignore")

    name: str
    dtype: str
    bytes_per_weight: float | None = None
    quantisation: str | None = None


class _Objectives(BaseModel):
    """Validated keys of ``objectives``: the requests' service objectives."""

    model_config = ConfigDict(strict=True, extra="forbid")

    ttft_s: float | None = None
    tpot_s: float | None = None
    e2e_s: float | None = None


class _Measured(BaseModel):
    """Source of measured answers: a model and its text, or a user's file."""

    model_config = ConfigDict(strict=True, extra="allow")

    file: str = ""
    source: str = ""
    model: str = ""
    text: str = ""
    is_relative: bool = False

    @model_validator(mode="after")
    def _is_named(self) -> _Measured:
        if not (self.file or self.source or self.model):
            raise ValueError("expected a 'model', or a 'file'")
        return self


class _Quality(BaseModel):
    """Validated keys of ``quality``: measured answers under impairments, and those of exits."""

    model_config = ConfigDict(strict=True, extra="ignore")

    table: _Measured | None
    exits: _Measured | None


class _Workload(BaseModel):
    """Validated keys of ``workload``."""

    model_config = ConfigDict(strict=True, extra="ignore")

    n_users: int | None = None
    arrivals_depend_on_strategy: bool = False


class _Link(BaseModel):
    """Validated keys of a link."""

    model_config = ConfigDict(strict=True, extra="allow")

    latency_s: float
    rate_bps: float | None = None
    is_shared: bool = False
    kind: str | None = None


class _Run(BaseModel):
    """Types of the keys that readers use, if present; other keys are not checked."""

    model_config = ConfigDict(strict=True, extra="ignore")

    schema_version: int = 0
    status: str = ""
    name: str = ""
    seed: int = 0
    replications: int = 0
    horizon_s: float | None = None
    cooldown_s: float = 0.0
    warmup_s: float = 0.0
    simulating_took_s: float = 0.0
    n_devices: int = 0
    objectives: _Objectives = _Objectives()
    scenario: dict[str, str] = {}
    model: _Model = _Model(name="", dtype="")
    strategies: list[str] = []
    options: dict[str, dict[str, Any]] = {}
    placements: dict[str, list[dict[str, str]]] = {}
    quality: _Quality | None = None
    workload: _Workload = _Workload()
    links: dict[str, _Link] = {}
    bands: dict[str, dict[str, Any]] = {}
    places_m: dict[str, list[float]] = {}
    tracks: dict[str, list[list[float]]] = {}
    cells: dict[str, dict[str, Any]] = {}
    may_fail: list[str] = []
    links_may_fail: list[str] = []
    retries: bool = False
    counters: dict[str, float] = {}


def read_record(file: Path) -> RunRecord:
    """Read ``run.json``.

    Raises
    ------
    TraceError
        If the file is missing, cannot be read, or contains a value of another type than expected.
    """
    try:
        if file.stat().st_size > _MOST_BYTES:
            raise TraceError(
                f"{file}: larger than {_MOST_BYTES // 2**20} MiB, so not written by edgesim; run the "
                "scenario again"
            )
        facts = json.loads(file.read_bytes().decode("utf-8-sig"))
    except FileNotFoundError:
        raise TraceError(f"{file.parent}: no trace here ({file.name} is missing)") from None
    except OSError as error:
        raise TraceError(f"{file}: cannot be read ({error.strerror or error})") from None
    except (ValueError, RecursionError) as error:
        raise TraceError(f"{file}: not valid JSON ({error}); run the scenario again") from None
    if not isinstance(facts, dict):
        raise TraceError(
            f"{file}: expected a JSON object, got {type(facts).__name__}; run the scenario again"
        )
    try:
        _Run.model_validate(facts)
    except ValidationError as error:
        first = error.errors()[0]
        where = ".".join(str(part) for part in first["loc"])
        raise TraceError(
            f"{file}: {where}: {first['msg']}, got {str(first['input'])[:60]!r}; run the scenario again"
        ) from None
    return RunRecord(facts, file)
