"""The one table of metrics: edgesim's own and anybody's, and what is broken is left out and named."""

from __future__ import annotations

from dataclasses import replace

import pandas as pd
import pytest

from edgesim import plugins
from edgesim.errors import InputError
from edgesim.report.listings import metric_names
from edgesim.statistics import summary
from edgesim.statistics.comparison import compare
from edgesim.statistics.metric import METRIC_GROUP, METRICS, Family, Metric, MetricTable
from edgesim.testing import check_metric
from edgesim.testing.metrics import _runs


def longest_wait_s(run):
    wait_s = (run.requests["first_token_at_s"] - run.requests["arrived_at_s"])[run.counts].dropna()
    return float(wait_s.max()) if len(wait_s) else None


OWN = Metric(
    name="ttft_most_s",
    title="TTFT at most",
    meaning="the longest time to first token",
    unit="s",
    is_better_low=True,
    of=longest_wait_s,
)


def table(**more: Metric | Family | InputError) -> MetricTable:
    return MetricTable(lambda: {**more, **plugins.discover_all(METRIC_GROUP)})


def test_edgesims_own_come_first_and_in_order() -> None:
    names = list(table(aaa=OWN))
    assert names[:4] == ["ttft_mean_s", "ttft_p50_s", "ttft_p95_s", "ttft_p99_s"]
    assert names[16:] == [
        "output_tokens_per_s", "requests_per_s", "goodput_per_s", "attainment", "active_j_per_token",
        "asker_j_per_token", "total_j_per_token", "perplexity", "accuracy", "ttft_most_s",
    ]  # fmt: skip
    assert METRICS["perplexity"].least == 1.0
    assert {name for name, one in METRICS.items() if one.unit == "share"} == {"attainment", "accuracy"}


def test_tables_and_pages_follow_it() -> None:
    named = {name: one for name, one in metric_names.METRICS.items() if name not in metric_names.COUNTS}
    assert list(named) == list(METRICS)
    for name, one in METRICS.items():
        assert (named[name].title, named[name].is_better_low) == (one.title, one.is_better_low)


def test_what_is_broken_is_left_out_and_named() -> None:
    known = table(
        gone=InputError("metric 'gone' cannot be loaded: no licence"),
        again=replace(OWN, name="accuracy", unit="share"),
        empty=replace(OWN, of=None),
        good=OWN,
    )
    assert known["ttft_most_s"] is OWN
    assert known["accuracy"] is METRICS["accuracy"]
    assert len(known) == len(METRICS) + 1
    assert known.broken["gone"] == "metric 'gone' cannot be loaded: no licence"
    assert "'again' defines 'accuracy', which is the name of another metric" in known.broken["again"]
    assert "'empty' has no function 'of'" in known.broken["empty"]


@pytest.mark.parametrize(
    ("change", "sentence"),
    [
        ({"name": "Most"}, "small letters"),
        ({"title": ""}, "has no title"),
        ({"unit": "1/s"}, "ends with _s"),
        ({"name": "most"}, "ends with _s"),
        ({"least": -1.0}, "expected 0 or more"),
        ({"of": lambda: 1.0}, r"write of\(run\)"),
    ],
)
def test_a_metric_that_contradicts_itself_is_refused(change, sentence) -> None:
    assert METRIC_GROUP.check is not None
    with pytest.raises(InputError, match=sentence):
        METRIC_GROUP.check(replace(OWN, **change))
    with pytest.raises(AssertionError, match=sentence):
        check_metric(replace(OWN, **change))


def changing(run):
    run.requests["energy_j"] = 1.0
    return 1.0


CALLS = iter(range(1000))


@pytest.mark.parametrize(
    ("of", "sentence"),
    [
        (lambda run: -1.0, "expected a finite number from 0"),
        (lambda run: float("nan"), "expected a finite number|computed again"),
        (lambda run: 1 / len(run.requests), "ZeroDivisionError"),
        (lambda run: None, "undefined on a trace of which all were completed"),
        (lambda run: "1", "expected a number or None"),
        (lambda run: float(next(CALLS)), "computed again"),
        (changing, "changes the trace's tables"),
    ],
)
def test_the_checker_names_what_is_wrong(of, sentence) -> None:
    with pytest.raises(AssertionError, match=sentence):
        check_metric(replace(OWN, of=of))


def test_a_good_metric_passes_and_a_taken_name_does_not() -> None:
    check_metric(OWN)
    with pytest.raises(AssertionError, match="name of one of edgesim's own"):
        check_metric(replace(OWN, name="e2e_mean_s"))


def summarised(requests: pd.DataFrame, devices: pd.DataFrame) -> summary.Summary:
    return summary.summarise(requests, devices, None, strategy="a", replication=0)


def test_it_is_in_the_summary_and_the_comparison(monkeypatch: pytest.MonkeyPatch) -> None:
    run = _runs()["all were completed"]
    requests = run.requests.sample(frac=1.0, random_state=1)
    share = replace(OWN, name="some", unit="share", of=lambda run: 0.5)
    with_own = table(good=OWN, share=share)
    monkeypatch.setattr(summary, "METRICS", with_own)
    one = summarised(requests, run.devices)
    assert one.metrics()["ttft_most_s"] == pytest.approx(0.35)
    assert list(one.metrics()) == list(with_own)
    (row,) = compare([one]).rows
    assert row.estimates["ttft_most_s"] is not None
    assert row.estimates["ttft_most_s"].mean == pytest.approx(0.35)


def test_one_that_fails_costs_a_warning_and_its_number_alone(monkeypatch: pytest.MonkeyPatch) -> None:
    def falls_over(run):
        raise KeyError("column")

    run = _runs()["all were completed"]
    monkeypatch.setattr(summary, "METRICS", table(bad=replace(OWN, of=falls_over)))
    with pytest.warns(
        UserWarning, match="metric 'ttft_most_s' cannot be computed, and is left out: KeyError"
    ):
        one = summarised(run.requests, run.devices)
    assert one.metrics()["ttft_most_s"] is None
    assert one.metrics()["e2e_mean_s"] == pytest.approx(1.0)
    monkeypatch.setattr(summary, "METRICS", table(bad=replace(OWN, of=lambda run: 1.0, least=2.0)))
    with pytest.warns(UserWarning, match="is 1.0, and is left out; expected 2 to inf"):
        summarised(run.requests, run.devices)
