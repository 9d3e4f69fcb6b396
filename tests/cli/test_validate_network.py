from __future__ import annotations

import pytest

from edgesim.validate.network import queue_theory, radio_theory, wifi_theory
from edgesim.validate.network.estimates import TheoryComparison, exactly


@pytest.fixture
def closed_forms(monkeypatch: pytest.MonkeyPatch):
    """Closed forms that are there at once, of which the queue's differs as asked."""

    def differ(by: float) -> None:
        one = TheoryComparison("a queue's delay [s]", exactly(1.0 + by), exactly(1.0), 0.05)
        monkeypatch.setattr(queue_theory, "queue_comparisons", lambda *_: [one])

    for room, name in ((radio_theory, "radio_comparisons"), (wifi_theory, "wifi_theory_comparisons")):
        monkeypatch.setattr(room, name, lambda *_: [])
    differ(0.0)
    return differ


def test_without_ns3_the_closed_forms_remain(edgesim, closed_forms, monkeypatch) -> None:
    monkeypatch.setattr("shutil.which", lambda _: None)
    said = edgesim("validate", "network")
    assert said.status == 0
    assert "a queue's delay" in said.out
    assert "no comparison with ns-3: g++ is not installed" in said.out


def test_a_figure_that_misses_ends_with_status_1(edgesim, closed_forms, monkeypatch) -> None:
    monkeypatch.setattr("shutil.which", lambda _: None)
    closed_forms(0.06)
    said = edgesim("validate", "network")
    assert said.status == 1
    assert "missed: a queue's delay [s]" in said.err


def test_recorded_figures_cannot_be_recorded(edgesim, closed_forms, tmp_path) -> None:
    said = edgesim("validate", "network", "--recorded", "--record", tmp_path / "there.json")
    assert said.status == 2
    assert "give only one of them" in said.err
