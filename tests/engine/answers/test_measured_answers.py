"""What a request's answer was worth, against a loop over its tokens."""

from __future__ import annotations

import math
from dataclasses import replace

import numpy as np
import pytest
from miniature import Serve, device, run, world

from edgesim.engine.answers.impairments import ALL, error_variance
from edgesim.engine.answers.measured_answers import Answering
from edgesim.errors import ContractError, InputError
from edgesim.model.answers.exit_records import ExitRecords
from edgesim.model.answers.impaired_answers import QualityRow, QualityTable
from edgesim.workload.lengths import Fixed

N_BLOCKS = 4
DRAWS = np.random.default_rng(3)
RECORDS = ExitRecords(
    blocks=(2, N_BLOCKS),
    confidence=DRAWS.uniform(size=(50, 2)),
    is_correct=DRAWS.uniform(size=(50, 2)) < 0.5,
    entropy=DRAWS.uniform(0, 3, size=(50, 2)),
    nll=DRAWS.exponential(size=(50, 2)),
)
"""Two exits on fifty tokens."""


def _row(name: str, level: float, rise: float, block: int | None = None) -> QualityRow:
    return QualityRow(
        name=name, level=level, block=block, nll=2.0 + rise, nll_se=0.0, nll_rise=rise, nll_rise_se=0.0,
        accuracy=0.5 * math.exp(-rise), accuracy_se=0.0,
    )  # fmt: skip


TABLE = QualityTable(
    (
        _row("clean", 0.0, 0.0), _row("noise", 0.01, 0.1), _row("noise", 1.0, 1.0),
        _row("erasure", 0.2, 0.8, block=2), _row("erasure", 0.2, 0.4, block=6),
        *(replace(_row("quantised", bits, 4.0**-bits), n_devices=1) for bits in (2, 4, 8)),
    ),
    {"n_blocks": 8},
)  # fmt: skip


def whole(request, cluster):
    for token in request.tokens():
        yield from cluster.compute(request, "a-0", cluster_model(cluster), token)
        yield from cluster.emit(request, "a-0", token)


def cluster_model(cluster):
    return cluster._world.model.whole


def noisy(*levels):
    def serve(request, cluster):
        for level in levels:
            cluster.impair(request, "noise", level)
        yield from whole(request, cluster)

    return serve


def rounded(*bits):
    def serve(request, cluster):
        for each in bits:
            cluster.impair(request, "quantised", each, n_devices=1)
        yield from whole(request, cluster)

    return serve


def early(request, cluster):
    """Leave after two blocks where the exit's entropy is at most 1 nat."""
    for token in request.tokens():
        yield from cluster.compute(request, "a-0", cluster_model(cluster), token)
        if not cluster.exits(request, token, 2, entropy=1.0):
            cluster.exits(request, token, N_BLOCKS, entropy=1.0)
        yield from cluster.emit(request, "a-0", token)


def told_of(serve, **changes):
    there = world([device("a-0")], output=Fixed(7), **changes)
    (told,) = run(there, Serve(serve)).requests.itertuples()
    (asked,) = there.requests()
    return told, asked.sample


def test_tokens_that_pass_all_blocks_answer_as_the_last_exit_did() -> None:
    told, sample = told_of(whole, exits=RECORDS)
    rows = [(sample + token) % 50 for token in range(7)]
    assert told.nll == pytest.approx(np.mean([RECORDS.nll[row, 1] for row in rows]))
    assert told.correct == pytest.approx(np.mean([RECORDS.is_correct[row, 1] for row in rows]))


def test_tokens_that_leave_early_answer_as_their_exit_did() -> None:
    told, sample = told_of(early, exits=RECORDS)
    rows = [(sample + token) % 50 for token in range(7)]
    left = [0 if RECORDS.entropy[row, 0] <= 1.0 else 1 for row in rows]
    assert 0 < sum(left) < 7
    assert told.nll == pytest.approx(np.mean([RECORDS.nll[r, e] for r, e in zip(rows, left, strict=True)]))
    assert told.mean_exit_block == pytest.approx(np.mean([(2, 4)[exit_] for exit_ in left]))


def test_noise_adds_what_the_table_says_of_its_mean_level() -> None:
    clean, _ = told_of(whole, exits=RECORDS, quality=TABLE)
    told, _ = told_of(noisy(0.01, 0.03), exits=RECORDS, quality=TABLE)
    at_mean = TABLE.at("noise", 0.02)
    assert told.error_variance == pytest.approx(0.02)
    assert told.nll - clean.nll == pytest.approx(at_mean.nll - TABLE.clean.nll)
    assert told.correct / clean.correct == pytest.approx(at_mean.accuracy / TABLE.clean.accuracy)


def test_a_token_answers_for_what_it_has_met_itself() -> None:
    """Seven tokens: one meets little, two meet much, and what all have met comes on top."""
    own = {0: 0.02, 3: 0.5, 4: 0.9}

    def serve(request, cluster):
        for token in request.tokens():
            yield from cluster.compute(request, "a-0", cluster_model(cluster), token)
            if token.index in own:
                cluster.impair(request, "noise", own[token.index], token=token, count=3)
            yield from cluster.emit(request, "a-0", token)

    def also_all(request, cluster):
        cluster.impair(request, "noise", 0.04)
        yield from serve(request, cluster)

    clean = TABLE.clean
    for how, levels in (
        (serve, [own.get(token, 0.0) for token in range(7)]),
        (also_all, [(0.04 + 3 * own[t]) / 4 if t in own else 0.04 for t in range(7)]),
    ):
        told, _ = told_of(how, quality=TABLE)
        answers = [TABLE.at("noise", level) for level in levels]
        assert told.nll == pytest.approx(np.mean([each.nll for each in answers]))
        assert told.correct == pytest.approx(np.mean([each.accuracy for each in answers]))
        assert told.nll > clean.nll


