"""Variants of the shipped scenarios that change nothing that is forbidden: all of them must be accepted.

Each is a few changes to one scenario, drawn by a seed: its text otherwise written, units otherwise chosen,
numbers moved within what they stand for, options added. Refusing more is no cure for bad input.
"""

from __future__ import annotations

import json
import random
import re
from collections.abc import Callable, Iterator
from typing import Any

from ruamel.yaml import YAML

from edgesim.scenario.text.packaged import packaged_scenarios

__all__ = ["variants"]

Tree = dict[str, Any]
Change = Callable[[random.Random, Tree], str | None]
"""Changes a scenario in place and says how; None where it has nothing to change."""

_UNITS: dict[str, tuple[tuple[str, float], ...]] = {
    "s": (("s", 1.0), ("ms", 1e-3), ("min", 60.0), ("us", 1e-6)),
    "m": (("m", 1.0), ("km", 1e3), ("cm", 1e-2)),
    "Hz": (("Hz", 1.0), ("kHz", 1e3), ("MHz", 1e6)),
    "bit/s": (("bit/s", 1.0), ("kbit/s", 1e3), ("Mbit/s", 1e6), ("Gbit/s", 1e9), ("Mbps", 1e6)),
    "W": (("W", 1.0), ("mW", 1e-3)),
}
_BASE = {unit: (base, size) for base, units in _UNITS.items() for unit, size in units}
_QUANTITY = re.compile(r"([0-9.]+(?:e[+-]?[0-9]+)?) ([A-Za-z/]+)")


def variants(first_seed: int, count: int) -> Iterator[tuple[str, str]]:
    """Yield names and texts, of each shipped scenario in turn."""
    shipped = {name: file.read_text(encoding="utf-8") for name, file in sorted(packaged_scenarios().items())}
    names = list(shipped)
    for seed in range(first_seed, first_seed + count):
        name = names[seed % len(names)]
        rng = random.Random(f"lawful/{seed}")
        tree: Tree = YAML(typ="safe", pure=True).load(shipped[name])
        _cut_down(tree)
        made = []
        for change in rng.sample(_CHANGES, rng.randint(1, 4)):
            said = change(rng, tree)
            if said is not None:
                made.append(said)
        text = _written(rng, tree)
        yield f"{seed} {name}: {', '.join(made) or 'as it is'}", text


def _cut_down(tree: Tree) -> None:
    """So that preparing it takes a second: nothing is measured, and one replication is asked for."""
    tree["replications"], tree["profile"] = 1, "analytic"


def _written(rng: random.Random, tree: Tree) -> str:
    """As YAML or JSON, with comments, blank lines, other ends of lines, or a byte order mark."""
    text = json.dumps(tree, indent=rng.choice([None, 1, 2]), ensure_ascii=rng.random() < 0.5)
    if rng.random() < 0.5:
        text = "# a comment: café \u2028 \U0001f600\n\n" + text + "\n\n# the end\n"
    if rng.random() < 0.3:
        text = text.replace("\n", "\r\n")
    return ("\ufeff" if rng.random() < 0.3 else "") + text


def _places(tree: Any, at: tuple[Any, ...] = ()) -> Iterator[tuple[tuple[Any, ...], Any]]:
    yield at, tree
    items = tree.items() if isinstance(tree, dict) else enumerate(tree) if isinstance(tree, list) else ()
    for key, value in items:
        yield from _places(value, (*at, key))


def _put(tree: Any, at: tuple[Any, ...], value: object) -> None:
    for step in at[:-1]:
        tree = tree[step]
    tree[at[-1]] = value


def _other_unit(rng: random.Random, tree: Tree) -> str | None:
    """Write a quantity in another unit of its dimension, or with another blank."""
    found = [
        (at, match)
        for at, value in _places(tree)
        if isinstance(value, str) and (match := _QUANTITY.fullmatch(value)) and match[2] in _BASE
    ]
    if not found:
        return None
    at, match = rng.choice(found)
    base, size = _BASE[match[2]]
    unit, other = rng.choice(_UNITS[base])
    if unit in ("min", "us", "cm") and base != "s":
        unit, other = match[2], size
    number = f"{float(match[1]) * size / other:.12g}"
    _put(tree, at, f"{number}{rng.choice(['', ' ', '  '])}{unit}")
    return f"{'.'.join(map(str, at))} in {unit}"


