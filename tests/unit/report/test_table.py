"""The table says what it must, at every width, and the JSON says all of it."""

from __future__ import annotations

import json
import math
import re
from dataclasses import dataclass, replace
from io import StringIO

import numpy as np
import pytest
from rich.console import Console

from edgesim.report.comparison_json import as_json
from edgesim.report.metrics import MetricsTable
from edgesim.report.notes import About
from edgesim.report.numbers import estimate_text
from edgesim.report.table import ComparisonTable
from edgesim.statistics.comparison import Comparison, compare
from edgesim.statistics.intervals import Scale, estimate_mean
from edgesim.statistics.pairs import PairedMetric, Pairs
from edgesim.statistics.requests import Outcomes
from edgesim.statistics.saturation import Growth
from edgesim.statistics.summary import Summary
from edgesim.statistics.survival import Distribution
from edgesim.statistics.window import Window


@dataclass(frozen=True)
class Limits:
    ttft_s: float | None = 2.0
    tpot_s: float | None = 0.2
    e2e_s: float | None = None


ABOUT = About(
    scenario="smart-city",
    model="tinyllama-1.1b (bfloat16)",
    n_devices=13,
    seed=7,
    warmup_s=30.0,
    horizon_s=600.0,
    objectives=Limits(),
)


def sample(mean_s: float) -> Distribution:
    return Distribution(n=100, mean=mean_s, p50=0.8 * mean_s, p95=2 * mean_s, p99=3 * mean_s)


def summary(strategy: str, replication: int, slowness: float, **other: object) -> Summary:
    slowness *= 1 + 0.02 * (replication % 3)
    base = Summary(
        strategy=strategy,
        replication=replication,
        warmup_s=30.0,
        ended_at_s=600.0,
        outcomes=Outcomes(completed=230, failed=1, censored=4),
        ttft_s=sample(0.9 * slowness),
        tpot_s=sample(0.12 * slowness),
        itl_s=sample(0.11 * slowness),
        e2e_s=sample(5.0 * slowness),
        output_tokens_per_s=12.8 / slowness,
        requests_per_s=0.39,
        goodput_per_s=0.31 / slowness,
        attainment=0.8 / slowness,
        active_j_per_token=1.3,
        total_j_per_token=14.2,
        utilisation={"camera": 0.2, "edge": 0.5},
        origins=("scaled",),
        window=Window(30.0, 600.0),
    )
    return replace(base, **other)


def comparison(n_replications: int = 5, **other: object) -> Comparison:
    # The pipeline's lead over local changes sign from one replication to the next.
    strategies = {"local": (3.0, 0.0), "offload": (1.0, 0.0), "pipeline": (2.9, 0.3)}
    return compare(
        summary(
            strategy,
            replication,
            factor * (1 + 0.1 * (strategy == "pipeline") * (-1) ** replication),
            **other,
        )
        for strategy, (factor, swing) in strategies.items()
        for replication in range(n_replications)
    )


def rendered(compared: Comparison, width: int = 100, about: About = ABOUT) -> str:
    console = Console(width=width, record=True, file=StringIO(), color_system=None)
    console.print(ComparisonTable(compared, about))
    return console.export_text()


def line_of(text: str, strategy: str) -> str:
    return next(line for line in text.splitlines() if line.split()[:1] == [strategy])


AS_INTENDED = """\
smart-city: tinyllama-1.1b (bfloat16) on 13 devices, 5 replications of 10 min, seed 7, times scaled

               TTFT s  TPOT ms              E2E s                 Δ E2E %  tokens  met  J/token  done/failed
 strategy     p50/p95      p50               mean                vs first      /s    %   active     /cut off
 ───────────────────────────────────────────────────────────────────────────────────────────────────────────
 local      2.19/5.49      293  15.2 [14.9, 15.6]                       -    4.20   26     1.30  ! 1150/5/20
 offload   0.732/1.83     97.5  5.08 [4.98, 5.18]  -66.7 [-66.7, -66.7] *    12.6   79     1.30  ! 1150/5/20
 pipeline   2.16/5.41      289  15.0 [13.1, 17.3]     -1.9 [-14.4, +12.5]    4.30   27     1.30  ! 1150/5/20

Times at the user, averaged over replications; percentiles linear; [ ]: 95% interval over 5 replications; Δ:
ratio of the E2E mean to local's, paired by replication, * excludes 0; ! more than 1% cut off; cut off: in
flight at the end; met: TTFT ≤ 2 s, TPOT ≤ 200 ms, of all requests; warm-up of 30 s left out; 2 columns left
out at this width, --json has all.
"""


