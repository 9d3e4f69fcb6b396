"""A phone that asks and a box that may answer, as scenario text: small, analytic, quick to run."""

from __future__ import annotations

from pathlib import Path

from edgesim import runner
from edgesim.scenario.load import parse
from edgesim.trace.reader import Trace

STREET = """
name: street
seed: 5
replications: 2
horizon: 10 s
model: {{architecture: edgesim-tiny, dtype: float32}}
profile: analytic
topology:
  devices:
    - {{id: phone, kind: raspberry-pi-4b}}
    - {{id: box, kind: jetson-orin-nano}}
  links:
    - {{between: [phone, box], wired: {{rate: {rate}, latency: {latency}}}}}
workload:
  sources: phone
  arrivals: {{poisson: {arrivals}}}
  prompt_tokens: {{uniform: {{min: 8, max: 24}}}}
  output_tokens: 8
strategies:
  - {strategy}
"""


def street(strategy: str, *, rate: str = "50 Mbit/s", latency: str = "5 ms", arrivals: str = "1 Hz") -> str:
    """The text of a scenario."""
    return STREET.format(strategy=strategy, rate=rate, latency=latency, arrivals=arrivals)


def simulated(text: str, folder: Path) -> Trace:
    """Run it."""
    return runner.run(runner.prepare(parse(text, name="street.yaml")), folder)
