"""Laws of the requests table: outcomes, instants and tokens."""

from __future__ import annotations

from functools import partial

import numpy as np

from edgesim.trace.laws.law import RELATIVE, RowLaw, RunContext
from edgesim.trace.laws.rows import UNKNOWN, BoolArray, Rows
from edgesim.trace.schema import Outcome

__all__ = ["REQUEST_LAWS", "is_repeated"]


def is_repeated(ids: np.ndarray) -> BoolArray:
    """Whether each id has occurred in an earlier row."""
    again = np.ones(len(ids), dtype=bool)
    again[np.unique(ids, return_index=True)[1]] = False
    return again


def _beyond(column: str, rows: Rows, there: RunContext) -> BoolArray:
    return rows.floats(column) > there.duration_s * (1.0 + RELATIVE)


def _has_end(rows: Rows, there: RunContext) -> BoolArray:
    del there
    found: BoolArray = rows.is_null("ended_at_s") != rows.named("outcome", Outcome.CENSORED)
    return found


def _ends_early(rows: Rows, there: RunContext) -> BoolArray:
    del there
    # Comparisons with missing values (NaN) are false.
    ended_at_s = rows.floats("ended_at_s")
    return (ended_at_s < rows.floats("first_token_at_s")) | (ended_at_s < rows.floats("arrived_at_s"))


def _is_complete(rows: Rows, there: RunContext) -> BoolArray:
    del there
    has_all = rows.ints("n_emitted_tokens") == rows.ints("n_output_tokens")
    found: BoolArray = rows.named("outcome", Outcome.COMPLETED) & ~has_all
    return found


def _fails_with_all(rows: Rows, there: RunContext) -> BoolArray:
    del there
    has_all = rows.ints("n_emitted_tokens") == rows.ints("n_output_tokens")
    found: BoolArray = rows.named("outcome", Outcome.FAILED) & has_all
    return found


def _is_judged_unmeasured(column: str, rows: Rows, there: RunContext) -> BoolArray:
    quality = there.run.get("quality", {})  # null where answers are not measured
    if column == "mean_exit_block" and quality and "exits" in quality:
        quality = quality["exits"]
    return ~rows.is_null(column) & (quality is None)


def _has_reason(rows: Rows, there: RunContext) -> BoolArray:
    del there
    is_null = rows.is_null("reason")
    failed, completed = (rows.named("outcome", one) for one in (Outcome.FAILED, Outcome.COMPLETED))
    return (failed & is_null) | (completed & ~is_null)


def _has_wrong_energy(rows: Rows, there: RunContext) -> BoolArray:
    found: BoolArray = rows.is_null("energy_j") == there.keeps_spans
    return found


def _lacks_beyond(rows: Rows, there: RunContext) -> BoolArray:
    del there
    is_judged = ~(rows.is_null("correct") & rows.is_null("nll"))
    return is_judged & rows.is_null("beyond_measured")


def _judged_without_tokens(column: str, rows: Rows, there: RunContext) -> BoolArray:
    del there
    found: BoolArray = (rows.ints("n_emitted_tokens") == 0) & ~rows.is_null(column)
    return found


_EMITTED, _ANSWERS = "requests.n_emitted_tokens", ("correct", "nll", "beyond_measured")

REQUEST_LAWS: tuple[RowLaw, ...] = (
    RowLaw(
        "requests.request_id",
        "a unique number",
        breaks=lambda rows, there: is_repeated(rows.ints("request_id")),
    ),
    RowLaw(
        "requests.source",
        "a device of the devices table",
        ("devices.device",),
        breaks=lambda rows, there: there.device_of(rows, "source") == UNKNOWN,
    ),
    *(
        RowLaw(
            f"requests.{column}",
            "an instant within the run",
            ("devices.duration_s",),
            breaks=partial(_beyond, column),
        )
        for column in ("arrived_at_s", "first_token_at_s", "ended_at_s")
    ),
    RowLaw(
        "requests.first_token_at_s",
        "null if, and only if, no token was delivered",
        (_EMITTED,),
        breaks=lambda rows, there: rows.is_null("first_token_at_s") != (rows.ints("n_emitted_tokens") == 0),
    ),
    RowLaw(
        "requests.first_token_at_s",
        "no earlier than arrived_at_s",
        ("requests.arrived_at_s",),
        breaks=lambda rows, there: rows.floats("first_token_at_s") < rows.floats("arrived_at_s"),
    ),
    RowLaw(
        "requests.ended_at_s",
        "no earlier than arrived_at_s and first_token_at_s",
        ("requests.arrived_at_s", "requests.first_token_at_s"),
        breaks=_ends_early,
    ),
    RowLaw(
        "requests.ended_at_s",
        "null if, and only if, the outcome is censored",
        ("requests.outcome",),
        breaks=_has_end,
    ),
    RowLaw(
        "requests.n_emitted_tokens",
        "no more than n_output_tokens",
        ("requests.n_output_tokens",),
        breaks=lambda rows, there: rows.ints("n_emitted_tokens") > rows.ints("n_output_tokens"),
    ),
    RowLaw(
        "requests.outcome",
        "completed only where all tokens were delivered",
        (_EMITTED, "requests.n_output_tokens"),
        breaks=_is_complete,
    ),
    RowLaw(
        "requests.outcome",
        "failed only where a token was not delivered",
        (_EMITTED, "requests.n_output_tokens"),
        breaks=_fails_with_all,
    ),
    RowLaw(
        "requests.reason",
        "a reason if it failed, and none if it completed",
        ("requests.outcome",),
        breaks=_has_reason,
    ),
    RowLaw(
        "requests.energy_j",
        "a number where spans were kept, else null",
        breaks=_has_wrong_energy,
    ),
    RowLaw(
        "requests.beyond_measured",
        "a value where answers are measured",
        ("requests.correct", "requests.nll"),
        breaks=_lacks_beyond,
    ),
    *(
        RowLaw(
            f"requests.{column}",
            "null where no token was delivered",
            (_EMITTED,),
            breaks=partial(_judged_without_tokens, column),
        )
        for column in _ANSWERS
    ),
    *(
        RowLaw(
            f"requests.{column}",
            "null, as run.json says that this was not measured",
            breaks=partial(_is_judged_unmeasured, column),
        )
        for column in (*_ANSWERS, "mean_exit_block")
    ),
)
