"""A phone and an edge on a wire: the smallest scenario in which a model of four blocks is cut between two."""

from __future__ import annotations

_SCENARIO = """
name: {name}
seed: 1
horizon: {horizon}
model: {{architecture: edgesim-tiny, dtype: float32}}
profile: analytic
topology:
  devices:
    - {{id: phone, kind: phone}}
    - {{id: edge, kind: jetson-orin-nano}}
  links:
    - {{between: [phone, edge], wired: {{rate: 50 Mbit/s, latency: 5 ms}}}}
workload: {{arrivals: {{{arrivals}}}, sources: [phone], prompt_tokens: {prompt}, output_tokens: {output}}}
strategies:
{strategies}
"""


def one_phone(*strategies: str, name: str, horizon: str, arrivals: str, prompt: int, output: int) -> str:
    return _SCENARIO.format(
        name=name,
        horizon=horizon,
        arrivals=arrivals,
        prompt=prompt,
        output=output,
        strategies="\n".join(f"  - {each}" for each in strategies),
    )
