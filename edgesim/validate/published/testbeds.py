"""Published rates of testbeds that shipped scenarios model, each compared with a new simulation."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from functools import cache
from importlib.resources import files
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Annotated, Any, Literal

import numpy as np
from pydantic import Field
from ruamel.yaml import YAML

from edgesim import runner
from edgesim.errors import InputError
from edgesim.runner import Prepared
from edgesim.scenario.load import load
from edgesim.scenario.runtimes import has_parameter_set
from edgesim.scenario.text.section import Section
from edgesim.validate.published.leave_one_out import COVERAGE

__all__ = ["PublishedTestbed", "Run", "published_testbeds", "simulate_all", "simulated"]

N_SETS = 40
"""Parameter sets behind an interval."""


class PublishedTestbed(Section):
    """A published rate, and the shipped scenario that reproduces it."""

    scenario: str
    """Name of the shipped scenario."""
    strategy: str
    """Label of the strategy."""
    set: tuple[str, ...] = ()
    """Changes to the scenario, as on the command line."""
    model: str | None = None
    """Model that replaces the scenario's."""
    label: str
    """Description of the row."""
    metric: Literal["ms/token", "tokens/s"]
    """Unit of the published value."""
    value: Annotated[float, Field(gt=0)]
    """The published value."""
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
    """A published rate and that of the simulated testbed.

    Attributes
    ----------
    simulated
        In the published unit; None where the scenario cannot be run.
    middle_90
        Central 90 % over sets of the parameters that are fitted to published rates; None without a `runtime`.
    refused
        The reason why it cannot.
    """

    entry: PublishedTestbed
    simulated: float | None
    middle_90: tuple[float, float] | None = None
    refused: str = ""

    @property
    def error(self) -> float | None:
        """Simulated over published, less one; None where not simulated."""
        return None if self.simulated is None else self.simulated / self.entry.value - 1


@cache
def published_testbeds() -> tuple[PublishedTestbed, ...]:
    """Return all rows shipped with edgesim."""
    text = files("edgesim.data").joinpath("published_testbeds.yaml").read_text(encoding="utf-8")
    rows: list[Mapping[str, Any]] = YAML(typ="safe", pure=True).load(text)
    return tuple(PublishedTestbed.model_validate(row) for row in rows)


def simulate_all() -> Iterator[Run]:
    """Simulate every row, with one replication each."""
    for entry in published_testbeds():
        yield simulated(entry)


def simulated(entry: PublishedTestbed) -> Run:
    """Simulate a row, with one replication."""
    try:
        prepared = _prepared(entry)
    except InputError as error:
        return Run(entry, None, refused=str(error))
    found = _rate(entry, prepared)
    if not has_parameter_set(prepared.kinds):
        return Run(entry, found)
    drawn = [_rate(entry, prepared.with_parameters(index, N_SETS)) for index in range(N_SETS)]
    low, high = np.quantile(drawn, [(1 - COVERAGE) / 2, (1 + COVERAGE) / 2], method="weibull")
    return Run(entry, found, (float(low), float(high)))


def _rate(entry: PublishedTestbed, prepared: Prepared) -> float:
    """Return the simulated rate in the published unit."""
    with TemporaryDirectory(prefix="edgesim-") as folder:
        requests = runner.run(prepared, Path(folder) / "trace").requests(entry.strategy, 0)
    if entry.metric == "tokens/s":  # of all requests, from time zero to the last token
        return float(requests["n_emitted_tokens"].sum() / requests["ended_at_s"].max())
    per_token_s = (requests["ended_at_s"] - requests["first_token_at_s"]) / (requests["n_emitted_tokens"] - 1)
    return 1e3 * float(per_token_s.median())


def _prepared(entry: PublishedTestbed) -> Prepared:
    asked = load(entry.scenario, [*entry.overrides, "replications=1", "warmup=0 s"])
    return runner.prepare(asked, only=(entry.strategy,))