def test_it_reads_as_intended() -> None:
    # The whole rendering, so that a person looks at every change in it.
    text = "".join(f"{line.rstrip()}\n" for line in rendered(comparison(), 110).splitlines())
    assert text == AS_INTENDED


@pytest.mark.parametrize("width", [120, 100, 80, 60])
def test_no_line_is_wider_than_the_terminal_and_no_cell_is_cut(width: int) -> None:
    text = rendered(comparison(), width)
    assert max(map(len, text.splitlines())) <= width
    assert "…" not in text
    for strategy in ("local", "offload", "pipeline"):
        assert line_of(text, strategy)


@pytest.mark.parametrize("width", [30, 40, 60, 70, 80, 90, 100, 120, 200])
def test_essential_columns_are_always_there_and_the_missing_ones_are_counted(width: int) -> None:
    text = rendered(comparison(), width)
    head = text[: text.index("──")]
    assert "E2E" in head
    assert "Δ" in head
    heads = ("TTFT", "TPOT", "tokens", "good", "met", "active", "all", "done")
    n_missing = sum(name not in head.split() and f"{name}/failed" not in head.split() for name in heads)
    said = re.search(r"(\d) columns? left out", " ".join(text.split()))
    assert (int(said[1]) if said else 0) == n_missing
    assert n_missing == 0 or width <= 120


def test_significant_differences_are_marked_and_others_are_not() -> None:
    text = rendered(comparison())
    assert "*" in line_of(text, "offload")
    assert "*" not in line_of(text, "pipeline")
    assert "-66.7 [-66.7, -66.7] *" in line_of(text, "offload")


def test_faster_is_green_and_slower_is_red() -> None:
    def styles(first: float, second: float) -> str:
        compared = compare(summary(s, r, f) for s, f in (("a", first), ("b", second)) for r in range(3))
        console = Console(
            width=100, record=True, file=StringIO(), force_terminal=True, color_system="standard"
        )
        console.print(ComparisonTable(compared, ABOUT))
        return console.export_text(styles=True)

    assert "\x1b[32m-50.0" in styles(2.0, 1.0)
    assert "\x1b[31m+100.0" in styles(1.0, 2.0)


@pytest.mark.parametrize(
    ("counts", "horizon_s", "told"),
    [
        ((1, 1), None, "13 devices, 1 replication, seed 7"),
        ((1, 1), 600.0, "13 devices, 1 replication of 10 min, seed 7"),
        ((5, 5), 90.5, "13 devices, 5 replications of 90.5 s, seed 7"),
        ((3, 5), 600.0, "13 devices, 3 to 5 replications of 10 min, seed 7"),
        ((5, 1), None, "13 devices, 1 to 5 replications, seed 7"),
    ],
)
def test_the_headline_counts_replications(
    counts: tuple[int, int], horizon_s: float | None, told: str
) -> None:
    """A run that is still going on has more of one strategy than of another."""
    compared = compare(
        summary(strategy, replication, 1.0)
        for strategy, n in zip(("local", "offload"), counts, strict=True)
        for replication in range(n)
    )
    headline = rendered(compared, 200, replace(ABOUT, horizon_s=horizon_s)).splitlines()[0]
    assert f" on {told}, times scaled" in headline


