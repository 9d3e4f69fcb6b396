"""Passes one after the other in one process, against a clock that only known work moves."""

from __future__ import annotations

from typing import Any

import pytest

pytest.importorskip("torch")

from edgesim.measure.real.generation_loops import alone

ENTRY_S, EMBEDDING_S, BLOCKS_S, HEAD_S, CHOICE_S = 2.0, 3.0, 10.0, 4.0, 1.0


class Part:
    """Takes known times, also for choosing a token from its logits."""

    embedding_at_s = ready_at_s = now_s = 0.0

    def cache(self) -> None:
        return None

    def run(self, cache: None, ids: Any, n_context: int) -> Any:
        self.now_s += ENTRY_S
        self.embedding_at_s = self.now_s
        self.now_s += EMBEDDING_S
        self.ready_at_s = self.now_s
        self.now_s += BLOCKS_S

    def logits(self, states: Any) -> Part:
        self.now_s += HEAD_S
        return self

    def argmax(self) -> int:
        self.now_s += CHOICE_S
        return 7


def test_steps_are_what_lies_outside_the_passes_and_the_first_ends_with_the_first_token(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    part: Any = Part()
    monkeypatch.setattr("edgesim.measure.real.generation_loops.perf_counter", lambda: part.now_s)

    found = alone(part, [1, 2], 3)

    pass_s = EMBEDDING_S + BLOCKS_S + HEAD_S
    assert found["before_s"] == ENTRY_S
    assert found["first_step_s"] == ENTRY_S + CHOICE_S
    assert found["steps_s"] == [CHOICE_S + ENTRY_S] * 2
    assert found["ends_s"] == 3 * (EMBEDDING_S + HEAD_S)
    first_s = found["first_step_s"] + pass_s
    assert found["emitted_at_s"] == [[first_s, first_s + 20.0, first_s + 40.0]]
    assert found["ids"] == [[7, 7, 7]]
