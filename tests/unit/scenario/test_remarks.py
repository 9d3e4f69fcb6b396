"""What checks say of sound scenarios: implausible rates by way, and who is present when, counted by hand."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import pytest

from edgesim.scenario.build import resolve
from edgesim.scenario.remarks import remarks
from edgesim.scenario.schema.scenario import Scenario

Parse = Callable[..., Scenario]
OLD = "wired: {rate: 100 Mbit/s, latency: 2 ms}"


def said(scenario: Scenario) -> tuple[str, ...]:
    return remarks(resolve(scenario))


@pytest.mark.parametrize(
    ("link", "expected"),
    [
        (OLD, []),
        ("wired: {rate: 1 kbit/s}", []),
        ("wired: {rate: 1 Tbit/s}", []),
        ("wired: {rate: 999 bit/s}", ["the link from 'phone-0' to 'box' (and 1 more) has 999 bit/s; links"]),
        ("wired: {rate: 2 Tbit/s}", ["the link from 'phone-0' to 'box' (and 1 more) has 2e+12 bit/s; links"]),
        (
            "wired: {rate: {up: 1 Mbit/s, down: 5 bit/s}}",
            ["the link from 'box' to 'phone-0' (and 1 more) has 5 bit/s; links have 1 kbit/s to 1 Tbit/s"],
        ),
        (
            "recorded: {file: slow.csv}",
            ["'phone-0' to 'box' (and 1 more) was recorded with a mean of 6 bit/s"],
        ),
        ("recorded: {file: slow.csv, unit: bit/s}", ["was recorded with a mean of 6 bit/s; links have"]),
    ],
)
def test_rates_that_no_link_has(changed: Parse, link: str, expected: list[str], tmp_path: Path) -> None:
    (tmp_path / "slow.csv").write_text("t,rate_bps\n0,4\n1,8\n2,0\n")
    found = said(changed(OLD, link.replace("slow.csv", str(tmp_path / "slow.csv"))))
    assert len(found) == len(expected)
    assert all(part in remark for part, remark in zip(expected, found, strict=True))


def test_a_unit_that_was_guessed_is_said(changed: Parse, tmp_path: Path) -> None:
    (tmp_path / "rate.csv").write_text("t,rate\n0,1000000\n1,2000000\n2,0\n")
    (remark,) = said(changed(OLD, f"recorded: {{file: {tmp_path}/rate.csv}}"))
    assert "'phone-0' to 'box' (and 1 more) does not give the unit of its rates" in remark
    assert "read as bit/s (not bytes), 1.5e+06 on average" in remark
    assert said(changed(OLD, f"recorded: {{file: {tmp_path}/rate.csv, unit: bit/s}}")) == ()


def test_many_comings_and_goings_are_summed_up(changed: Parse, tmp_path: Path) -> None:
    """Eight of ten devices are there for 19 s each, two throughout: 2 + 8 * 19 / 34 on average until 34 s."""
    rows = ["t,id,x,y"]
    for n in range(10):
        first_s, last_s = (2 * n + 1, 2 * n + 20) if n < 8 else (0, 60)
        rows += [f"{t},phone-{n},{n},0" for t in range(first_s, last_s + 1)]
    (tmp_path / "ways.csv").write_text("\n".join(rows))
    moving = f"count: 10, mobility: {{track: {{file: {tmp_path}/ways.csv}}}}"
    told = changed("count: 2", moving)
    (presence, _) = said(told.model_copy(update={"horizon_s": 60.0}))
    assert (
        "phone: of 10 devices, present by the recorded tracks: 2 at 0 s, at most 10 (from 15 s), 6.47 on "
        "average until 34 s, 2 from then on"
    ) in presence
