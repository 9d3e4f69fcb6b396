"""Whether DTO-EE is close to the optimum and ahead of its rivals, at three loads; how fast large runs are.

    python benchmarks/dto_ee.py --loads 0.5 0.7 0.9 --replications 8   # scenarios/dto_ee.yaml
    python benchmarks/dto_ee.py --large         # 1,000 end devices, 60 servers, 10,000 tasks

A load is a share of the most that can flow through `scenarios/dto_ee.yaml` without early exits. All
strategies meet the same tasks and the same draws of service. Of each replication the mean delay of the tasks
counts that arrive after the warm-up, from arrival to answer; tasks not yet answered at the end of the
cooldown count with the time that they have spent until then, so that an overloaded rival's mean is a lower
bound (marked >).
`lower` is by how much the first strategy of a pair is below the second: 1 less the geometric mean of the
replications' ratios, with a paired 95 % interval of Student's t on their logarithms. Values p are two-sided
and corrected by Holm (1979) over all rivals of a load. Tuned rivals are compared with `dto-ee`, those with
fixed thresholds with `dto-ee-fixed`, which lets the very same tasks leave at the same exits.
"""

from __future__ import annotations

import argparse
import time
from collections.abc import Sequence
from typing import Any

import numpy as np
import pandas as pd
from dto_ee_city import city
from scipy import stats

from edgesim.engine.simulation import simulate
from edgesim.runner import Prepared, prepare
from edgesim.scenario.load import load, parse

MOST_PER_S = 330.0  # that can flow through all stages of scenarios/dto_ee.yaml, by `largest_scale`


def delays(prepared: Prepared, n_replications: int) -> pd.DataFrame:
    """Mean delay, accuracy and censored tasks: one row per strategy and replication."""
    scenario, rows = prepared.scenario, []
    for replication in range(n_replications):
        for label, strategy in prepared.strategies.items():
            began_s = time.perf_counter()
            world = prepared.world(replication)
            placement, parts = prepared.placements[label], []
            simulate(
                world,
                strategy,
                placement,
                placement.holdings,
                lambda name, table, parts=parts: (
                    parts.append(table.to_pandas()) if name == "requests" else None
                ),
                keep_spans=False,
            )
            tasks = pd.concat(parts)
            tasks = tasks[tasks["arrived_at_s"].between(scenario.warmup_s, scenario.horizon_s, "left")]
            done = tasks["outcome"] == "completed"
            ended_at_s = tasks["ended_at_s"].where(done, world.limit_s)
            rows.append(
                {
                    "strategy": label,
                    "replication": replication,
                    "delay_s": float((ended_at_s - tasks["arrived_at_s"]).mean()),
                    "accuracy": float(tasks["correct"].mean()),
                    "n_tasks": len(tasks),
                    "n_open": int((~done).sum()),
                    "took_s": time.perf_counter() - began_s,
                }
            )
    return pd.DataFrame(rows)


def lower(table: pd.DataFrame, ours: str, rival: str) -> dict[str, float]:
    """By how much the mean delay is lower, with its paired interval and p before correction."""
    own, other = (table[table["strategy"] == label].set_index("replication") for label in (ours, rival))
    logs = np.log(own["delay_s"] / other["delay_s"]).to_numpy()
    mean, error = logs.mean(), stats.sem(logs) if len(logs) > 1 else np.nan
    half = stats.t.ppf(0.975, max(1, len(logs) - 1)) * error
    return {
        "lower": 1 - np.exp(mean),
        "from": 1 - np.exp(mean + half),
        "to": 1 - np.exp(mean - half),
        "p": float(2 * stats.t.sf(abs(mean) / error, len(logs) - 1)) if error > 0 else np.nan,
        "points": 100 * float((own["accuracy"] - other["accuracy"]).mean()),
    }


def holm(values: Sequence[float]) -> list[float]:
    """Corrected p values (Holm 1979, "A simple sequentially rejective multiple test procedure")."""
    order, corrected, worst = np.argsort(values), [0.0] * len(values), 0.0
    for place, index in enumerate(order):
        worst = max(worst, min(1.0, (len(values) - place) * values[index]))
        corrected[index] = worst
    return corrected


