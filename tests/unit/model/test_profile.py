"""A hand-written profile: what it charges, what it refuses, what a file keeps of it."""

from __future__ import annotations

import subprocess
import sys
import time
from dataclasses import replace
from pathlib import Path

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from small_models import SMALL, by_hand, handmade_profile

from edgesim.errors import ProfileError
from edgesim.model.architecture import Architecture, Component, Slice
from edgesim.model.profile import Phase, Profile, Timing


def test_a_slice_costs_its_blocks_and_the_ends_it_holds(profile: Profile) -> None:
    timing: Timing = profile.timing()

    def cost(part: Slice) -> float:
        return float(timing.seconds(part, batch=1, n_new=8, n_context=0))

    block, ends = (
        by_hand(Component.BLOCK, 8, 0),
        by_hand(Component.HEAD, 8, 0) + by_hand(Component.STEP, 8, 0),
    )
    assert cost(Slice(2, 5)) == pytest.approx(3 * block)
    assert cost(Slice(0, 2, embedding=True)) == pytest.approx(2 * block + by_hand(Component.EMBEDDING, 8, 0))
    assert cost(Slice(4, 6, head=True)) == pytest.approx(2 * block + ends)
    assert cost(Slice(3, 3)) == 0.0
    assert timing.origin == "measured"


def test_prefill_and_decode_are_told_apart_token_by_token(profile: Profile) -> None:
    news, contexts = np.array([1, 1, 30]), np.array([0, 40, 0])
    expected = [by_hand(Component.BLOCK, n, c) for n, c in zip(news, contexts, strict=True)]

    got = profile.component_seconds(Component.BLOCK, batch=1, n_new=news, n_context=contexts)
    np.testing.assert_allclose(got, expected, rtol=1e-12)


def test_token_counts_are_broadcast(profile: Profile) -> None:
    whole = profile.architecture.whole
    got = profile.timing().seconds(whole, batch=1, n_new=1, n_context=np.arange(16, 64))

    assert got.shape == (48,)
    assert got[7] == profile.timing().seconds(whole, batch=1, n_new=1, n_context=23)


def test_a_hundred_thousand_look_ups_take_well_under_a_second(profile: Profile) -> None:
    timing, contexts = profile.timing(), np.random.default_rng(0).integers(16, 64, 100_000)
    began = time.process_time()
    timing.seconds(profile.architecture.whole, batch=1, n_new=1, n_context=contexts)
    assert time.process_time() - began < 0.5


def test_the_margin_is_ten_per_cent(profile: Profile) -> None:
    timing = profile.timing()
    timing.check(max_new=70, max_context=70)
    timing.seconds(Slice(0, 1), batch=1, n_new=70, n_context=0)
    with pytest.raises(ProfileError, match="new tokens = 71, but it was measured from 1 to 64"):
        timing.check(max_new=71, max_context=64)
    with pytest.raises(ProfileError, match="tokens of context = 71"):
        timing.seconds(Slice(0, 1), batch=1, n_new=1, n_context=np.array([20, 71]))
    with pytest.raises(ProfileError, match="batch size = 2"):
        timing.seconds(Slice(0, 1), batch=2, n_new=1, n_context=20)
    with pytest.raises(ProfileError, match="tokens of context = 5"):
        timing.seconds(Slice(0, 1), batch=1, n_new=2, n_context=5)


def test_between_two_batch_sizes_times_are_interpolated(llama: Architecture) -> None:
    timing = handmade_profile(llama, batches=(1, 4, 8)).timing()
    for batch in range(1, 9):
        got = timing.seconds(Slice(0, 3), batch=batch, n_new=1, n_context=np.array([16, 40]))
        expected = [3 * by_hand(Component.BLOCK, 1, c, batch=batch) for c in (16, 40)]
        np.testing.assert_allclose(got, expected, rtol=1e-12)

    timing.check(max_new=64, max_context=64, batch=8)
    with pytest.raises(ProfileError, match="batch size = 9, but it was measured from 1 to 8"):
        timing.check(max_new=64, max_context=64, batch=9)


def test_contexts_alone_may_be_asked_for(llama: Architecture) -> None:
    handmade_profile(llama).timing().check(max_new=0, max_context=64)
    with pytest.raises(ProfileError, match=r"decode with batch size = 2.*edgesim profile --batch"):
        handmade_profile(llama).timing().check(max_new=0, max_context=64, batch=2)


def test_it_says_what_it_was_measured_on_and_keeps_that(profile: Profile, tmp_path: Path) -> None:
    stamped = profile.stamped("raspberry-pi-5")
    stamped.save(tmp_path / "profile.parquet")
    assert Profile.load(tmp_path / "profile.parquet") == stamped
    assert str(profile) == "a profile of small-llama in bfloat16, measured on a processor, 2 threads"
    assert stamped.where == "raspberry-pi-5 (a processor, 2 threads)"
    assert stamped.facts()["kind"] == "raspberry-pi-5"
    assert "kind" not in profile.facts()
    assert stamped.digest != profile.digest == stamped.stamped("").digest


def test_of_a_shard_only_the_blocks_are_divided(llama: Architecture) -> None:
    timing = handmade_profile(llama, shards=(1, 2, 4)).timing()
    ends = sum(by_hand(c, 8, 0) for c in (Component.EMBEDDING, Component.HEAD, Component.STEP))
    for n_shards in (1, 2, 4):
        got = timing.seconds(llama.whole, batch=1, n_new=8, n_context=0, n_shards=n_shards)
        assert got == pytest.approx(ends + 6 * by_hand(Component.BLOCK, 8, 0) / n_shards)

    timing.check(max_new=64, max_context=64, n_shards=4)


