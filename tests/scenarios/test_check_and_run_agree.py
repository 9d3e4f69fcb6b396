"""What a check finds sound runs, and what a run refuses a check has found: over random scenarios, many wrong.

Nobody says beforehand which are wrong: the two are held against one another, and a run that is refused must
have been refused before time zero, and must leave nothing behind.
"""

from __future__ import annotations

import random
from pathlib import Path
from typing import Any

import pytest
from effort import sized

from edgesim import runner
from edgesim.api.running import _plain
from edgesim.errors import InputError
from edgesim.scenario.load import parse

KINDS = ("raspberry-pi-5", "raspberry-pi-4b", "jetson-orin-nano", "jetson-agx-orin", "phone")
SERVING = (
    "fifo",
    "processor-sharing",
    {"static": {"max_batch": 3, "max_wait": "10 ms"}},
    {"continuous": {"max_batch": 2, "max_tokens": 64}},
    {"continuous": {"max_batch": 2, "cache": "reserve"}},
    {"fifo": {"queue_limit": 2}},
)
STRATEGIES: tuple[dict[str, Any], ...] = (
    {"use": "local"},
    {"use": "offload", "to": "srv"},
    {"use": "offload", "to": ["st", "srv"]},
    {"use": "pipeline", "over": "srv", "partition": "even"},
    {"use": "pipeline", "over": ["st", "srv"], "partition": "latency"},
    {"use": "pipeline", "over": ["src", "srv"], "partition": "memory"},
    {"use": "tensor_parallel", "over": "srv", "all_reduce": "ring"},
    {"use": "tensor_parallel", "over": "src", "all_reduce": "aircomp", "energy": "2.5 uJ"},
    {"use": "early_exit", "stages": ["st", "srv"], "cuts": [2], "thresholds": 0.5, "reach": "routes"},
    {"use": "rl_split", "to": "srv", "splits": [1, 2, 3], "policy": "greedy"},
)
FADING = ("rayleigh", "none", {"rician": {"k": "9 dB"}}, "environment")
WAYPOINT = {
    "random-waypoint": {
        "area": {"size": ["200 m", "80 m"]},
        "speed": ["1 m/s", "9 m/s"],
        "pause": ["0 s", "5 s"],
    }
}


def scenario(draw: random.Random) -> dict[str, Any]:
    """A small one that means to be sound, of any features that there are."""
    src: dict[str, Any] = {"id": "src", "kind": draw.choice(KINDS), "count": draw.randint(1, 3)}
    st = {"id": "st", "kind": draw.choice(KINDS), "count": draw.randint(1, 3), "place": {"grid": "60 m"}}
    srv: dict[str, Any] = {"id": "srv", "kind": draw.choice(KINDS), "count": draw.randint(1, 3)}
    is_on_air = draw.random() < 0.7
    src |= {"mobility": WAYPOINT} if is_on_air and draw.random() < 0.5 else {"place": {"grid": "40 m"}}
    for device in (st, srv):
        if draw.random() < 0.5:
            device["serving"] = draw.choice(SERVING)
        if draw.random() < 0.3:
            device |= {"memory": draw.choice(["60 MB", "200 MB"]), "process_memory": "1 MB"}
    if draw.random() < 0.3:
        draw.choice([src, st])["battery"] = {"capacity": draw.choice(["1 J", "200 J"])}
    st["forwards"] = True
    first: dict[str, Any] = {"between": ["src", "st"]}
    if is_on_air:
        first["radio"] = {"use": draw.choice(["nr-n78", "nr-n78", "wifi6", "wifi5", "nr-n1"])}
        if draw.random() < 0.5:
            first["fading"] = draw.choice(FADING)
        if draw.random() < 0.2 and "place" in src and st["count"] == 1:
            first["over_the_air"] = {"antennas": {"station": 8, "terminal": 2}, "coherence": "20 ms"}
        elif draw.random() < 0.4:
            first["csi"] = {"error": 0.3}
        else:
            first |= {"interference": True} if draw.random() < 0.4 else {}
        if st["count"] > 1 and draw.random() < 0.5:
            first |= {"handover": {}}
        elif "place" in src and draw.random() < 0.3:
            first |= {"connect": "nearest"}
    else:
        first["wired"] = {"rate": draw.choice(["100 kbit/s", "1 Gbit/s"]), "latency": "5 ms"}
    links = [first, {"between": ["st", "sw"], "wired": {"rate": "1 Gbit/s"}}]
    links.append({"between": ["srv", "sw"], "wired": {"rate": "1 Gbit/s", "latency": "1 ms"}})
    workload: dict[str, Any] = {
        "sources": "src",
        "prompt_tokens": draw.choice([8, {"uniform": {"min": 1, "max": 40}}]),
    }
    workload["output_tokens"] = draw.choice([1, 6])
    if draw.random() < 0.2:
        workload |= {"users": {"count": 2, "think": "100 ms"}, "requests": 4}
    else:
        workload |= {"arrivals": {"poisson": draw.choice(["2 Hz", "20 Hz"])}, "requests": draw.choice([3, 8])}
    told: dict[str, Any] = {
        "name": "drawn",
        "seed": draw.randrange(10**6),
        "profile": draw.choice(["analytic", "analytic", "reference"]),
        "model": {"architecture": "edgesim-tiny", "dtype": "float32"},
        "topology": {"devices": [src, st, srv], "switches": [{"id": "sw"}], "links": links},
        "workload": workload,
        "strategies": draw.sample(STRATEGIES, 3),
    }
    if draw.random() < 0.5:
        told["horizon"] = "3 s"
    if draw.random() < 0.4:
        told["quality"] = "bundled"
    if draw.random() < 0.4:
        what = draw.choice([{"device": "srv"}, {"link": ["srv", "sw"]}])
        told["faults"] = [what | {"down": [["1 s", "2 s"]]}]
        told["retry"] = {"limit": 2, "backoff": "100 ms"}
    return told


