"""A cell reaches as far as a slow walk outwards still finds both directions carrying something."""

from __future__ import annotations

import math

from edgesim.scenario.load import parse
from edgesim.scenario.radio.reach import reach_m
from edgesim.world.world import World

TEXT = """
name: reach
horizon: 60 s
profile: analytic
model: {{architecture: edgesim-tiny, dtype: float32}}
topology:
  devices:
    - {{id: phone, kind: raspberry-pi-4b, place: {{at: [{x} m, 0 m]}}}}
    - {{id: box, kind: jetson-orin-nano, place: {{at: [0 m, 0 m]}}}}
  links:
    - between: [phone, box]
      radio: nr-n78
      propagation: {{model: 3gpp-umi, los: always, shadowing: false}}
      fading: none
workload: {{arrivals: {{poisson: 1 Hz}}, sources: phone, prompt_tokens: 4, output_tokens: 1}}
strategies: [{{use: local}}]
"""


def world(x_m: float) -> World:
    from edgesim.runner import prepare

    return prepare(parse(TEXT.format(x=f"{x_m:.6f}"), name="reach.yaml")).world(0)


def carries(x_m: float) -> bool:
    (link,) = world(x_m).links
    assert link.radio is not None
    return all(link.radio.link.state(0.0, uplink=uplink).rate_bps > 0 for uplink in (True, False))


def test_reach_ends_where_a_terminal_that_stands_there_is_out_of_reach() -> None:
    (link,) = world(20.0).links
    assert link.radio is not None
    found = reach_m(link.radio.link)
    assert found is not None
    assert found > 100.0
    assert carries(0.999 * found)
    assert not carries(1.001 * found)
    assert math.isfinite(found)
