"""A workload is a pure, lazy function of its streams."""

from __future__ import annotations

import tracemalloc
from dataclasses import replace
from itertools import islice

import numpy as np
import pytest
from scipy import stats

from edgesim.errors import InputError
from edgesim.rng import Streams
from edgesim.workload.arrivals import Deterministic, Poisson
from edgesim.workload.bounded import MOST_REQUESTS
from edgesim.workload.lengths import Fixed, Lognormal, Uniform
from edgesim.workload.requests import Extent, MeanLengths, Request, Workload

CHAT = Workload(
    arrivals=Poisson(50.0),
    prompt_tokens=Lognormal(median=64, sigma=0.6),
    output_tokens=Uniform(8, 32),
    sources=("camera-1", "camera-2", "camera-3"),
    horizon_s=200.0,
)


def test_requests_are_numbered_in_order_of_arrival_and_end_before_the_horizon() -> None:
    requests = list(CHAT.requests(Streams(1)))
    instants = [request.arrived_at_s for request in requests]
    assert [request.id for request in requests] == list(range(len(requests)))
    assert instants == sorted(instants)
    assert instants[-1] < 200.0


def test_the_number_of_arrivals_is_poisson() -> None:
    # 20 replications of mean 10 000: their mean lies within 99.99 % of the normal limit.
    counts = [sum(1 for _ in CHAT.requests(Streams(3, replication))) for replication in range(20)]
    z = stats.norm.ppf(1 - 0.5e-4)
    assert np.mean(counts) == pytest.approx(10_000, abs=z * np.sqrt(10_000 / 20))


def test_the_horizon_itself_is_excluded() -> None:
    clock = Workload(
        arrivals=Deterministic(10.0),
        prompt_tokens=Fixed(1),
        output_tokens=Fixed(1),
        sources=("a",),
        horizon_s=100.0,
    )
    assert sum(1 for _ in clock.requests(Streams(0))) == 1000


def test_same_streams_same_requests_and_other_replication_other_requests() -> None:
    first = list(CHAT.requests(Streams(1)))
    assert list(CHAT.requests(Streams(1))) == first
    assert list(CHAT.requests(Streams(1, replication=1))) != first
    assert list(CHAT.requests(Streams(2))) != first


def test_two_readers_taking_turns_see_what_one_reader_sees() -> None:
    streams = Streams(1)
    alone = list(CHAT.requests(streams))
    one, two = CHAT.requests(streams), CHAT.requests(streams)
    seen_one = list(islice(one, 10))
    seen_two = list(two)  # the second overtakes the first
    assert seen_two == alone
    assert seen_one + list(one) == alone


def test_another_law_of_lengths_disturbs_nothing_else() -> None:
    def rest(request: Request) -> tuple[int, str, int, float, int]:
        return request.id, request.source, request.sample, request.arrived_at_s, request.n_prompt_tokens

    other = replace(CHAT, output_tokens=Lognormal(median=500, sigma=1.0))
    pairs = zip(CHAT.requests(Streams(1)), other.requests(Streams(1)), strict=True)
    assert all(rest(a) == rest(b) for a, b in pairs)


def test_another_arrival_law_disturbs_no_length() -> None:
    other = replace(CHAT, arrivals=Deterministic(50.0))
    pairs = zip(CHAT.requests(Streams(1)), other.requests(Streams(1)), strict=False)
    assert all(replace(a, arrived_at_s=0.0) == replace(b, arrived_at_s=0.0) for a, b in pairs)


def test_a_longer_horizon_only_appends() -> None:
    short = list(CHAT.requests(Streams(1)))
    longer = list(replace(CHAT, horizon_s=300.0).requests(Streams(1)))
    assert longer[: len(short)] == short
    assert len(longer) > len(short)


def test_sources_share_the_rate_equally() -> None:
    counts = np.unique([request.source for request in CHAT.requests(Streams(1))], return_counts=True)[1]
    assert len(counts) == 3
    assert stats.chisquare(counts).pvalue > 1e-3


def test_samples_are_uniform_below_two_to_the_31() -> None:
    samples = [request.sample for request in CHAT.requests(Streams(1))]
    assert all(0 <= sample < 2**31 for sample in samples)
    assert stats.kstest(np.array(samples) / 2**31, "uniform").pvalue > 1e-3


def test_arrivals_and_lengths_are_independent() -> None:
    requests = list(CHAT.requests(Streams(1)))
    gaps = np.diff([request.arrived_at_s for request in requests])
    prompts = [request.n_prompt_tokens for request in requests][1:]
    outputs = [request.n_output_tokens for request in requests][1:]
    assert stats.spearmanr(gaps, prompts).pvalue > 1e-3
    assert stats.spearmanr(prompts, outputs).pvalue > 1e-3


def test_n_requests_ends_an_endless_workload() -> None:
    endless = replace(CHAT, horizon_s=None, n_requests=17)
    assert sum(1 for _ in endless.requests(Streams(1))) == 17
    assert sum(1 for _ in replace(CHAT, n_requests=MOST_REQUESTS).requests(Streams(1))) > 9000


def test_more_requests_than_anybody_can_wait_for_are_refused(monkeypatch: pytest.MonkeyPatch) -> None:
    """At once where the number is given; where a horizon gives it, as soon as they have been counted."""
    with pytest.raises(InputError, match=r"n_requests is 100000000; expected 1 to 10,000,000.*replications"):
        replace(CHAT, n_requests=10**8)
    n_requests = CHAT.extent(Streams(1)).n_requests
    monkeypatch.setattr("edgesim.workload.requests.MOST_REQUESTS", n_requests)
    assert CHAT.extent(Streams(1)).n_requests == n_requests
    monkeypatch.setattr("edgesim.workload.requests.MOST_REQUESTS", n_requests - 1)
    with pytest.raises(
        InputError, match=r"more than [\d,]+ requests in one replication.*shorten the horizon"
    ):
        CHAT.extent(Streams(1))


def test_reading_needs_no_memory_per_request() -> None:
    def peak_bytes(n_requests: int) -> int:
        tracemalloc.start()
        for _ in replace(CHAT, horizon_s=None, n_requests=n_requests).requests(Streams(1)):
            pass
        peak = tracemalloc.get_traced_memory()[1]
        tracemalloc.stop()
        return peak

    # Both runs cross the same blocks of 4096 draws; a list of the larger one would take 10 times the smaller.
    assert peak_bytes(50_000) < 1.5 * peak_bytes(5_000)


def test_extent_is_what_iterating_finds() -> None:
    requests = list(CHAT.requests(Streams(1)))
    assert CHAT.extent(Streams(1)) == Extent(
        n_requests=len(requests),
        n_prompt_tokens=max(request.n_prompt_tokens for request in requests),
        n_output_tokens=max(request.n_output_tokens for request in requests),
        n_tokens=max(request.n_prompt_tokens + request.n_output_tokens for request in requests),
    )


def test_typical_is_the_pair_of_means() -> None:
    assert CHAT.typical == MeanLengths(CHAT.prompt_tokens.mean, 20.0)


@pytest.mark.parametrize(
    "change",
    [{"sources": ()}, {"horizon_s": None}, {"horizon_s": 0.0}, {"n_requests": 0}],
    ids=str,
)
def test_impossible_workloads_are_refused(change) -> None:
    with pytest.raises(InputError, match="expected"):
        replace(CHAT, **change)
