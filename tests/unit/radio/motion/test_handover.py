"""Event A3 against a literal reading of it, measurement by measurement, and crossings worked out by hand."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from edgesim.errors import InputError
from edgesim.radio.motion.handover import A3, ServingCell, handovers

CELLS = ("west", "east")


def crossing(cell, times_s):
    """East gains on west by 2 dB a second, and is as strong at 10 s."""
    return np.where(cell == "east", 2.0, 0.0) * (times_s - 10.0)


def table(rows_dbm, period_s):
    """Powers from a table of one row a measurement; the last row holds on."""
    rows = np.asarray(rows_dbm, dtype=float)

    def measure(cell, times_s):
        numbers = np.minimum(np.rint(times_s / period_s).astype(int), len(rows) - 1)
        return rows[numbers, int(cell)]

    return measure


def literally(rows_dbm, rule, n_rows):
    """A3 as it reads: entered at every measurement of the last time to trigger, since the last handover."""
    serving, since, found = int(np.argmax(rows_dbm[0])), 0, []
    for now in range(n_rows):
        triggered = []
        for cell in range(len(rows_dbm[0])):
            window = range(now - rule.n_to_trigger, now + 1)
            rows = [rows_dbm[min(n, len(rows_dbm) - 1)] for n in window if n >= since]
            if len(rows) <= rule.n_to_trigger or cell == serving:
                continue
            if all(row[cell] > row[serving] + rule.margin_db for row in rows):
                triggered.append((rows[-1][cell], -cell))
        if triggered and now >= since:
            target = -max(triggered)[1]
            found.append((now, serving, target))
            serving = target
            since = now + 1 + rule.n_interrupted
    return found


def test_a_crossing_hands_over_when_the_margin_has_held_for_the_time_to_trigger() -> None:
    # The margin of 3 dB is passed after 11.5 s: first measured at 11.52 s, triggered 160 ms later.
    (change,) = handovers(crossing, CELLS, A3(), until_s=100.0)
    assert change == (pytest.approx(11.68), "west", "east", 0.04)
    assert change.ends_at_s == pytest.approx(11.72)


def test_the_serving_cell_is_a_function_of_time() -> None:
    serving = ServingCell(crossing, CELLS, A3(interruption_s=0.05))
    for at_s in (500.0, 11.67, 11.68, 11.7, 0.0):
        assert serving.cell(at_s) == ("east" if at_s >= 11.68 else "west")
    assert serving.ready_s(11.6) == 11.6
    assert serving.ready_s(11.7) == pytest.approx(11.73)
    assert serving.ready_s(11.8) == 11.8
    assert serving.next_handover(0.0, 11.6) is None
    assert serving.next_handover(0.0, 11.69).target == "east"
    assert serving.next_handover(11.69, 1e4) is None


def test_hysteresis_keeps_a_terminal_from_going_to_and_fro() -> None:
    def wavering(cell, times_s):
        return np.where(cell == "east", 2.0, 0.0) * np.sin(times_s)

    assert handovers(wavering, CELLS, A3(), until_s=62.0) == ()
    changes = handovers(wavering, CELLS, A3(hysteresis_db=1.0), until_s=62.0)
    assert [change.target for change in changes] == [
        "east",
        "west",
    ] * 10  # once each way in each of 9.9 periods


@given(
    rows=st.lists(st.tuples(*[st.integers(-6, 6)] * 3), min_size=1, max_size=60),
    hysteresis=st.sampled_from([0.0, 2.0, 3.0]),
    n_to_trigger=st.integers(0, 4),
    n_interrupted=st.integers(0, 3),
)
def test_it_is_the_event_as_it_reads(rows, hysteresis, n_to_trigger, n_interrupted) -> None:
    period_s = 0.25  # exact in floating point
    rule = A3(
        hysteresis_db=hysteresis,
        time_to_trigger_s=n_to_trigger * period_s,
        interruption_s=(n_interrupted + 1) * period_s,
        period_s=period_s,
    )
    found = handovers(table(rows, period_s), ("0", "1", "2"), rule, until_s=80 * period_s)
    told = [(change.at_s / period_s, int(change.source), int(change.target)) for change in found]
    assert told == literally(rows, rule, 81)


def test_the_layer_3_filter_delays_and_keeps_its_time_constant() -> None:
    def step(cell, times_s):
        return np.where(times_s >= 10.0, 10.0, -10.0) * (1.0 if cell == "east" else 0.0)

    # From -10 to 10 dB: the filtered difference passes 3 dB when (1 - a)^n < 7 / 20, with a = 1/2 for k = 4
    # in 200 ms: n = 1.51 of them, 0.303 s, whatever the period.
    for period_s in (0.2, 0.04, 0.01):
        rule = A3(time_to_trigger_s=0.0, period_s=period_s, filter_coefficient=4.0)
        (change,) = handovers(step, CELLS, rule, until_s=20.0)
        n_measured = np.floor(0.3029 / period_s) + 1  # the measurement at 10 s is the first that counts
        assert change.at_s == pytest.approx(10.0 + (n_measured - 1) * period_s)
    (unfiltered,) = handovers(step, CELLS, A3(time_to_trigger_s=0.0), until_s=20.0)
    assert unfiltered.at_s == pytest.approx(10.0)


def test_who_stays_is_measured_once() -> None:
    asked = []

    def measure(cell, times_s):
        asked.append(len(times_s))
        return np.full(len(times_s), 1.0 if cell == "east" else 0.0)

    serving = ServingCell(measure, CELLS, A3(), moves=False)
    assert serving.cell(1e9) == "east"
    assert serving.is_constant
    assert asked == [1, 1]
    assert ServingCell(measure, ("west",), A3()).cell(5.0) == "west"
    assert asked == [1, 1]


def test_what_makes_no_sense_is_refused() -> None:
    with pytest.raises(InputError, match="hysteresis"):
        A3(hysteresis_db=-1.0)
    with pytest.raises(InputError, match="period"):
        A3(period_s=0.0)
    with pytest.raises(InputError, match="no cells"):
        ServingCell(crossing, ())
