"""Scenarios with an encoder: one pass a request, whose answer takes no room in the context."""

from __future__ import annotations

from typing import Any

import pytest

from edgesim.errors import InputError
from edgesim.scenario.build import extent

BERT = ("model.architecture=bert-base", "workload.output_tokens=1")


def test_a_text_may_fill_the_context_since_the_answer_is_no_part_of_it(changed: Any) -> None:
    assert extent(changed("", "", *BERT, "workload.prompt_tokens=512")).n_tokens == 513


@pytest.mark.parametrize(
    ("override", "message"),
    [
        ("workload.output_tokens=3", "output_tokens: bert-base is an encoder: its one answer counts as 1"),
        ("workload.prompt_tokens=513", "a prompt of 513 tokens exceeds the context of bert-base, 512 tokens"),
    ],
)
def test_lengths_that_an_encoder_has_not_are_refused(changed: Any, override: str, message: str) -> None:
    with pytest.raises(InputError, match=message):
        changed("", "", *BERT, override)


def test_answers_that_are_drawn_too_long_are_refused_too(changed: Any) -> None:
    drawn = "workload.output_tokens={lognormal: {median: 20, sigma: 0.1}}"
    with pytest.raises(InputError, match="output tokens is drawn, but bert-base is an encoder"):
        extent(changed("", "", *BERT, drawn))
