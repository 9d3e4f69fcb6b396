"""How preparing grows with the number of devices: a star of 100, 1,000 and 10,000 terminals about one server.

Each size is prepared in a process of its own (layout, requests, timings, world, placements, and every route
there and back), so that the largest memory is its own. Printed are CPU seconds without importing, largest
resident memory, and the exponent of growth between sizes: 1 is linear.

    python benchmarks/prepare.py [N ...]
"""

from __future__ import annotations

import json
import math
import resource
import subprocess
import sys
import time
from itertools import pairwise

from edgesim.runner import prepare
from edgesim.scenario.load import parse
from edgesim.world.fleet import Fleet

SIZES = (100, 1_000, 10_000)
MEGABYTE = 1024  # kB, in which Linux counts resident memory

TEXT = """
name: star
seed: 1
horizon: 60 s
profile: analytic
model: {{architecture: edgesim-tiny, dtype: float32}}
topology:
  devices:
    - {{id: camera, kind: raspberry-pi-4b, count: {n}}}
    - {{id: box, kind: jetson-agx-orin}}
  switches: [{{id: hub}}]
  links:
    - {{between: [camera, hub], wired: {{rate: 50 Mbit/s, latency: 5 ms}}}}
    - {{between: [box, hub], wired: {{rate: 10 Gbit/s, latency: 0.1 ms}}}}
workload: {{arrivals: {{poisson: 20 Hz}}, sources: camera, prompt_tokens: 24, output_tokens: 16}}
strategies: [{{use: local}}, {{use: offload, to: box}}]
"""


def measured(n: int) -> dict[str, float]:
    """CPU seconds and megabytes of preparing a star of so many devices, here and now."""
    began_s = time.process_time()
    prepared = prepare(parse(TEXT.format(n=n), name="star.yaml"))
    fleet = Fleet.of(prepared.world(0), prepared.longest)
    for camera in prepared.workload.sources:  # every route that a run could ask for
        fleet.transfer_seconds(camera, "box", 1000)
        fleet.transfer_seconds("box", camera, 1000)
    took_s = time.process_time() - began_s
    return {"took_s": took_s, "memory_mb": resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / MEGABYTE}


def main(sizes: tuple[int, ...]) -> None:
    found = {}
    for n in sizes:
        done = subprocess.run(
            [sys.executable, __file__, "--one", str(n)], capture_output=True, text=True, check=True
        )
        found[n] = json.loads(done.stdout)
        print(
            f"{n:7,} devices: {found[n]['took_s']:7.2f} s of CPU, {found[n]['memory_mb']:5.0f} MB", flush=True
        )
    for few, many in pairwise(sizes):
        exponent = math.log(found[many]["took_s"] / found[few]["took_s"]) / math.log(many / few)
        print(f"from {few:,} to {many:,}: exponent {exponent:.2f}")


if __name__ == "__main__":
    if sys.argv[1:2] == ["--one"]:
        print(json.dumps(measured(int(sys.argv[2]))))
    else:
        main(tuple(map(int, sys.argv[1:])) or SIZES)