def test_tokens_that_left_before_a_split_have_lost_nothing_there() -> None:
    def serve(request, cluster):
        for token in request.tokens():
            yield from cluster.compute(request, "a-0", cluster_model(cluster), token)
            if not cluster.exits(request, token, 2, entropy=1.0):
                cluster.impair(request, "erasure", 0.2, block=2, token=token)
                cluster.exits(request, token, N_BLOCKS, entropy=1.0)
            yield from cluster.emit(request, "a-0", token)

    without, sample = told_of(early, exits=RECORDS, quality=TABLE)
    told, _ = told_of(serve, exits=RECORDS, quality=TABLE)
    n_stayed = sum(RECORDS.entropy[(sample + token) % 50, 0] > 1.0 for token in range(7))
    assert told.nll - without.nll == pytest.approx(0.6 * n_stayed / 7)  # 0.6 at the split's relative depth


def test_exit_records_without_likelihoods_leave_perplexity_open() -> None:
    told, _ = told_of(whole, exits=replace(RECORDS, nll=None), quality=TABLE)
    assert math.isnan(told.nll)
    assert 0 <= told.correct <= 1


def test_without_records_the_table_alone_answers() -> None:
    told, _ = told_of(noisy(0.01), quality=TABLE)
    assert told.nll == pytest.approx(2.1)
    assert told.correct == pytest.approx(0.5 * math.exp(-0.1))


def test_a_split_counts_at_its_relative_depth() -> None:
    """After 2 of 4 blocks is after 4 of the measured model's 8: between its splits after 2 and after 6."""

    def serve(request, cluster):
        cluster.impair(request, "erasure", 0.2, block=2)
        yield from whole(request, cluster)

    told, _ = told_of(serve, quality=TABLE)
    assert told.nll == pytest.approx(2.0 + 0.6)
    assert math.isnan(told.error_variance)


def test_nothing_measured_leaves_nothing_to_tell() -> None:
    told, _ = told_of(noisy(0.01))
    assert math.isnan(told.nll)
    assert math.isnan(told.correct)
    assert told.error_variance == pytest.approx(0.01)


def test_a_kind_that_was_not_measured_ends_the_run_with_a_remedy() -> None:
    def serve(request, cluster):
        cluster.impair(request, "device-noise", 0.1, n_devices=2)
        yield from whole(request, cluster)

    with pytest.raises(InputError, match=r"this strategy causes 'device-noise'.*edgesim quality MODEL"):
        told_of(serve, quality=TABLE)


def test_a_table_without_accuracies_leaves_what_is_right_open() -> None:
    rows = [replace(row, accuracy=math.nan) for row in TABLE.rows]
    harms = {("noise", None, None): {ALL: (0.01, 1)}}
    alone = Answering(N_BLOCKS, None, QualityTable(tuple(rows)))
    assert alone.of(0, 5, {}, harms)[:3] == (pytest.approx(2.1), None, False)
    replayed = Answering(N_BLOCKS, RECORDS, QualityTable(tuple(rows)))
    assert replayed.of(0, 5, {}, harms).correct is None
    assert replayed.of(0, 5, {}, {}).correct == RECORDS.is_correct[:5, 1].mean()


def test_bits_count_by_the_error_that_they_leave() -> None:
    """Half exact, half of 3 bits: half the error of 3 bits, as 3.5 bits leave, for 4^-0.5 = 1/2."""
    told, _ = told_of(rounded(3, math.inf), quality=TABLE)
    assert told.nll == pytest.approx(TABLE.at("quantised", 3.5, n_devices=1).nll)
    assert math.isnan(told.error_variance)  # rounding is no noise on the air


def test_errors_of_all_kinds_of_noise_make_one_mean() -> None:
    kinds = {("noise", None, None): {0: (0.1, 1), 1: (0.2, 2)}, ("device-noise", None, 4): {ALL: (0.5, 1)}}
    assert error_variance(kinds | {("erasure", 2, None): {ALL: (9.0, 9)}}) == pytest.approx(0.2)
    assert error_variance({("erasure", 2, None): {ALL: (9.0, 9)}}) is None


def test_more_than_was_measured_is_told() -> None:
    worst, _ = told_of(noisy(1.0), quality=TABLE)
    worse, _ = told_of(noisy(3.0), quality=TABLE)
    unknown, _ = told_of(noisy(3.0))
    assert worse.nll == worst.nll
    assert (worst.beyond_measured, worse.beyond_measured, unknown.beyond_measured) == (False, True, None)


def test_a_split_that_needs_a_block_is_refused_when_it_is_met() -> None:
    def serve(request, cluster):
        cluster.impair(request, "erasure", 0.1)
        yield from whole(request, cluster)

    with pytest.raises(InputError, match="state which block"):
        told_of(serve, quality=TABLE)


@pytest.mark.parametrize(
    "bad", [{"level": -1.0}, {"level": math.nan}, {"count": 0}, {"block": 0}, {"block": 5}]
)
def test_levels_and_blocks_that_do_not_exist_break_the_contract(bad: dict[str, float]) -> None:
    def serve(request, cluster):
        cluster.impair(request, **({"name": "noise", "level": 0.1} | bad))
        yield from whole(request, cluster)

    with pytest.raises(ContractError, match="expected a level of 0 or more"):
        told_of(serve)
