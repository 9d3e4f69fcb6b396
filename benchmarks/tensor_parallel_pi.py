"""Tensor parallelism on Raspberry Pis: fits to one and two nodes, run in the scenario home_cluster_pi.

    python benchmarks/tensor_parallel_pi.py

distributed-llama (github.com/b4rtaz/distributed-llama, README of February 2025) reports mean times per token
of 4-bit models (Q40) on boards at a Gigabit switch, synchronised in 8 bits (Q80). The project fits these rows
with sets of parameters, and predicts four and eight nodes with an interval (docs/explanation/groups.md). Here
the simulator runs the medians of these sets: a board's memory bandwidth calibrated to its one-node rate of
the model, the share of blocks that is not divided, and what messages occupy an end for. What sums wait for
besides is once a delay at every end and once lateness: two of the readings that the sets are mixtures of.
Exit status 1 if a run of two nodes is off what is published by more than 10 %.
"""

from __future__ import annotations

import sys

import numpy as np
import pyarrow as pa

from edgesim.engine.simulation import simulate
from edgesim.model.architecture import Architecture
from edgesim.model.calibration import Measurement, calibrate
from edgesim.model.ceilings import Ceilings
from edgesim.model.scaling import AnalyticTiming
from edgesim.scenario.build import build_world, kinds_used
from edgesim.scenario.check import architecture
from edgesim.scenario.load import load
from edgesim.strategies.tensor_parallel import TensorParallel, Unsharded
from edgesim.validate.published.division import ends_share, undivided_share
from edgesim.validate.published.groups import group_rows
from edgesim.validate.published.star_clusters import StarCluster, fitted, star_clusters
from edgesim.world.fleet import Fleet

LIMIT = 0.10
N_PROMPT_TOKENS, N_OUTPUT_TOKENS = 16, 64  # not published; the cache counts for little at such lengths


def settings(row: StarCluster, n_nodes: int) -> list[str]:
    """The scenario's settings for a row."""
    return [
        f"model.architecture={row.model.name}",
        "model.weights=q40",
        f"topology.devices.hub.kind={row.board}",
        f"topology.devices.pi.kind={row.board}",
        f"topology.devices.pi.count={max(1, n_nodes - 1)}",
        "topology.devices.hub.memory=16 GiB",  # room is not what is asked here
        "topology.devices.pi.memory=16 GiB",
        "workload.requests=1",
        f"workload.prompt_tokens={N_PROMPT_TOKENS}",
        f"workload.output_tokens={N_OUTPUT_TOKENS}",
        "topology.links.0.wired.latency=0 ms",  # whatever delays is in what is fitted
        "topology.links.1.wired.latency=0 ms",
        "replications=1",
        "warmup=0 s",
    ]


def model_and_ceilings(row: StarCluster, one_s: float) -> tuple[Architecture, Ceilings]:
    """The model with its weights quantised, and a board's ceilings, from its one-node time of it."""
    scenario = load("home_cluster_pi", settings(row, 1))
    model = architecture(scenario)
    listed = kinds_used(scenario)[row.board].ceilings(model.dtype)
    assert listed is not None
    measured = Measurement(
        model=model,
        phase="decode",
        n_prompt_tokens=N_PROMPT_TOKENS,
        n_output_tokens=N_OUTPUT_TOKENS,
        seconds=one_s,
        bytes_per_weight=model.bytes_per_weight,
    )
    calibrated = calibrate([measured], flop_per_s=listed.flop_per_s, overhead_s=0.0)
    return model, Ceilings(listed.flop_per_s, calibrated.bytes_per_s.value)


def token_ms(row: StarCluster, n_nodes: int, *, is_late: bool) -> float:
    """Mean time per token that the simulation says [ms].

    Parameters
    ----------
    is_late
        Whether what sums wait for is lateness, and no delay.
    """
    sets = fitted(row)
    one_s = row.one_s or float(np.median(sets.head_s + sets.blocks_s))
    end_s = float(np.median(sets.end_s))
    wait_s = max(0.0, row.rest_s - 4.0 * end_s)
    model, ceilings = model_and_ceilings(row, one_s)
    costs = [
        f"topology.devices.{id_}.endpoint={{overhead: {1e6 * end_s:.9g} us, latency: {delay_us:.9g} us}}"
        for id_ in ("hub", "pi")
        for delay_us in [0.0 if is_late else 1e6 * wait_s / 4.0]
    ]
    if is_late:  # the latest of two exponentials is late by 1.5 means
        law = f"{{law: exponential, mean: {1e6 * wait_s / 1.5:.9g} us}}"
        costs += [f"topology.devices.{id_}.lateness={law}" for id_ in ("hub", "pi")]
    scenario = load("home_cluster_pi", [*settings(row, n_nodes), *costs])
    world = build_world(scenario, 0, {row.board: AnalyticTiming(model, ceilings)})
    # The head costs what it reads here; what it costs besides is among what is not divided.
    head_s = ends_share(row.model, 1.0) * one_s
    share = undivided_share(one_s - head_s, row.two_s - head_s)
    strategy = TensorParallel(
        over=("hub", "pi"),
        size=n_nodes,
        all_reduce="star",
        unsharded=Unsharded(share=share, where="everywhere"),
        value_bytes=row.value_bytes,
    )
    placement = strategy.place(model, Fleet.of(world))
    tables: list[pa.Table] = []

    def write(name: str, table: pa.Table) -> None:
        if name == "requests":
            tables.append(table)

    simulate(world, strategy, placement, placement.holdings, write, keep_spans=False)
    request = pa.concat_tables(tables).to_pylist()[0]
    return 1e3 * (request["ended_at_s"] - request["first_token_at_s"]) / (request["n_emitted_tokens"] - 1)


def main() -> int:
    """Print the table."""
    heading = f"{'ms per token':>28} {'nodes':>5} {'delays':>8} {'late':>8} {'predicted':>10}"
    print(f"{heading}   95 % interval  published")
    worst = 0.0
    for row in star_clusters():
        if not row.board.startswith("raspberry"):
            continue
        for group in group_rows():
            if (group.device, group.model) != (row.board, row.model.name) or group.n_nodes == 1:
                continue
            if group.role == "left out":
                continue
            runs_ms = [token_ms(row, group.n_nodes, is_late=is_late) for is_late in (False, True)]
            published = "" if group.published is None else f"{group.published:.0f}"
            name = f"{row.board} {row.model.name}"
            print(
                f"{name:>28} {group.n_nodes:5} {runs_ms[0]:8.0f} {runs_ms[1]:8.0f} "
                f"{group.predicted:10.0f}   {group.low:.0f} to {group.high:.0f}   {published}"
            )
            if group.published is not None:
                worst = max(worst, *(abs(ms / group.published - 1.0) for ms in runs_ms))
    print(f"\nfurthest from a published row of two nodes: {worst:.1%}")
    return int(worst > LIMIT)


if __name__ == "__main__":
    sys.exit(main())
