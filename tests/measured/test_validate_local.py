"""`edgesim validate local` from end to end, with models that take no time: its answers, not its times."""

from __future__ import annotations

import json

import psutil
import pytest
from effort import long_only

from edgesim.errors import InputError
from edgesim.measure.real.worker_pool import free_cores
from edgesim.validate.local.results import facts, markdown
from edgesim.validate.local.running import LOGITS_LIMIT, Plan, validate
from edgesim.validate.local.settings import Extent, settings
from edgesim.validate.local.shapes import shape_named

pytest.importorskip("torch")
pytestmark = [pytest.mark.measured, pytest.mark.slow]

CONTEXT = {**shape_named("tiny").config, "num_key_value_heads": 4}
PLAN = Plan(extent=Extent(n_prompt=8, n_out=5), n_repetitions=1, n_runs=1, n_prompts=1, context=CONTEXT)


@pytest.mark.parametrize("name", ["tiny", pytest.param("tiny-gpt2", marks=long_only("a minute"))])
def test_every_setting_runs_and_all_processes_compute_the_same_model(name: str) -> None:
    before = set(psutil.Process().children(recursive=True))
    shape, n_cores = shape_named(name), len(free_cores())
    (result,) = validate([shape], PLAN, lambda what: None)

    assert set(psutil.Process().children(recursive=True)) <= before
    assert [one.setting for one in result.settings] == list(
        settings(min(2, n_cores), n_cores, shape.architecture.n_blocks)
    )
    assert result.has_equal_ids
    assert result.logits_error <= LOGITS_LIMIT
    assert n_cores < 2 or result.logits_error > 0.0  # two ways of adding up never agree to the last bit
    for one in result.settings:
        for each in one.comparisons:
            assert all(value > 0.0 for value in (*each.real, *each.predicted)), (
                one.setting.name,
                each.figure,
            )
    for group in result.groups:
        times_s = [each for part in (group.prompt, group.step) for each in (part.attention_s, part.mlp_s)]
        times_s += [each for point in group.exchanges.points for each in (point.stretch_s, point.exchange_s)]
        assert min(times_s) > 0.0
        assert len(group.exchanges.points) == 4  # of a prompt and a step between stretches of either model
    assert len(result.groups) == (n_cores > 1)
    told = json.loads(json.dumps(facts([result], PLAN)))
    assert told["models"][0]["settings"][0]["name"] == "single device"
    assert markdown([result]).count("\n|") == 2 + sum(len(one.comparisons) for one in result.settings)


def test_what_the_host_cannot_do_is_refused_before_anything_starts() -> None:
    n_cores = len(free_cores())
    with pytest.raises(InputError, match=f"--stages {n_cores + 1}"):
        validate([shape_named("tiny")], Plan(n_stages=n_cores + 1), lambda what: None)
