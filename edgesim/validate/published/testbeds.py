"""Published rates of testbeds that shipped scenarios rebuild: each run anew and held against them."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from functools import cache
from importlib.resources import files
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Annotated, Any, Literal

from pydantic import Field
from ruamel.yaml import YAML

from edgesim import runner
from edgesim.errors import InputError
from edgesim.runner import Prepared
from edgesim.scenario.load import load
from edgesim.scenario.text.section import Section
from edgesim.statistics.summary import summaries
from edgesim.trace.reader import Trace

__all__ = ["Run", "TestbedRate", "runs", "testbed_rates"]

_METRICS: Mapping[str, tuple[str, float]] = {
    "ms/token": ("tpot_p50_s", 1e3),
    "tokens/s": ("output_tokens_per_s", 1.0),
}


class TestbedRate(Section):
    """One published rate, and how a shipped scenario gives it."""

    scenario: str
    """A shipped scenario."""
    strategy: str
    """Label of the strategy."""
    set: tuple[str, ...] = ()
    """Changes to the scenario, as on the command line."""
    model: str | None = None
    """Another model than the scenario's."""
    label: str
    """What it is of."""
    metric: Literal["ms/token", "tokens/s"]
    """What was published."""
    value: Annotated[float, Field(gt=0)]
    """The published number."""
    fitted: bool
    """Whether the scenario was fitted to this row."""
    source: str
    """Where it is published."""

    @property
    def overrides(self) -> list[str]:
        """All changes to the scenario."""
        return [*self.set, *([] if self.model is None else [f"model.architecture={self.model}"])]


@dataclass(frozen=True, slots=True)
class Run:
    """A published rate beside that of the simulated testbed.

    Attributes
    ----------
    simulated
        In the unit published; None where the testbed refuses to run it.
    refused
        Why.
    """

    entry: TestbedRate
    simulated: float | None
    refused: str = ""

    @property
    def error(self) -> float | None:
        """Simulated over published, less one."""
        return None if self.simulated is None else self.simulated / self.entry.value - 1


@cache
def testbed_rates() -> tuple[TestbedRate, ...]:
    """Return all rows that come with edgesim."""
    text = files("edgesim.data").joinpath("published_testbeds.yaml").read_text(encoding="utf-8")
    rows: list[Mapping[str, Any]] = YAML(typ="safe", pure=True).load(text)
    return tuple(TestbedRate.model_validate(row) for row in rows)


def runs() -> Iterator[Run]:
    """Simulate every row, one replication each."""
    for entry in testbed_rates():
        yield _run(entry)


def _run(entry: TestbedRate) -> Run:
    try:
        prepared = _prepared(entry)
    except InputError as error:
        return Run(entry, None, str(error))
    name, scale = _METRICS[entry.metric]
    with TemporaryDirectory(prefix="edgesim-") as folder:
        trace: Trace = runner.run(prepared, Path(folder) / "trace")
        (one,) = summaries(trace)
        value = one.metrics()[name]
    return Run(entry, None if value is None else scale * value)


def _prepared(entry: TestbedRate) -> Prepared:
    asked = load(entry.scenario, [*entry.overrides, "replications=1"])
    return runner.prepare(asked, only=(entry.strategy,))
