"""What is drawn, against slow loops: distributions, coverage of time, fronts, and means with their bands."""

from __future__ import annotations

import itertools
import math

import numpy as np
import pandas as pd
import pytest
from scipy import stats

from edgesim.errors import InputError
from edgesim.report.listings.listing import estimated
from edgesim.report.plots.axes import split_number, swept
from edgesim.report.plots.distribution import curve, distribution, pooled
from edgesim.report.plots.front import best
from edgesim.report.plots.lines import lines, points
from edgesim.report.plots.not_drawn import not_drawn
from edgesim.report.plots.series import busy_shares, covered_s, disjoint, in_flight
from edgesim.report.plots.swept_traces import swept_traces
from edgesim.statistics.survival import answered_share, percentiles
from edgesim.trace.reader import Trace


def kaplan_meier(values: list[float], censored: list[float], n_never: int) -> list[tuple[float, float]]:
    """By the product over distinct times, as in the paper (Kaplan and Meier 1958, equation 2b)."""
    found, survival = [], 1.0
    for time in sorted(set(values)):
        at_risk = sum(v >= time for v in values) + sum(c >= time for c in censored) + n_never
        survival *= 1 - values.count(time) / at_risk
        found.append((time, 1 - survival))
    return found


def test_the_curve_is_kaplan_and_meiers_product() -> None:
    rng = np.random.default_rng(5)
    for n_never in (0, 3):
        values = rng.integers(1, 12, 40).astype(float)  # with ties
        censored = rng.integers(1, 14, 15).astype(float)
        times_s, shares = answered_share(values, censored, n_never)
        last = dict(zip(times_s.tolist(), shares.tolist(), strict=True))
        expected = kaplan_meier(values.tolist(), censored.tolist(), n_never)
        assert list(last) == [time for time, _ in expected]
        assert list(last.values()) == pytest.approx([share for _, share in expected], abs=1e-12)


def test_without_censoring_the_curve_is_the_empirical_distribution() -> None:
    values = np.array([3.0, 1.0, 2.0, 2.0])
    times_s, shares = answered_share(values, np.empty(0), 1)
    assert times_s.tolist() == [1.0, 2.0, 2.0, 3.0]
    assert shares.tolist() == pytest.approx([0.2, 0.4, 0.6, 0.8])


def test_what_is_drawn_is_the_traces_own_distribution(trace: Trace) -> None:
    for strategy in trace.strategies:
        sample = pooled(trace, strategy, "e2e")
        requests = pd.concat([trace.requests(strategy, r) for r in trace.replications(strategy)])
        requests = requests[requests["arrived_at_s"] < 6.0]
        assert sample.n == len(requests)
        done = requests[requests["outcome"] == "completed"]
        latency_s = (done["ended_at_s"] - done["arrived_at_s"]).to_numpy(float)
        assert np.sort(sample.values_s) == pytest.approx(np.sort(latency_s))
        times_s, shares, last_s = curve(sample)
        (median_s,) = percentiles(sample.values_s, sample.censored_s, sample.n_never, (0.5,))
        assert median_s is not None
        assert times_s[np.searchsorted(shares, 0.45)] <= median_s <= times_s[np.searchsorted(shares, 0.55)]
        assert last_s >= times_s[-1]
    (panel,) = distribution({"street": trace}).axes
    drawn = {line.get_label(): line for line in panel.get_lines()}
    for strategy in trace.strategies:
        times_s, shares, _ = curve(pooled(trace, strategy, "e2e"))
        assert set(times_s) <= set(drawn[strategy].get_xdata())
        assert max(drawn[strategy].get_ydata()) == pytest.approx(shares[-1])


def test_time_covered_is_what_a_fine_grid_sees() -> None:
    rng = np.random.default_rng(2)
    starts = rng.uniform(0, 9, 30).round(2)
    ends = (starts + rng.exponential(1.0, 30)).round(2)
    ends[:2] = np.inf
    edges = np.array([0.0, 1.0, 2.5, 7.0, 10.0])
    step = 0.005
    middles = np.arange(step / 2, 10.0, step)
    inside = (starts[:, None] <= middles) & (middles < ends[:, None])
    where = np.searchsorted(edges, middles) - 1
    together = np.array([step * inside[:, where == i].sum() for i in range(4)])
    assert covered_s(starts, ends, edges) == pytest.approx(together, abs=30 * step)
    apart = np.array([step * inside[:, where == i].any(axis=0).sum() for i in range(4)])
    merged = disjoint(starts, ends)
    assert (merged[0][1:] > merged[1][:-1]).all()
    assert covered_s(*merged, edges) == pytest.approx(apart, abs=30 * step)