def test_requests_that_were_stuck_are_told() -> None:
    stuck = compare([summary("local", 0, 1.0), summary("pipeline", 0, 1.0, n_stuck=4)])
    text = " ".join(rendered(stuck).split())
    assert "of these stuck, since no event was left (a deadlock): 4 under pipeline" in text
    assert as_json(stuck)["strategies"][1]["outcomes"]["stuck"] == 4
    assert "stuck" not in rendered(comparison())


def test_one_replication_shows_no_interval_and_claims_nothing() -> None:
    text = rendered(comparison(n_replications=1))
    table, notes = text.split("Times at the user")
    assert "[" not in text
    assert "*" not in table
    assert "one replication, so no intervals" in " ".join(notes.split())


def test_short_times_are_shown_in_milliseconds_for_a_whole_column() -> None:
    compared = compare(summary(s, 0, f) for s, f in (("a", 1e-3), ("b", 1e-2)))
    text = rendered(compared)
    assert "E2E ms" in text
    assert "5.00" in line_of(text, "a")
    assert "50.0" in line_of(text, "b")


def test_what_is_undefined_shows_a_dash_and_an_empty_column_is_dropped() -> None:
    none = {"ttft_s": None, "tpot_s": None, "e2e_s": None, "goodput_per_s": None, "attainment": None}
    compared = compare(
        [summary("a", 0, 1.0, goodput_per_s=None, attainment=None), summary("b", 0, 1.0, **none)]
    )
    text = rendered(compared, 120, replace(ABOUT, objectives=None))
    assert line_of(text, "b").split()[1:5] == ["-", "-", "-", "-"]
    assert "met" not in text
    assert "nan" not in text.lower()


def test_a_metric_from_some_replications_only_is_marked() -> None:
    compared = compare([summary("a", 0, 1.0), summary("a", 1, 1.0, ttft_s=None)])
    text = rendered(compared)
    assert "0.720/1.80†" in text
    assert "undefined in some replications" in " ".join(text.split())


def test_origins_stand_above_when_shared_and_by_row_when_not() -> None:
    mixed = compare([summary("a", 0, 1.0), summary("b", 0, 1.0, origins=("measured", "scaled"))])
    assert "times scaled" in " ".join(rendered(comparison()).split())
    assert line_of(rendered(mixed), "a").split()[-1] == "S"
    assert line_of(rendered(mixed), "b").split()[-1] == "M+S"


def test_definitions_name_the_objectives_the_interval_and_the_warm_up() -> None:
    notes = " ".join(rendered(comparison()).split())
    for said in (
        "Times at the user",
        "percentiles linear",
        "[ ]: 95% interval over 5 replications",
        "ratio of the E2E mean to local's, paired by replication",
        "TTFT ≤ 2 s, TPOT ≤ 200 ms",
        "warm-up of 30 s left out",
        "cut off: in flight at the end",
    ):
        assert said in notes


@pytest.mark.parametrize("width", [40, 60, 80, 100, 120, 200])
def test_only_columns_that_are_shown_are_defined(width: int) -> None:
    text = rendered(comparison(), width)
    head, notes = text[: text.index("──")].split(), " ".join(text.split())
    judged = [name for name in ("good", "met") if name in head]
    assert (f"; {', '.join(judged)}: TTFT ≤ 2 s" in notes) == bool(judged)
    assert ("TTFT ≤ 2 s" in notes) == bool(judged)


def test_a_good_column_that_the_arrivals_set_is_not_defined() -> None:
    done = Outcomes(completed=100, failed=0, censored=0)
    notes = " ".join(rendered(compare([summary("a", 0, 1.0, outcomes=done)]), 200).split())
    assert "; met: TTFT ≤ 2 s" in notes
    assert "good" not in notes


