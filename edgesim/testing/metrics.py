"""Conformance test for metrics."""

from __future__ import annotations

import math
import warnings

import numpy as np
import pandas as pd

from edgesim import plugins
from edgesim.errors import InputError
from edgesim.statistics.metric import METRIC_GROUP, SHARE, Metric, Observed
from edgesim.statistics.window import Window
from edgesim.trace.schema import TABLES

__all__ = ["check_metric"]


def check_metric(metric: Metric) -> None:
    """Check that a metric satisfies its contract, on small traces.

    Its name, unit and title must agree, and its name must not be one of edgesim's own. Its value must be None
    or a number within the range of its unit, on traces in which all requests were completed, some failed or
    were censored, none counts, and none arrived; it must be defined if all were completed. The value must be
    reproducible, and the trace must not be modified.

    Raises
    ------
    AssertionError
        With a sentence that states the violation and the trace.
    """
    assert isinstance(metric, Metric), f"{metric!r} is not an object of {METRIC_GROUP.known_as}"
    where = f"metric {metric.name!r}"
    try:
        if METRIC_GROUP.check is not None:
            METRIC_GROUP.check(metric)
    except InputError as error:
        raise AssertionError(str(error)) from None
    own = (plugins.load(METRIC_GROUP, name) for name in plugins.own_names(METRIC_GROUP))
    assert metric.name not in {one.name for entry in own for one in entry.metrics}, (
        f"{where} is the name of one of edgesim's own; choose another"
    )
    assert metric.of is not None, f"{where} has no function 'of' to compute it; write of(run)"
    for name, run in _runs().items():
        value = _value(f"{where} on a trace of which {name}", metric, run)
        assert value is not None or name != "all were completed", (
            f"{where} is undefined on a trace of which all were completed"
        )


def _value(where: str, metric: Metric, run: Observed) -> float | None:
    assert metric.of is not None
    tables = run.requests.copy(deep=True), run.devices.copy(deep=True)
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        try:
            found, again = metric.of(run), metric.of(run)
        except Exception as error:
            raise AssertionError(f"{where}: {type(error).__name__}: {error}") from error
    assert found is None or isinstance(found, int | float), f"{where} is {found!r}; expected a number or None"
    assert found == again, f"{where} is {found}, and {again} when computed again"
    for before, after in zip(tables, (run.requests, run.devices), strict=True):
        assert before.equals(after), f"{where} changes the trace's tables; use copies"
    most = 1.0 if metric.unit == SHARE else math.inf
    assert found is None or (math.isfinite(found) and metric.least <= found <= most), (
        f"{where} is {found}; expected a finite number from {metric.least:g} to {most:g}, or None"
    )
    return None if found is None else float(found)


def _runs() -> dict[str, Observed]:
    whole = _run(["completed"] * 6)
    mixed = _run(["completed", "failed", "censored", "completed", "completed", "failed"])
    return {
        "all were completed": whole,
        "some failed or were cut off": mixed,
        "none counts": _run(["completed"] * 6, counts=False),
        "none came": _run([]),
    }


def _run(outcomes: list[str], *, counts: bool = True) -> Observed:
    """A trace by hand: a request every second, its first token 0.3 s and its end 1 s after it."""
    n = len(outcomes)
    at_s = np.arange(n, dtype=float)
    is_done = np.array([outcome == "completed" for outcome in outcomes], dtype=bool)
    requests = _empty("requests", n).assign(
        request_id=np.arange(n),
        source=["phone-0"] * n,
        arrived_at_s=at_s,
        first_token_at_s=np.where(is_done, at_s + 0.3 + 0.01 * at_s, np.nan),
        ended_at_s=np.where([outcome == "censored" for outcome in outcomes], np.nan, at_s + 1.0),
        n_prompt_tokens=16,
        n_output_tokens=8,
        n_emitted_tokens=np.where(is_done, 8, 0),
        outcome=outcomes,
        energy_j=2.0,
    )
    devices = _empty("devices", 2).assign(
        device=["phone-0", "server-0"],
        group=["phone", "server"],
        kind="box",
        origin="measured",
        duration_s=10.0,
        up_s=10.0,
        busy_s=[1.0, 3.0],
        energy_compute_j=[2.0, 6.0],
        energy_tx_j=0.5,
        energy_rx_j=0.5,
        energy_idle_j=1.0,
        n_failures=0,
    )
    return Observed(
        strategy="checked",
        replication=0,
        requests=requests,
        devices=devices,
        counts=np.full(n, counts),
        warmup_s=0.0,
        horizon_s=None,
        ended_at_s=10.0 if n else None,
        window=Window(0.0, 10.0) if n else None,
    )


def _empty(table: str, n_rows: int) -> pd.DataFrame:
    """Return a table of the trace with all values missing."""
    kinds = {c.name: "object" if "string" in str(c.type) else "float64" for c in TABLES[table]}
    return pd.DataFrame({name: pd.Series([None] * n_rows, dtype=kind) for name, kind in kinds.items()})