def test_busy_shares_are_the_devices_own(trace: Trace) -> None:
    for strategy in trace.strategies:
        devices = trace.devices(strategy, 0)
        lasted_s = float(devices["duration_s"].max())
        edges = np.linspace(0.0, lasted_s, 8)
        shares = busy_shares(trace, strategy, 0, edges)
        for group, own in devices[devices["origin"].notna()].groupby("group", observed=True):
            expected = float((own["busy_s"] / own["duration_s"]).mean())
            assert shares[str(group)].mean() == pytest.approx(expected, abs=1e-9)
        flying = in_flight(trace, strategy, 0, edges)
        requests = trace.requests(strategy, 0)
        age_s = requests["ended_at_s"].fillna(lasted_s) - requests["arrived_at_s"]
        assert flying.mean() * lasted_s == pytest.approx(float(age_s.sum()))  # Little's law, for any run


def test_a_front_holds_what_nothing_beats() -> None:
    rng = np.random.default_rng(3)
    drawn = [tuple(map(float, pair)) for pair in rng.integers(0, 8, (25, 2))]
    for low_x, low_y in itertools.product((True, False), repeat=2):

        def beats(a: tuple[float, float], b: tuple[float, float], x: bool = low_x, y: bool = low_y) -> bool:
            as_good = (a[0] <= b[0] if x else a[0] >= b[0]) and (a[1] <= b[1] if y else a[1] >= b[1])
            return as_good and a != b

        expected = {one for one in drawn if not any(beats(other, one) for other in drawn)}
        assert set(best(drawn, low_x=low_x, low_y=low_y)) == expected
    assert best(drawn, low_x=None, low_y=True) == []


RESULTS = pd.DataFrame(
    {
        "rate": ["1 Hz"] * 6 + ["2 Hz"] * 6,
        "strategy": (["a"] * 3 + ["b"] * 3) * 2,
        "replication": [0, 1, 2] * 4,
        "e2e_mean_s": [1.0, 2.0, 3.0, 2.0, 4.0, 6.0, 2.0, 2.0, 2.0, 5.0, math.nan, 7.0],
    }
)
AXES = {"rate": ("1 Hz", "2 Hz")}


def test_bands_are_students_on_the_logarithm_and_ratios_are_paired() -> None:
    found = points(RESULTS, "rate", AXES["rate"], "e2e_mean_s")
    first = found["a"][0]
    t = stats.t.ppf(0.975, 2)
    assert first.mean == pytest.approx(2.0)
    assert first.high == pytest.approx(2.0 * math.exp(t * math.sqrt(1.0 / 3.0) / 2.0))
    assert found["b"][1].mean is None  # unknown in one replication
    ratios = points(RESULTS, "rate", AXES["rate"], "e2e_mean_s", against="a")
    assert ratios["b"][0].mean == pytest.approx(2.0)
    assert ratios["b"][0].low == pytest.approx(2.0)  # the same in each pair, however much both scatter
    assert ratios["b"][1].mean is None


def test_lines_are_drawn_over_the_swept_numbers() -> None:
    (panel,) = lines(RESULTS, AXES).axes
    drawn = {line.get_label(): line for line in panel.get_lines()}
    assert drawn["a"].get_xdata().tolist() == [1.0, 2.0]
    assert drawn["a"].get_ydata().tolist() == [2.0, 2.0]
    assert panel.get_xlabel() == "rate, Hz"
    with pytest.raises(InputError, match="--x: the sweep has no axis 'rates'"):
        lines(RESULTS, AXES, x="rates")
    with pytest.raises(InputError, match="no such value; there are 1 Hz, 2 Hz"):
        lines(RESULTS.assign(n=1), {**AXES, "n": (1,)}, x="n", fixed={"rate": "3 Hz"})