@pytest.mark.parametrize(
    ("n_requests", "none", "every"),
    [
        (40, "0.000 [0.000, 0.088]", "1.000 [0.912, 1.000]"),
        (1000, "0.0000 [0.0000, 0.0038]", "1.0000 [0.9962, 1.0000]"),
        (4, "0.00 [0.00, 0.49]", "1.00 [0.51, 1.00]"),
    ],
)
def test_a_share_of_none_or_all_is_written_with_an_end_that_can_be_read(
    n_requests: int, none: str, every: str
) -> None:
    (row,) = compare([summary("a", 0, 1.0)]).rows
    for share, told in ((0.0, none), (1.0, every)):
        estimate = estimate_mean([share] * 2, Scale.LOGIT, n_trials=n_requests)
        assert estimate_text(row, "attainment", estimate=estimate).plain == told
    percent = estimate_mean([1.0] * 2, Scale.LOGIT, n_trials=1000)
    assert estimate_text(row, "accuracy", 0.01, estimate=percent).plain == "100.00 [99.62, 100.00]"
    # Others keep three figures, however narrow the interval.
    times = estimate_mean([224.0, 224.001], Scale.LOG)
    assert estimate_text(row, "e2e_mean_s", estimate=times).plain == "224 [224, 224]"


def test_it_is_said_where_a_faster_strategy_is_asked_sooner() -> None:
    told = "a faster strategy receives requests sooner"
    assert told in " ".join(rendered(comparison(), about=replace(ABOUT, is_closed=True)).split())
    assert told not in " ".join(rendered(comparison()).split())


def cut_off(mean_s: float, n_censored: int, n_never: int = 0) -> Distribution:
    """A sample of which some were not seen to their end."""
    seen = np.full(100, mean_s)
    found = Distribution.of(seen, np.full(n_censored, 4 * mean_s), n_never)
    assert found is not None
    return found


def test_what_is_not_known_to_its_end_is_a_bound_and_has_no_difference() -> None:
    many = {"e2e_s": cut_off(5.0, 200), "ttft_s": cut_off(1.0, 8), "attainment": None}
    compared = compare(
        summary(name, r, 1.0, attainment_at_least=0.2, **(many if name == "b" else {}))
        for name in ("a", "b")
        for r in range(3)
    )
    text = rendered(compared, 120)
    row = line_of(text, "b")
    assert "> 15.0" in row  # (100 * 5 + 200 * 20) / 300
    assert "1.00/> 4.00" in row
    assert " > 20 " in row
    assert "*" not in row
    assert row.split()[6:8] == [">", "+194.2"]  # of 5.0, 5.1 and 5.2 s
    assert as_json(compared)["strategies"][1]["ratio_limits"]["e2e_mean_s"] == {
        "at_least": pytest.approx(15 / (5.0 * 5.1 * 5.2) ** (1 / 3))
    }
    assert "failed requests are never answered" in " ".join(text.split())
    metrics = as_json(compared)["strategies"][1]["metrics"]
    assert metrics["e2e_mean_s"] == {"n": 3, "mean": None, "low": None, "high": None, "at_least": 15.0}
    assert metrics["e2e_p50_s"]["at_least"] == 20.0
    assert metrics["ttft_p50_s"]["mean"] == 1.0
    assert as_json(compared)["strategies"][1]["differences"]["e2e_mean_s"] is None


def test_a_known_mean_is_at_most_so_much_of_an_unknown_one() -> None:
    compared = compare(
        summary(name, r, 1.0, **({"e2e_s": cut_off(5.0, 100)} if name == "a" else {}))
        for name in ("a", "b")
        for r in range(0, 6, 3)
    )
    # b takes 5.0 s in these replications, a at least 12.5 s.
    assert "< -60.0" in line_of(rendered(compared), "b")
    limits = as_json(compared)["strategies"][1]["ratio_limits"]
    assert limits["e2e_mean_s"] == {"at_most": pytest.approx(0.4)}


def test_rates_of_requests_that_all_come_at_once_are_those_until_the_last_has_ended() -> None:
    done, window = Outcomes(completed=16, failed=0, censored=0), Window(0.0, 8.0, is_batch=True)
    text = rendered(compare([summary("a", 0, 1.0, outcomes=done, window=window)]), 120)
    said = "requests arrive (nearly) all at once: rates until the last of them has ended"
    assert said in " ".join(text.split())
    assert "‡" not in text
    mixed = compare([summary("a", 0, 1.0, outcomes=done, window=window), summary("b", 0, 1.0)])
    assert "all at once (a): rates until" in " ".join(rendered(mixed, 120).split())
    assert "all" in text[: text.index("──")].split()