def spoiled(told: dict[str, Any], draw: random.Random) -> None:
    """Change one thing, as somebody might who makes a mistake; it need not be one."""
    topology, workload, link = told["topology"], told["workload"], draw.choice(told["topology"]["links"])
    device = draw.choice(topology["devices"])
    changes = (
        lambda: topology["links"].remove(link),  # cells without a way home
        lambda: topology["links"].append({**link, "between": link["between"][::-1]}),
        lambda: link.update(between=[link["between"][0], "nowhere"]),
        lambda: device.update(kind="nope"),
        lambda: device.update(count=draw.choice([0, 1, 40])),
        lambda: device.update(memory=draw.choice(["1 kB", "2 MB", "1 GB"]), process_memory="1 MB"),
        lambda: device.update(serving={"continuous": {"max_batch": 600}}),
        lambda: device.update(serving={"static": {"max_batch": 64}}),
        lambda: device.pop("place", None),
        lambda: device.update(place={"at": ["99 km", "0 m"]}),
        lambda: device.update(profile="none.parquet"),
        lambda: device.update(battery={"capacity": "0 J"}),
        lambda: workload.update(
            prompt_tokens=draw.choice([900, 1020, 5000, {"lognormal": {"median": 500, "sigma": 2}}])
        ),
        lambda: workload.update(output_tokens=draw.choice([900, 5000])),
        lambda: workload.update(sources=draw.choice(["srv", "sw", "nope", ["src", "st"]])),
        lambda: workload.update(weights={"st": 2.0}),
        lambda: workload.update(trace={"file": "none.csv"}),
        lambda: workload.update(arrivals={"poisson": "1e-9 Hz"}),
        lambda: told.update(warmup=draw.choice(["2.9 s", "100 s"])),
        lambda: told.update(horizon="1 us"),
        lambda: told.update(
            model={"architecture": draw.choice(["gpt2", "bert-base", "nope"]), "dtype": "float32"}
        ),
        lambda: told.update(model={"architecture": "edgesim-tiny", "dtype": "bfloat16", "weights": "q40"}),
        lambda: told.update(profile=draw.choice(["none.parquet", "reference", "auto"])),
        lambda: told.update(
            quality=draw.choice([{"table": "none.csv"}, {"exits": "none.parquet"}, "bundled"])
        ),
        lambda: told.update(faults=[{"device": "nope", "down": [["1 s", "2 s"]]}]),
        lambda: told["strategies"].append({"use": "offload", "to": draw.choice(["sw", "nope", "src"])}),
        lambda: told["strategies"].append({"use": "pipeline", "over": "srv", "partition": [1, 400]}),
        lambda: told["strategies"].append({"use": "tensor_parallel", "over": ["src", "srv"]}),
        lambda: told["strategies"].append(
            {"use": "early_exit", "stages": ["st"], "cuts": [3, 2], "thresholds": 2}
        ),
        lambda: told["strategies"].append({"use": "rl_split", "to": "srv"}),
        lambda: told["strategies"].append({"use": "local", "label": "a/b"}),
    )
    draw.choice(changes)()


def refusal(make: Any) -> str | None:
    try:
        make()
    except InputError as error:
        return str(error)
    return None


def disagreements(seeds: range, tmp_path: Path) -> tuple[list[str], int]:
    """Where check and run differ, or a refused run left something; and how many were refused."""
    found, n_refused = [], 0
    for seed in seeds:
        draw = random.Random(seed)
        told = scenario(draw)
        for _ in range(draw.choice([0, 0, 1, 1, 2])):
            spoiled(told, draw)
        text, out = yaml(told), tmp_path / "made" / str(seed)
        checked = refusal(lambda text=text: runner.prepare(parse(text, name="drawn.yaml"), measure=False))

        def simulate(text: str = text, out: Path = out) -> None:
            # A run measures; here it must not, and a profile that is not at hand counts as analytic.
            ready = runner.prepare(parse(text, name="drawn.yaml"), measure=False)
            runner.run(ready, out)

        ran = refusal(simulate)
        n_refused += ran is not None
        is_untrained = ran is not None and "needs training, and no policy" in ran
        if (checked is None) != (ran is None) and not is_untrained:
            found.append(f"{seed}: checked: {checked}; ran: {ran}\n{text}")
        if ran is not None and (tmp_path / "made").exists() and out.exists():
            found.append(f"{seed}: {ran} left {sorted(path.name for path in out.rglob('*'))}")
        if checked is not None and not checked.startswith("drawn.yaml:"):
            found.append(f"{seed}: says not where: {checked}")
    return found, n_refused


def yaml(told: dict[str, Any]) -> str:
    from io import StringIO

    from ruamel.yaml import YAML

    stream = StringIO()
    YAML().dump(_plain(told, ()), stream)
    return stream.getvalue()


def test_check_and_run_agree_on_random_scenarios(tmp_path: Path) -> None:
    found, n_refused = disagreements(range(12), tmp_path)
    assert found == []
    assert 2 < n_refused < 11


@pytest.mark.slow
def test_they_agree_on_many(tmp_path: Path) -> None:
    n_drawn = sized(150, 200)
    found, n_refused = disagreements(range(1000, 1000 + n_drawn), tmp_path)
    assert found == []
    assert 0.2 < n_refused / n_drawn < 0.8
