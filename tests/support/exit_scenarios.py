"""Small early_exit scenarios, drawn at random: links, faults, closed loops, batteries, deadlines, caches."""

from __future__ import annotations

from collections.abc import Sequence
from itertools import pairwise
from typing import Any

import numpy as np
import yaml

__all__ = ["drawn_scenario"]

_WIRED = {"rate": "100 Mbit/s", "latency": "1 ms"}
_TASK_RULES = ("jsed", "backpressure")
_RULES = ("dto-ee", "optimum", "cf", "bf", "ngto", "ga", "even")


def drawn_scenario(seed: int) -> str:
    """YAML of one scenario: two contenders on a home, one or two servers to a stage, two or three stages."""
    draw = _Draw(seed)
    stages = [[f"s{stage}-{n}" for n in range(draw.int(1, 2))] for stage in range(draw.int(2, 3))]
    n_tokens = draw.one([1, 1, 2, 16, 20, {"uniform": {"min": 1, "max": 5}}])
    radio = draw.one([None, None, "wifi6", "nr-n78", "nr-n1"])
    radio_between = draw.one([None, None, None, "wifi6", "nr-n78"])
    workload: dict[str, Any] = {
        "sources": "home",
        "prompt_tokens": draw.one([1, 8, {"uniform": {"min": 2, "max": 20}}]),
        "output_tokens": n_tokens,
    }
    workload |= _arrivals(draw)
    scenario: dict[str, Any] = {
        "name": "drawn",
        "seed": seed,
        "model": {"architecture": "gpt2", "dtype": "float16"},
        "profile": "analytic",
        "topology": {
            "devices": _devices(draw, stages),
            "links": _links(stages, radio, radio_between),
        },
        "workload": workload,
    }
    if draw.chance(0.8):
        scenario["quality"] = {"model": "bundled"} | ({"tune_on": "first-half"} if draw.chance(0.5) else {})
    if draw.chance(0.4):
        scenario["horizon"] = draw.one(["2 s", "5 s"])
    if draw.chance(0.3):
        scenario["replications"] = 2
    if draw.chance(0.4):
        scenario["faults"] = _faults(draw, stages, is_wired=radio is None)
        if draw.chance(0.7):
            scenario["retry"] = {"limit": 2, "backoff": "0.05 s", "growth": 2}
    is_long = n_tokens != 1
    scenario["strategies"] = [
        _strategy(draw, stages, has_quality="quality" in scenario, is_long=is_long, label=label)
        for label in ("one", "two")
    ]
    return yaml.safe_dump(scenario, sort_keys=False)


class _Draw:
    """Draws of one seed."""

    def __init__(self, seed: int) -> None:
        self._rng = np.random.default_rng(seed)

    def one(self, of: Sequence[Any]) -> Any:
        return of[int(self._rng.integers(len(of)))]

    def int(self, least: int, most: int) -> int:
        return int(self._rng.integers(least, most + 1))

    def chance(self, probability: float) -> bool:
        return bool(self._rng.random() < probability)


def _arrivals(draw: _Draw) -> dict[str, Any]:
    ends = {"requests": draw.int(5, 30)}
    rate_hz = draw.one([2, 10, 40])
    kind = draw.int(0, 3)
    if kind == 0:
        return {"users": {"count": draw.int(1, 4), "think": {"exponential": "0.2 s"}}} | ends
    if kind == 1:
        turns = {"turns": {"uniform": {"min": 1, "max": 3}}, "think": {"exponential": "0.2 s"}}
        return {"arrivals": {"poisson": f"{rate_hz} Hz"}, "sessions": turns} | ends
    return {"arrivals": {"poisson": f"{rate_hz} Hz"}} | ends