def test_one_replication_with_an_unknown_mean_leaves_no_mean_of_the_others() -> None:
    compared = compare(summary("a", r, 1.0, e2e_s=cut_off(5.0, 100 * (r == 2))) for r in range(3))
    assert "> 7.50" in line_of(rendered(compared), "a")  # (5 + 5 + 12.5) / 3


def test_a_row_that_cannot_keep_up_and_one_that_is_much_cut_off_are_marked() -> None:
    growing = Growth((20, 25, 22, 24, 26, 21), 200)
    few = Outcomes(completed=990, failed=0, censored=10)
    compared = compare(
        [summary("a", 0, 1.0, outcomes=few), *(summary("b", r, 1.0, growth=growing) for r in range(2))]
    )
    text = rendered(compared, 120)
    notes = " ".join(text.split())
    assert "b ↑" in line_of(text, "b")
    assert "demand exceeds capacity: latencies grow with the horizon (b: the number in flight" in notes
    assert "! 460/2/8" in line_of(text, "b")
    assert "990/0/10" in line_of(text, "a")
    assert "!" not in line_of(text, "a")
    told = as_json(compared)["strategies"]
    assert [row["saturated"] for row in told] == [False, True]
    assert [row["much_cut_off"] for row in told] == [False, True]


def test_rates_that_the_arrivals_set_are_not_printed_as_the_systems() -> None:
    done = Outcomes(completed=100, failed=0, censored=0)
    text = rendered(compare(summary(name, 0, 1.0, outcomes=done) for name in ("a", "b")), 130)
    head = text[: text.index("──")].split()
    assert not {"tokens", "good", "all"} & set(head)
    assert "active" in head
    assert "all requests are answered: rates and J/token with idling are set by the arrivals" in " ".join(
        text.split()
    )
    mixed = compare([summary("a", 0, 1.0, outcomes=done), summary("b", 0, 1.0)])
    text = rendered(mixed, 130)
    assert line_of(text, "a").split().count("‡") == 3
    assert "‡" not in line_of(text, "b")
    assert "all requests are answered (a)" in " ".join(text.split())
    told = as_json(mixed)["strategies"]
    assert "total_j_per_token" in told[0]["set_by_arrivals"]
    assert told[1]["set_by_arrivals"] == []
    console = Console(width=120, record=True, file=StringIO(), color_system=None)
    console.print(MetricsTable(mixed))
    assert "0.390 ‡" in console.export_text()


@pytest.mark.parametrize(
    ("share", "told"), [(1.0, "100"), (0.999, ">99"), (0.0, "0"), (0.004, "<1"), (0.5, "50")]
)
def test_a_share_that_is_not_quite_all_is_not_written_as_all(share: float, told: str) -> None:
    text = rendered(compare([summary("a", 0, 1.0, attainment=share)]), 120)
    assert told in line_of(text, "a").split()


def paired_comparison(n_pairs: int) -> Comparison:
    pairs = [
        Pairs(
            strategy="b",
            reference="a",
            replication=r,
            n_requests=100,
            n_pairs=n_pairs,
            metrics={
                "ttft_s": PairedMetric(0.1, 0.05 * (-1) ** r, 0.5),
                "e2e_s": PairedMetric(-1.0, -0.5 - 0.01 * r, 0.9),
            },
        )
        for r in range(4)
    ]
    return compare((summary(name, r, 1.0) for name in ("a", "b") for r in range(4)), pairs)


