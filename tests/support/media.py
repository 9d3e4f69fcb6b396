"""Small cities on every medium, some of whose devices fail, run out of battery or move about."""

from __future__ import annotations

from functools import cache

from edgesim.runner import prepare
from edgesim.scenario.load import parse
from edgesim.world.world import World

TEXT = """\
name: looked-at
seed: 3
model: {architecture: gpt2, dtype: float32}
profile: analytic
horizon: 2 s
topology:
  devices:
    - {id: user, kind: raspberry-pi-5, count: 4, WHERE}
    - {id: cell, kind: rtx-3090, count: 2, forwards: true, place: {grid: 120 m, corner: [20 m, 20 m]}}
  links:
    - {between: [user, cell], LINK}
    - {between: [cell, cell], wired: {rate: 100 Mbit/s}}
FAULTS
workload:
  sources: user
  arrivals: {poisson: 8 Hz}
  prompt_tokens: 200
  output_tokens: 8
  prompt_bytes_per_token: 2000
strategies: [{use: offload, to: cell}]
"""
STANDS = "place: {grid: 60 m}"
MOVES = "mobility: {random-waypoint: {area: {size: [200 m, 60 m]}, speed: [5 m/s, 12 m/s]}}"
BATTERY = "battery: {capacity: 6 J}"
FADES = "fading: {law: rayleigh, process: block}"


NEAREST = "connect: nearest, radio:"
CHANGES = "radio: nr-n78, interference: true, handover: {in_flight: keep}"
BREAKS = "faults: [{link: [user, cell], mtbf: 600 ms, mttr: 200 ms}, {device: user, mtbf: 1 s, mttr: 300 ms}]"
MEDIA = {
    "wired": (STANDS, "connect: nearest, wired: {rate: 10 Mbit/s}", ""),
    "wired, failing": (STANDS, "connect: nearest, wired: {rate: 10 Mbit/s}", BREAKS),
    "no slots": (
        f"{STANDS}, {BATTERY}",
        f"{NEAREST} {{use: nr-n78, adaptation: shannon}}, interference: true, {FADES}",
        "",
    ),
    **{
        f"slots, {access}": (
            f"{STANDS}, {BATTERY}",
            f"{NEAREST} {{use: nr-n78, access: {access}}}, interference: true, {FADES}",
            "",
        )
        for access in ("equal", "round-robin", "proportional-fair", "max-rate")
    },
    "slots, failing": (STANDS, f"{NEAREST} nr-n78, interference: true", BREAKS),
    "late estimates": (
        STANDS,
        f"{NEAREST} nr-n78, fading: rayleigh, csi: {{error: 0.3, delay: 4 ms}}",
        "",
    ),
    "wifi": (STANDS, f"{NEAREST} wifi6, interference: true, {FADES}", ""),
    "wifi, failing": (STANDS, f"{NEAREST} wifi6", BREAKS),
    "wifi, loaded": (STANDS, f"{NEAREST} wifi6, interference: {{load: 0.3}}", ""),
    "handover": (f"{MOVES}, {BATTERY}", CHANGES, ""),
    "handover on wifi": (MOVES, CHANGES.replace("nr-n78", "wifi6"), ""),
}


@cache
def city(medium: str) -> World:
    """The world of one of the media."""
    where, link, faults = MEDIA[medium]
    text = TEXT.replace("WHERE", where).replace("LINK", link).replace("FAULTS", faults)
    scenario = parse(text, name="looked-at.yaml")
    prepared = prepare(scenario)
    return prepared.world(0)
