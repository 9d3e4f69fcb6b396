"""Laws of the devices table: time, power and memory."""

from __future__ import annotations

import numpy as np

from edgesim.trace.laws.law import RELATIVE, RowLaw, RunContext, is_close
from edgesim.trace.laws.of_requests import is_repeated
from edgesim.trace.laws.rows import BoolArray, Rows

__all__ = ["DEVICE_LAWS"]


def _is_another_length(rows: Rows, there: RunContext) -> BoolArray:
    found: BoolArray = rows.floats("duration_s") != there.duration_s
    return found


def _is_outside_the_horizon(rows: Rows, there: RunContext) -> BoolArray:
    horizon_s, cooldown_s = there.run.get("horizon_s"), there.run.get("cooldown_s")
    if horizon_s is None:
        return np.zeros(len(rows), dtype=bool)
    last_s = horizon_s + (cooldown_s or 0.0)
    found: BoolArray = (rows.floats("duration_s") < horizon_s) | (
        rows.floats("duration_s") > last_s * (1.0 + RELATIVE)
    )
    return found


def _more(column: str, most: str, rows: Rows) -> BoolArray:
    return rows.floats(column) > rows.floats(most) * (1.0 + RELATIVE)


def _never_fails(rows: Rows, there: RunContext) -> BoolArray:
    if there.may_fail is None:
        return np.zeros(len(rows), dtype=bool)
    return ~rows.named("device", *there.may_fail)


def _works_without_times(rows: Rows, there: RunContext) -> BoolArray:
    del there
    computes = (rows.floats("busy_s") > 0.0) & ~rows.is_true("messages_on_compute")
    return computes & rows.is_null("origin")


DEVICE_LAWS: tuple[RowLaw, ...] = (
    RowLaw(
        "devices.device",
        "a unique name",
        breaks=lambda rows, there: is_repeated(rows.names("device")[0]),
    ),
    RowLaw("devices.duration_s", "the same length of the run for all devices", breaks=_is_another_length),
    RowLaw(
        "devices.duration_s",
        "a length between run.json's horizon and the end of its cooldown",
        breaks=_is_outside_the_horizon,
    ),
    RowLaw(
        "devices.up_s",
        "no more than duration_s",
        ("devices.duration_s",),
        breaks=lambda rows, there: _more("up_s", "duration_s", rows),
    ),
    RowLaw(
        "devices.up_s",
        "duration_s, as run.json does not say that it may fail",
        ("devices.duration_s",),
        breaks=lambda rows, there: (
            _never_fails(rows, there) & ~is_close(rows.floats("up_s"), rows.floats("duration_s"))
        ),
    ),
    RowLaw(
        "devices.n_failures",
        "0, as run.json does not say that it may fail",
        breaks=lambda rows, there: _never_fails(rows, there) & (rows.ints("n_failures") > 0),
    ),
    RowLaw(
        "devices.busy_s",
        "no more than up_s",
        ("devices.up_s",),
        breaks=lambda rows, there: _more("busy_s", "up_s", rows),
    ),
    RowLaw(
        "devices.origin",
        "a value where it has computed",
        ("devices.busy_s", "devices.messages_on_compute"),
        breaks=_works_without_times,
    ),
    RowLaw(
        "devices.kind",
        "a kind where it computes",
        ("devices.origin",),
        breaks=lambda rows, there: rows.is_null("kind") & ~rows.is_null("origin"),
    ),
    RowLaw(
        "devices.energy_compute_j",
        "active_w times busy_s",
        ("devices.active_w", "devices.busy_s"),
        breaks=lambda rows, there: (
            ~is_close(rows.floats("energy_compute_j"), rows.floats("active_w") * rows.floats("busy_s"))
        ),
    ),
    RowLaw(
        "devices.energy_idle_j",
        "idle_w times up_s",
        ("devices.idle_w", "devices.up_s"),
        breaks=lambda rows, there: (
            ~is_close(rows.floats("energy_idle_j"), rows.floats("idle_w") * rows.floats("up_s"))
        ),
    ),
    RowLaw(
        "devices.peak_memory_bytes",
        "no more than memory_bytes",
        ("devices.memory_bytes",),
        breaks=lambda rows, there: rows.ints("peak_memory_bytes") > rows.ints("memory_bytes"),
    ),
)