def test_the_same_requests_are_compared_in_a_table_of_their_own() -> None:
    text = rendered(paired_comparison(100))
    table = text[text.index("The same requests, one by one, against a") :]
    row = line_of(table, "b")
    assert "400/400" in row
    assert re.search(r"-40\.2 \[-\d+\.\d, -\d+\.\d\] \*", row)
    assert row.count("*") == 1
    assert row.split()[-1] == "90"
    same = as_json(paired_comparison(100))["strategies"][1]["same_requests"]
    assert (same["n_pairs"], same["share"], same["is_enough"]) == (400, 1.0, True)
    assert same["differences"]["e2e_s"]["ratio"] == pytest.approx(math.exp(-0.515))
    assert same["differences"]["e2e_s"]["differs"] is True
    assert as_json(paired_comparison(100))["strategies"][0]["same_requests"] is None


def test_too_few_pairs_give_no_verdict() -> None:
    text = rendered(paired_comparison(94))
    table = text[text.index("The same requests") :]
    assert line_of(table, "b").split() == ["b", "376/400", "-", "-", "-"]
    assert "no verdict, since under 95% of the requests" in " ".join(table.split())
    same = as_json(paired_comparison(94))["strategies"][1]["same_requests"]
    assert (same["is_enough"], same["differences"]["e2e_s"]["differs"]) == (False, None)


def test_a_mean_of_zero_has_a_difference_and_says_so() -> None:
    zero = Distribution(n=1, mean=0.0, p50=0.0, p95=0.0, p99=0.0)
    compared = compare(
        summary(name, r, 1.0, **({"e2e_s": zero} if name == "a" else {})) for name in "ab" for r in range(3)
    )
    text = rendered(compared)
    assert "+5.1 s [" in line_of(text, "b")
    assert "Δ as a difference where the mean is zero in 3 of 3 replications" in " ".join(text.split())


@pytest.mark.parametrize("width", [30, 60, 80, 110, 160])
def test_the_second_table_fits_too(width: int) -> None:
    text = rendered(paired_comparison(100), width)
    assert max(map(len, text.splitlines())) <= width
    assert "…" not in text


def test_an_empty_comparison_renders() -> None:
    assert "smart-city" in rendered(compare([]))


def test_json_holds_every_number_at_full_precision() -> None:
    compared = comparison()
    data = json.loads(json.dumps(as_json(compared, ABOUT), allow_nan=False))
    assert data["reference"] == "local"
    assert data["about"]["objectives"] == {"ttft_s": 2.0, "tpot_s": 0.2, "e2e_s": None}
    row, shown = compared.rows[1], data["strategies"][1]
    assert set(shown["metrics"]) == set(row.estimates)
    estimate, difference = row.estimates["e2e_p95_s"], row.differences["e2e_p95_s"]
    assert estimate is not None
    assert estimate.interval is not None
    assert difference is not None
    assert shown["metrics"]["e2e_p95_s"] == {
        "n": 5,
        "mean": estimate.mean,
        "low": estimate.interval[0],
        "high": estimate.interval[1],
    }
    told, ratio = shown["differences"]["e2e_p95_s"], difference.ratio
    assert ratio is not None
    assert (told["ratio"], told["ratio_low"], told["ratio_high"]) == (ratio.ratio, ratio.low, ratio.high)
    assert (told["mean"], told["low"], told["high"]) == (difference.mean, difference.low, difference.high)
    assert (told["differs"], told["no_ratio"]) == (True, None)
    assert shown["outcomes"] == {
        "offered": 1175,
        "completed": 1150,
        "failed": 5,
        "censored": 20,
        "stuck": 0,
        "beyond_measured": 0,
        "cut_off_share": 20 / 1175,
    }
    assert (shown["saturated"], shown["much_cut_off"], shown["set_by_arrivals"]) == (False, True, [])
    assert shown["utilisation"]["edge"]["mean"] == 0.5


def test_json_has_null_never_nan() -> None:
    compared = compare([summary("a", 0, 1.0, ttft_s=None, active_j_per_token=math.nan)])
    metrics = as_json(compared)["strategies"][0]["metrics"]
    assert metrics["ttft_mean_s"] is None
    assert metrics["active_j_per_token"]["mean"] is None
    assert metrics["e2e_mean_s"]["low"] is None
    json.dumps(as_json(compared), allow_nan=False)
