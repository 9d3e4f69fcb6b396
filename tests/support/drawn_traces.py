"""A small trace to draw: two devices, two strategies, two replications, a link, and places."""

from __future__ import annotations

from pathlib import Path

from edgesim import runner
from edgesim.scenario.load import parse
from edgesim.trace.reader import Trace

__all__ = ["small_trace"]

TEXT = """
name: small-street
seed: {seed}
replications: 2
horizon: 6 s
model: {{architecture: edgesim-tiny, dtype: float32}}
profile: analytic
topology:
  devices:
    - {{id: phone, kind: raspberry-pi-4b, count: 2, place: {{grid: 30 m, columns: 2}}}}
    - {{id: box, kind: jetson-orin-nano, place: {{at: [15 m, 40 m]}}}}
    - {{id: far, kind: jetson-orin-nano}}
  links:
    - {{between: [phone, box], radio: nr-n78}}
    - {{between: [box, far], wired: {{rate: 50 Mbit/s, latency: 5 ms}}}}
workload:
  sources: phone
  arrivals: {{poisson: {rate}}}
  prompt_tokens: 24
  output_tokens: 4
objectives: {{ttft: 200 ms}}
strategies:
  - {{use: local}}
  - {{use: offload, to: far, label: far_wide}}
"""


def small_trace(folder: Path, *, rate: str = "4 Hz", seed: int = 1) -> Trace:
    """Simulate it."""
    scenario = parse(TEXT.format(rate=rate, seed=seed), name="street.yaml")
    return runner.run(runner.prepare(scenario), folder)