def test_a_shard_that_was_not_measured_is_refused(profile: Profile) -> None:
    with pytest.raises(ProfileError, match=r"no prefill times of 1/2 of the block; .* --shard 2"):
        profile.timing().check(max_new=8, max_context=8, n_shards=2)


def test_an_encoder_has_prefills_only_and_says_so() -> None:
    bert = Architecture.from_config(SMALL["bert"], name="small-bert", dtype="float32")
    timing = handmade_profile(bert).timing()

    timing.check(max_new=64, max_context=10_000)  # its one answer adds no context
    assert timing.seconds(Slice(0, 2), batch=1, n_new=8, n_context=0) == pytest.approx(
        2 * by_hand(Component.BLOCK, 8, 0)
    )
    with pytest.raises(ProfileError, match="answers in one pass: request 1 output token"):
        timing.seconds(Slice(0, 2), batch=1, n_new=1, n_context=8)


def test_a_step_is_charged_at_any_length(profile: Profile) -> None:
    few = [
        p for p in profile.points if p.component is not Component.STEP or (p.n_new <= 8 and p.n_context <= 16)
    ]
    timing = replace(profile, points=tuple(few)).timing()

    at_last = timing.component_seconds(Component.STEP, batch=1, n_new=1, n_context=16)
    assert timing.component_seconds(Component.STEP, batch=1, n_new=1, n_context=64) == at_last


def test_a_phase_that_was_not_measured_is_refused(profile: Profile) -> None:
    prefill_only = replace(profile, points=tuple(p for p in profile.points if p.phase is Phase.PREFILL))
    with pytest.raises(ProfileError, match="no decode times of the block"):
        prefill_only.timing().check(max_new=8, max_context=8)


def test_held_out_points_make_the_error_and_not_the_prediction(profile: Profile) -> None:
    assert profile.held_out_error == pytest.approx((0.2, 0.2))
    block = profile.component_seconds(Component.BLOCK, batch=1, n_new=4, n_context=0)
    assert block == pytest.approx(by_hand(Component.BLOCK, 4, 0))


def test_an_error_that_is_unknown_is_not_zero(profile: Profile) -> None:
    without = replace(profile, points=tuple(p for p in profile.points if not p.held_out))
    with pytest.raises(ProfileError, match="its error is unknown"):
        _ = without.held_out_error


def test_the_summary_has_a_row_per_component_and_phase(profile: Profile) -> None:
    rows = profile.summary()
    block = next(row for row in rows if (row.component, row.phase) == (Component.BLOCK, Phase.DECODE))

    assert len(rows) == 2 * len(Component)
    assert block.n_tokens == (16, 64)
    assert block.median_s == (by_hand(Component.BLOCK, 1, 16), by_hand(Component.BLOCK, 1, 64))


def test_a_file_keeps_the_shards(llama: Architecture, tmp_path: Path) -> None:
    profile = handmade_profile(llama, shards=(1, 2))
    profile.save(tmp_path / "profile.parquet")

    assert Profile.load(tmp_path / "profile.parquet") == profile
    assert [row.n_shards for row in profile.summary()] == [1] * 12 + [2] * 6


def test_a_file_keeps_everything(profile: Profile, tmp_path: Path) -> None:
    profile.save(tmp_path / "profile.parquet")
    read = Profile.load(tmp_path / "profile.parquet")

    assert read == profile
    assert read.digest == profile.digest
    assert replace(profile, threads=3).digest != profile.digest


def test_reading_a_file_does_not_import_torch(profile: Profile, tmp_path: Path) -> None:
    file = tmp_path / "profile.parquet"
    profile.save(file)
    program = (
        "import sys; from pathlib import Path; from edgesim.model.profile import Profile\n"
        f"Profile.load(Path({str(file)!r})).timing().check(max_new=8, max_context=8)\n"
        "assert not {'torch', 'transformers'} & set(sys.modules)"
    )
    subprocess.run([sys.executable, "-c", program], check=True)


@pytest.mark.parametrize("content", [b"", b"PAR1 and no more"])
def test_a_broken_file_is_refused(tmp_path: Path, content: bytes) -> None:
    file = tmp_path / "profile.parquet"
    file.write_bytes(content)
    with pytest.raises(ProfileError, match="edgesim profile MODEL -o FILE"):
        Profile.load(file)


def test_a_missing_file_is_refused(tmp_path: Path) -> None:
    with pytest.raises(ProfileError, match="cannot read a profile"):
        Profile.load(tmp_path / "absent.parquet")


def test_other_parquet_files_are_refused(tmp_path: Path) -> None:
    file = tmp_path / "other.parquet"
    pq.write_table(pa.table({"a": [1]}), file)
    with pytest.raises(ProfileError, match="but not a profile"):
        Profile.load(file)


def test_another_schema_version_is_refused(profile: Profile, tmp_path: Path) -> None:
    file = tmp_path / "profile.parquet"
    table = profile.table()
    metadata = {
        key: value.replace(b'"schema_version": 2', b'"schema_version": 99')
        for key, value in table.schema.metadata.items()
    }
    pq.write_table(table.replace_schema_metadata(metadata), file)
    with pytest.raises(ProfileError, match="schema version 99"):
        Profile.load(file)