def _devices(draw: _Draw, stages: Sequence[Sequence[str]]) -> list[dict[str, Any]]:
    home: dict[str, Any] = {"id": "home", "kind": "phone", "count": 2, "place": {"grid": "10 m"}}
    if draw.chance(0.2):
        home["battery"] = {"capacity": draw.one(["5 J", "100 J"])}
    devices = [home]
    for stage, servers in enumerate(stages):
        for number, server in enumerate(servers):
            kind = draw.one(["jetson-tx2", "jetson-orin-nx", "jetson-agx-orin"])
            there: dict[str, Any] = {"id": server, "kind": kind, "forwards": True}
            there["place"] = {"at": [f"{20 + 10 * stage} m", f"{10 * number} m"]}
            if draw.chance(0.3):
                there["service"] = "exponential"
            if draw.chance(0.2):
                there["speed"] = {"schedule": [{"from": "0.5 s", "factor": 0.5}]}
            if draw.chance(0.15):
                there["battery"] = {"capacity": draw.one(["20 J", "60 J"])}
            devices.append(there)
    return devices


def _links(
    stages: Sequence[Sequence[str]], radio: str | None, radio_between: str | None
) -> list[dict[str, Any]]:
    """Homes by radio or by wire to the first stage; each server to all of the next stage."""
    first = {"radio": radio} if radio else {"wired": dict(_WIRED)}
    links = [{"between": ["home", server]} | first for server in stages[0]]
    if radio:
        links = [
            {"between": ["home", stages[0][0]], "radio": radio},
            *({"between": ["home", server], "wired": dict(_WIRED)} for server in stages[0][1:]),
        ]
    for before, after in pairwise(stages):
        for sender in before:
            for server in after:
                way = {"wired": dict(_WIRED)}
                if radio_between and sender == before[0] and server == after[0]:
                    way = {"radio": radio_between}
                links.append({"between": [sender, server]} | way)
    return links


def _faults(draw: _Draw, stages: Sequence[Sequence[str]], *, is_wired: bool) -> list[dict[str, Any]]:
    server = draw.one([server for servers in stages for server in servers])
    found: list[dict[str, Any]] = []
    if draw.chance(0.6):
        found.append({"device": server, "mtbf": "1 s", "mttr": "0.1 s"})
    if draw.chance(0.6) or not found:
        found.append({"link": [stages[0][0], stages[1][0]], "down": [["0.2 s", "0.6 s"]]})
    return found


def _strategy(
    draw: _Draw, stages: Sequence[Sequence[str]], *, has_quality: bool, is_long: bool, label: str
) -> dict[str, Any]:
    rules = _RULES if is_long else _RULES + _TASK_RULES
    made: dict[str, Any] = {"use": "early_exit", "label": label, "offloading": draw.one(rules)}
    made["stages"] = [list(servers) for servers in stages]
    if made["offloading"] == "ga":
        made["evaluations"] = 80
    if has_quality:
        made["thresholds"] = draw.one(["auto", "none", 0.3, "never", "tuned"])
        rule = draw.one(["confidence", "confidence", "entropy", "channel-aware"])
        made["caches"] = draw.one(["recompute", "propagate", "same-path"])
        if made["caches"] == "propagate" and is_long:
            rule = "confidence"
        if rule == "entropy" and made["thresholds"] == "none":
            made["thresholds"] = "auto"
        if rule == "channel-aware":
            made["thresholds"] = "auto"
        made["exit_rule"] = rule
    shape = draw.int(0, 9)
    if shape == 0:  # every server serves all stages
        made["stages"] = [[server for servers in stages for server in servers]] * len(stages)
        made["reach"] = "routes"
    elif shape == 1:  # end devices may be the first stage themselves
        made["stages"][0] = ["home", *made["stages"][0]]
        made["reach"] = "routes"
    elif shape == 2 and has_quality:
        made["cuts"] = [6] if len(stages) == 2 else [3, 5]
    if draw.chance(0.3):
        made["drop_late"] = draw.one(["20 ms", "100 ms", "1 s"])
    if draw.chance(0.5):
        made["period"] = draw.one(["0.1 s", "1 s"])
    if draw.chance(0.3):
        made["start"] = "uniform"
    if draw.chance(0.2):
        made["reach"] = "routes"
    if draw.chance(0.2):
        made["message"] = draw.one(["1 B", "10 kB"])
    return made
