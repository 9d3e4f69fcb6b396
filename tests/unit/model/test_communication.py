"""Costs of messages and sums: lines through measured points, and what a file may say of them."""

from __future__ import annotations

import json
from dataclasses import asdict, replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from small_models import LLAMA, handmade_profile

from edgesim.errors import ProfileError
from edgesim.model.architecture import Architecture
from edgesim.model.communication import Communication, Cost, MessageCost, SumCost
from edgesim.model.profile import Profile

SIZES = (3584, 28672, 114688)
FOUND = Communication(
    messages=tuple(
        MessageCost(size, 20e-6 + size * 1e-10, 50e-6 + size * 2e-10, 30e-6 + size * 3e-10, 15e-6)
        for size in SIZES
    ),
    sums=tuple(SumCost(size, 150e-6 + size * 5e-10) for size in SIZES),
    n_members=2,
    context="a small model",
    step_before_s=1e-5,
    step_s=2e-5,
    measured_at="2026-01-01T00:00:00+00:00",
)


def test_points_on_a_line_give_that_line() -> None:
    end, transit, summing = FOUND.endpoint, FOUND.transit, FOUND.summing

    assert (end.fixed_s, end.s_per_byte) == pytest.approx((25e-6, 2e-10))  # half of both ends
    assert (transit.fixed_s, transit.s_per_byte) == pytest.approx((50e-6, 2e-10))
    assert (summing.fixed_s, summing.s_per_byte) == pytest.approx((150e-6, 5e-10))
    assert FOUND.slowed_s == 15e-6
    both_s = 2 * end.seconds(28672) + transit.seconds(28672)
    message = FOUND.messages[1]
    assert both_s == pytest.approx(message.send_s + message.transit_s + message.receive_s)


def test_the_cost_of_both_ends_lies_between_those_of_the_sizes_next_to_it() -> None:
    small, *_, large = FOUND.messages
    stepped = replace(FOUND, messages=(small, replace(large, send_s=1.0, receive_s=2.0)))
    both_s = small.send_s + small.receive_s

    assert stepped.handled_s(0.0) == stepped.handled_s(small.size_bytes) == pytest.approx(both_s)
    assert stepped.handled_s(large.size_bytes) == pytest.approx(3.0)
    further_s = 2.0 * stepped.endpoint.s_per_byte * large.size_bytes
    assert stepped.handled_s(2.0 * large.size_bytes) == pytest.approx(3.0 + further_s)
    assert further_s > 0.5
    middle = (small.size_bytes + large.size_bytes) / 2.0
    assert stepped.handled_s(middle) == pytest.approx((both_s + 3.0) / 2.0)


def test_ends_that_are_awake_cost_what_was_measured_or_as_much_as_any() -> None:
    first, *others = FOUND.messages
    messages = (replace(first, awake_send_s=10e-6, awake_receive_s=5e-6), *others)
    awake = replace(FOUND, messages=messages)

    assert (FOUND.awake_sending, FOUND.awake_receiving) == (FOUND.sending, FOUND.receiving)
    assert awake.awake_sending == Cost(10e-6, 0.0)  # of the one size that is known
    assert awake.awake_receiving == Cost(5e-6, 0.0)
    assert awake.endpoint == FOUND.endpoint
    assert awake.sending.seconds(28672) == pytest.approx(FOUND.messages[1].send_s)
    assert awake.receiving.seconds(28672) == pytest.approx(FOUND.messages[1].receive_s)
    assert Communication.of(json.loads(json.dumps(awake.facts()))) == awake


def test_files_from_before_some_costs_were_measured_are_read_and_keep_their_facts() -> None:
    facts = json.loads(json.dumps(FOUND.facts()))
    assert set(facts["messages"][0]) == {"size_bytes", "send_s", "transit_s", "receive_s", "slowed_s"}

    assert Communication.of(facts) == FOUND


def test_neither_part_of_a_cost_is_below_zero() -> None:
    rng = np.random.default_rng(1)
    for _ in range(50):
        cost = Cost.through(SIZES, rng.normal(0.0, 1e-4, 3).tolist())
        assert min(cost.fixed_s, cost.s_per_byte) >= 0.0
    assert Cost.through(SIZES, [-1e-4] * 3) == Cost(0.0, 0.0)
    assert Cost.through([100, 100], [1.0, 3.0]) == Cost(2.0, 0.0)


def test_a_profile_keeps_it_and_one_without_has_the_digest_that_it_had(tmp_path: Path) -> None:
    profile = handmade_profile(Architecture.from_config(LLAMA, name="small", dtype="float32"))
    told = profile.with_communication(FOUND)
    told.save(tmp_path / "profile.parquet")

    assert Profile.load(tmp_path / "profile.parquet").communication == FOUND
    assert told.digest != profile.digest
    profile.save(tmp_path / "plain.parquet")
    assert Profile.load(tmp_path / "plain.parquet").digest == profile.digest


@pytest.mark.parametrize(
    ("key", "value", "complaint"),
    [
        ("messages", [], "'messages' is not a list"),
        ("sums", "many", "'sums' is not a list"),
        ("sums", [{"size_bytes": 10, "seconds": -1.0}], "-1.0 as seconds"),
        ("sums", [{"size_bytes": 10, "seconds": float("nan")}], "nan as seconds"),
        ("sums", [{"size_bytes": 1.5, "seconds": 1.0}], "1.5 as size_bytes"),
        ("messages", [7], "None as size_bytes"),
        ("messages", [{**asdict(FOUND.messages[0]), "awake_send_s": -1.0}], "-1.0 as awake_send_s"),
        ("context", 3, "'context' is 3"),
        ("n_members", True, "True as n_members"),
        ("step_s", None, "None as step_s"),
    ],
)
def test_what_cannot_be_is_refused(key: str, value: Any, complaint: str) -> None:
    facts = json.loads(json.dumps(FOUND.facts())) | {key: value}
    with pytest.raises(ValueError, match=complaint):
        Communication.of(facts)


def test_a_file_that_says_nonsense_of_it_is_damaged(tmp_path: Path) -> None:
    class Odd:
        def facts(self) -> str:
            return "nonsense"

    profile = handmade_profile(Architecture.from_config(LLAMA, name="small", dtype="float32"))
    profile.with_communication(Odd()).save(tmp_path / "odd.parquet")  # type: ignore[arg-type]
    with pytest.raises(ProfileError, match="damaged profile: its communication is 'nonsense'"):
        Profile.load(tmp_path / "odd.parquet")
