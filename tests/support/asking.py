"""A strategy that asks on which device each request is served, and a scenario for it."""

from __future__ import annotations

from edgesim.strategy import Placement, Stage, Strategy

SCENARIO = """
name: asking
seed: 3
{ends}
model: {{architecture: edgesim-tiny, dtype: float32}}
profile: analytic
topology:
  devices:
    - {{id: phone, kind: raspberry-pi-4b}}
    - {{id: box, kind: jetson-orin-nano}}
    - {{id: far, kind: jetson-orin-nano}}
  links:
    - {{between: [phone, box], wired: {{rate: 50 Mbit/s, latency: 5 ms}}}}
    - {{between: [phone, far], wired: {{rate: 1 Mbit/s, latency: 50 ms}}}}
workload:
  {arrivals}
  sources: [phone]
  prompt_tokens: 24
  output_tokens: 4
  {requests}
{more}
strategies:
  - {{use: asking, masks: {masks}, silent: {silent}}}
"""


def text(
    *,
    n_requests: int | None = 12,
    horizon: str = "",
    cooldown: str = "0 s",
    masks: bool = False,
    silent: bool = False,
    arrivals: str = "arrivals: {poisson: 20 Hz}",
    more: str = "",
) -> str:
    return SCENARIO.format(
        ends=f"horizon: {horizon}\ncooldown: {cooldown}" if horizon else "",
        requests="" if n_requests is None else f"requests: {n_requests}",
        masks=str(masks).lower(),
        silent=str(silent).lower(),
        arrivals=arrivals,
        more=more,
    )


class Asking(Strategy):
    """Asks before every request which of the devices serves it."""

    masks: bool = False
    silent: bool = False

    def place(self, model, fleet):
        return Placement(tuple(Stage(device.id, model.whole) for device in fleet.devices))

    def serve(self, request, cluster, placement):
        devices = placement.devices
        seen = [cluster.observe().backlog_s(device) for device in devices]
        there = devices[1]
        if not self.silent:
            allowed = [n != request.id % 3 for n in range(3)] if self.masks else None
            action = yield from cluster.ask(
                "server",
                seen,
                lambda: int(self.masks and request.id % 3 == 0),
                n_actions=3,
                allowed=allowed,
                request=request,
            )
            there = devices[action]
        if there != request.source:
            yield from cluster.send(request, request.source, there, request.prompt_bytes)
        for token in request.tokens():
            yield from cluster.compute(request, there, placement.stages[0].part, token)
            yield from cluster.emit(request, there, token)