def compared(table: pd.DataFrame) -> pd.DataFrame:
    """Each rival against ours."""
    rows = []
    for rival in dict.fromkeys(table["strategy"]):
        ours = "dto-ee-fixed" if rival.endswith("-fixed") else "dto-ee"
        if rival in ("dto-ee", "dto-ee-fixed") or ours not in set(table["strategy"]):
            continue
        rows.append({"rival": rival, **lower(table, ours, rival)})
    found = pd.DataFrame(rows)
    judged = ~found["rival"].isin(("optimum", "jsed", "backpressure"))
    found.loc[judged, "p (Holm)"] = holm(found.loc[judged, "p"].tolist())
    return found


def at_load(
    share: float, n_replications: int, only: Sequence[str], scenario: str, more: Sequence[str]
) -> None:
    """Print one load's tables."""
    rate = f"workload.arrivals.poisson='{share * MOST_PER_S:g} Hz'"
    began_s = time.perf_counter()
    prepared = prepare(load(scenario, overrides=[rate, *more]), only=only)
    took_s = time.perf_counter() - began_s
    print(f"== load {share:g}: {share * MOST_PER_S:g} tasks/s, planned in {took_s:.0f} s", flush=True)
    for label, placement in prepared.placements.items():
        print(f"{label:13s} {placement.remark}", flush=True)
    table = delays(prepared, n_replications)
    means = table.groupby("strategy", sort=False).agg(
        delay_ms=("delay_s", lambda values: 1e3 * values.mean()),
        accuracy=("accuracy", "mean"),
        n_tasks=("n_tasks", "sum"),
        n_open=("n_open", "sum"),
        took_s=("took_s", "sum"),
    )
    means["delay_ms"] = [
        f"{'>' * bool(n_open)}{delay_ms:.1f}"
        for delay_ms, n_open in zip(means["delay_ms"], means["n_open"], strict=True)
    ]
    print(means.to_string(float_format="%.4f"))
    print(compared(table).to_string(index=False, float_format="%.3f"), flush=True)


def large(n_homes: int = 200, n_servers: Sequence[int] = (15, 15, 15, 15)) -> None:
    """Time 10,000 tasks of a large city, with spans; planning counts apart."""
    drawn = city(n_homes, n_servers)
    lines: dict[str, Any] = dict(drawn)
    text = "\n".join(
        [
            "name: large",
            "model: {architecture: tinyllama-1.1b, dtype: float16}",
            "quality: {model: bundled, tune_on: first-half}",
            "profile: analytic",
            "topology:",
            "  devices:",
            *(f"    {line}".replace("*service", "exponential") for line in lines["devices"]),
            "  links:",
            *(f"    {line}" for line in lines["links"]),
            "workload:",
            f"  sources: [{', '.join(f'home{number}' for number in range(n_homes))}]",
            f"  weights: {{{lines['weights']}}}",
            "  arrivals: {poisson: 600 Hz}",
            "  prompt_tokens: 8",
            "  output_tokens: 1",
            "  prompt_bytes_per_token: 4096",
            "  requests: 10000",
            "strategies:",
            f"  - {{use: early_exit, thresholds: 0.4, stages: {lines['stages']}}}",
        ]
    )
    began_s = time.perf_counter()
    prepared = prepare(parse(text))
    planned_s = time.perf_counter() - began_s
    ((label, placement),) = prepared.placements.items()
    world = prepared.world(0)
    n_rows: dict[str, int] = {"requests": 0, "spans": 0, "devices": 0}
    began_s = time.perf_counter()
    simulate(
        world,
        prepared.strategies[label],
        placement,
        placement.holdings,
        lambda name, table: n_rows.update({name: n_rows.get(name, 0) + table.num_rows}),
    )
    took_s = time.perf_counter() - began_s
    print(
        f"{len(world.devices)} devices, {len(world.links)} links: planned in {planned_s:.1f} s "
        f"({placement.remark})"
    )
    print(
        f"{n_rows['requests']} tasks, {n_rows['spans']} spans in {took_s:.1f} s of simulating (asked: 60 s)"
    )


def main() -> None:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--loads", type=float, nargs="+", default=[0.5, 0.7, 0.9])
    parser.add_argument("--replications", type=int, default=8)
    parser.add_argument("--only", nargs="*", default=[], help="labels of strategies")
    parser.add_argument("--scenario", default="dto_ee")
    parser.add_argument("--set", nargs="*", default=[], dest="more", help="overrides, as of `edgesim run`")
    parser.add_argument("--large", action="store_true")
    asked = parser.parse_args()
    if asked.large:
        large()
        return
    for share in asked.loads:
        at_load(share, asked.replications, asked.only, asked.scenario, asked.more)


if __name__ == "__main__":
    main()
