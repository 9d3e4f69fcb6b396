"""Policies that ship: whole, with the command that remakes them, and of what the scenario is today."""

from __future__ import annotations

import shlex
from itertools import pairwise

import pytest

from edgesim import runner
from edgesim.planning.policies.shipped import shipped_policies
from edgesim.planning.splitting.policy import Policy
from edgesim.scenario.load import load

SHIPPED = sorted(shipped_policies().items())


@pytest.mark.parametrize(("name", "file"), SHIPPED, ids=[name for name, _ in SHIPPED])
def test_it_says_where_it_comes_from_and_is_of_what_stands_there_now(name, file):
    record = Policy.load(file).record
    origin = record.more["provenance"]
    words = shlex.split(origin["command"])
    assert words[:2] == ["edgesim", "train"]
    assert record.observations
    assert origin["evaluation"]["gain_over_best_constant"] > 0
    overrides = [value for option, value in pairwise(words) if option == "--set"]
    scenario = load(words[2], overrides)
    if scenario.profile.use == "auto" or {"--algorithm", "--steps", "--utility"} & set(words):
        return  # its digest is that machine's, or not the strategy's own
    label = origin["strategy"]["label"]
    prepared = runner.prepare(scenario, only=(label,), measure=False, finds_policies=False)
    assert runner.lesson(prepared, label).digest == record.trained_on