def _new_seed(rng: random.Random, tree: Tree) -> str:
    tree["seed"] = rng.choice([0, 1, 2**31, 2**63, 10**30])
    return "another seed"


def _new_words(rng: random.Random, tree: Tree) -> str:
    tree["description"] = rng.choice(
        ["", "x" * 10_000, "café [red]x[/red] \U0001f600", "two\nlines", "'quoted'"]
    )
    tree["name"] = rng.choice(["a", "A-b_c", "x" * 60])
    return "another name"


def _shorter(rng: random.Random, tree: Tree) -> str | None:
    if "horizon" not in tree:
        return None
    tree["horizon"] = rng.choice(["2 min", "3 min", "1 h", "2 d"])
    tree.pop("warmup", None)
    if rng.random() < 0.5:
        tree["warmup"] = "30 s"
    return f"horizon {tree['horizon']}"


def _fewer_requests(rng: random.Random, tree: Tree) -> str | None:
    if "trace" in tree["workload"] or "users" in tree["workload"]:
        return None
    tree["workload"]["requests"] = rng.choice([1, 2, 50, 5000])
    tree.pop("warmup", None)  # which so few would not outlast
    return f"{tree['workload']['requests']} requests"


def _other_rate(rng: random.Random, tree: Tree) -> str | None:
    arrivals = tree["workload"].get("arrivals")
    if not isinstance(arrivals, dict) or "poisson" not in arrivals:
        return None
    rate = rng.choice(["0.5 Hz", "2 Hz", "30 /min", "1800 /h"])
    tree.pop("warmup", None)
    tree["workload"]["arrivals"] = rng.choice(
        [{"poisson": rate}, {"deterministic": {"rate": rate}}, {"gamma": {"rate": rate, "cv": 0.5}}]
    )
    return f"arrivals {rate}"


def _objectives(rng: random.Random, tree: Tree) -> str:
    tree["objectives"] = rng.choice([{"ttft": "1 s"}, {"e2e": "1 min", "tpot": "200 ms"}, {}])
    return "objectives"


def _retry(rng: random.Random, tree: Tree) -> str:
    tree["retry"] = {"limit": rng.choice([0, 3, 1000]), "backoff": rng.choice(["0 s", "1 s"]), "growth": 2}
    return "retries"


def _one_strategy(rng: random.Random, tree: Tree) -> str:
    kept = rng.choice(tree["strategies"])
    tree["strategies"] = [kept]
    return "one strategy"


def _labels(rng: random.Random, tree: Tree) -> str:
    for number, strategy in enumerate(tree["strategies"]):
        strategy["label"] = f"{rng.choice(['s', 'Way', 'a-b', 'x_y'])}{number}"
    return "labels"


def _own_kind(rng: random.Random, tree: Tree) -> str:
    """Add a kind of its own that nothing uses, with figures with and without their sources."""
    kinds = tree.setdefault("kinds", {})
    kinds["spare"] = {
        "memory": rng.choice(["8 GiB", {"value": "64 GB", "source": "a datasheet"}]),
        "process_memory": "0 B",
        "memory_bandwidth": "20 GB/s",
        "compute": {"float32": {"value": "80 GFLOP/s", "estimate": True}},
        "overhead_per_call": rng.choice(["0 s", "0.2 ms"]),
        "power": {"idle": "0 W", "active": "3 W", "tx": "0.1 W", "rx": "0 W"},
        "endpoint": {"overhead": "0 s"},
    }
    return "a kind of its own"


_CHANGES: tuple[Change, ...] = (
    _other_unit, _other_unit, _other_unit, _new_seed, _new_words, _shorter, _fewer_requests, _other_rate,
    _objectives, _retry, _one_strategy, _labels, _own_kind,
)  # fmt: skip