def test_a_point_without_a_known_neighbour_has_an_interval_of_its_own() -> None:
    from matplotlib.collections import LineCollection

    rates = ("1 Hz", "2 Hz", "3 Hz", "4 Hz")
    values = {"1 Hz": (1.0, 2.0), "2 Hz": (math.nan, 1.0), "3 Hz": (3.0, 5.0), "4 Hz": (4.0, 6.0)}
    rows = [(rate, "a", at, one) for rate in rates for at, one in enumerate(values[rate])]
    results = pd.DataFrame(rows, columns=["rate", "strategy", "replication", "e2e_mean_s"])
    (panel,) = lines(results, {"rate": rates}).axes
    (upright,) = [each for each in panel.collections if isinstance(each, LineCollection)]
    point = points(results, "rate", rates, "e2e_mean_s")["a"][0]
    assert [each.tolist() for each in upright.get_segments()] == [[[1.0, point.low], [1.0, point.high]]]


def test_what_is_unknown_is_marked_where_the_strategy_is_known_elsewhere() -> None:
    (panel,) = lines(RESULTS, AXES).axes
    marks = [line for line in panel.get_lines() if line.get_marker() == "^" and len(line.get_xdata()) == 1]
    known = {line.get_label(): line for line in panel.get_lines()}
    (mark,) = [line for line in marks if line.get_transform() == panel.get_xaxis_transform()]
    assert (mark.get_xdata()[0], mark.get_color()) == (2.0, known["b"].get_color())
    only = RESULTS[RESULTS["rate"] == "2 Hz"]
    (panel,) = lines(only, {"rate": ("2 Hz",)}).axes
    assert not any(line.get_transform() == panel.get_xaxis_transform() for line in panel.get_lines())


def test_what_is_not_drawn_is_said_with_its_reason() -> None:
    counted = RESULTS.assign(offered=9, completed=8, failed=0, censored=1)
    rows = estimated(counted, ["rate"])
    why = "(requests without a known end)"
    assert not_drawn(rows, [("e2e_mean_s",)]) == [f"unknown and not drawn: b at 2 Hz {why}"]
    assert not_drawn(rows, [("e2e_mean_s",)], against="b") == [
        f"unknown and not drawn: a at 2 Hz, b at 2 Hz {why}"
    ]
    known = [row for row in rows if row.strategy == "a"]
    assert not_drawn(known, [("e2e_mean_s",)]) == []
    assert not_drawn(known, [("e2e_mean_s",), ("e2e_mean_s", "accuracy")]) == [
        f"accuracy against e2e_mean_s: unknown and not drawn: a at 1 Hz, a at 2 Hz {why}"
    ]


def test_axes_swept_in_step_have_one_panel_and_a_grid_one_per_value() -> None:
    zipped = RESULTS.assign(model=RESULTS["rate"].map({"1 Hz": "small", "2 Hz": "large"}))
    axes = {**AXES, "model": ("small", "large")}
    assert [panel.get_title() for panel in lines(zipped, axes).axes] == [""]
    grid = pd.concat([RESULTS.assign(model="small"), RESULTS.assign(model="large")])
    assert [panel.get_title() for panel in lines(grid, axes).axes] == ["model small", "model large"]
    # One rate stands for two models: no line may join these.
    twice = pd.concat([zipped, RESULTS[RESULTS["rate"] == "1 Hz"].assign(model="large")])
    assert len(lines(twice, axes).axes) == 2


def test_traces_that_differ_in_one_value_are_a_sweep(trace: Trace, busier: Trace) -> None:
    results, axes = swept_traces({"busier": busier, "street": trace}, "workload.arrivals.poisson")
    assert axes == {"poisson": ("4 Hz", "8 Hz")}
    assert len(results) == 2 * 2 * 2
    assert set(results["poisson"]) == {"4 Hz", "8 Hz"}
    with pytest.raises(InputError, match="expected traces that differ there"):
        swept_traces({"busier": busier, "street": trace}, "model.architecture")
    with pytest.raises(InputError, match="has no 'archit'"):
        swept_traces({"street": trace}, "model.archit")


def test_values_of_an_axis_are_numbers_where_all_have_one_unit() -> None:
    assert split_number("0.5 Hz") == (0.5, "Hz")
    assert split_number("1e-3") == (0.001, "")
    assert split_number(True) is None
    assert split_number("5 ms and more") == (5.0, "ms and more")
    assert swept(["1 Hz", "100 Hz"]).is_log
    assert swept(["1 Hz", "1 kHz"]).names == ("1 Hz", "1 kHz")  # no one unit: as names
    assert swept(["even", "throughput"]).places == {"even": 0.0, "throughput": 1.0}
