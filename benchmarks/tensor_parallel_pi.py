"""Tensor parallelism on Raspberry Pis, predicted from one-node rates, beside distributed-llama's.

    python benchmarks/tensor_parallel_pi.py

distributed-llama (github.com/b4rtaz/distributed-llama, README of February 2025) reports mean times per
token of 4-bit models (Q40) on boards at a Gigabit switch, synchronised in 8 bits (Q80). Here the scenario
home_cluster_pi runs the same: a board's memory bandwidth is calibrated to its one-node rate of the model
(13B, for which a board has no room, to that of 7B), and one number, what every sum over the group costs
besides, is fitted to one row of two nodes. The other rows of two nodes are predictions, and so are four and
eight nodes.

Two nodes cannot tell whether that cost is one of getting the group into step, the same for any number of
nodes, or one of handling messages, of which the root has more with every node. Both are shown; the interval
goes from the lower end of the one to the upper end of the other, each with the spread of the predicted rows
of two nodes (Student's 95 % quantile of one more row). Exit status 1 if a prediction for two nodes is off by
more than 10 %.
"""

from __future__ import annotations

import math
import sys
from collections.abc import Sequence
from functools import cache
from typing import NamedTuple

import pyarrow as pa
from scipy import stats

from edgesim.engine.simulation import simulate
from edgesim.model.architecture import Architecture
from edgesim.model.calibration import Measurement, calibrate
from edgesim.model.ceilings import Ceilings
from edgesim.model.scaling import AnalyticTiming
from edgesim.scenario.build import build_world, kinds_used
from edgesim.scenario.check import architecture
from edgesim.scenario.load import load
from edgesim.strategies.tensor_parallel import TensorParallel
from edgesim.world.fleet import Fleet

LIMIT = 0.10
N_PROMPT_TOKENS, N_OUTPUT_TOKENS = 16, 64  # not published; the cache counts for little at such lengths
Q80_BYTES = 34 / 32  # blocks of 32 values of 8 bits and a 16-bit scale
ENDS_PER_SUM = 4  # of two nodes: one message to the root and one back, each handled at both ends


class Row(NamedTuple):
    """Published times per token [ms]; on one node what computing took, on two nodes everything."""

    board: str
    model: str
    one_ms: float | None
    two_ms: float


ROWS = (
    Row("raspberry-pi-5", "llama-2-7b", 435, 341),
    Row("raspberry-pi-5", "llama-3-8b", 557, 444),
    Row("raspberry-pi-4b", "llama-2-7b", 1308, 794),
    Row("raspberry-pi-4b", "llama-2-13b", None, 1497),
)


def settings(row: Row, n_nodes: int) -> list[str]:
    """The scenario's settings for a row."""
    return [
        f"model.architecture={row.model}",
        "model.weights=q40",
        f"topology.devices.hub.kind={row.board}",
        f"topology.devices.pi.kind={row.board}",
        f"topology.devices.pi.count={max(1, n_nodes - 1)}",
        "topology.devices.hub.memory=16 GiB",  # room is not what is asked here
        "topology.devices.pi.memory=16 GiB",
        "workload.requests=1",
        f"workload.prompt_tokens={N_PROMPT_TOKENS}",
        f"workload.output_tokens={N_OUTPUT_TOKENS}",
        "replications=1",
        "warmup=0 s",
    ]


@cache
def calibrated(row: Row) -> Ceilings:
    """A board's ceilings, from its one-node time of the row's model, or of 7B where there is none."""
    known = row if row.one_ms is not None else next(r for r in ROWS if r.board == row.board and r.one_ms)
    assert known.one_ms is not None
    scenario = load("home_cluster_pi", settings(known, 1))
    model = architecture(scenario)
    listed = kinds_used(scenario)[row.board].ceilings(model.dtype)
    assert listed is not None
    flop_per_s = listed.flop_per_s
    measured = Measurement(
        model=model,
        phase="decode",
        n_prompt_tokens=N_PROMPT_TOKENS,
        n_output_tokens=N_OUTPUT_TOKENS,
        seconds=known.one_ms * 1e-3,
        bytes_per_weight=model.bytes_per_weight,
    )
    told = calibrate([measured], flop_per_s=flop_per_s, overhead_s=0.0)
    return Ceilings(flop_per_s, told.bytes_per_s.value)


@cache
def model_of(row: Row) -> Architecture:
    """The row's model, its weights quantised."""
    return architecture(load("home_cluster_pi", settings(row, 1)))


def token_ms(row: Row, n_nodes: int, *, per_sum_s: float = 0.0, per_end_s: float = 0.0) -> float:
    """Mean time per token that the simulation says [ms].

    Parameters
    ----------
    per_sum_s
        What every sum costs besides its messages.
    per_end_s
        What either end of every message costs.
    """
    costs = [f"topology.devices.{id_}.endpoint.overhead={per_end_s * 1e6:.9g} us" for id_ in ("hub", "pi")]
    scenario = load("home_cluster_pi", [*settings(row, n_nodes), *costs])
    model = architecture(scenario)
    world = build_world(scenario, 0, {row.board: AnalyticTiming(model, calibrated(row))})
    strategy = TensorParallel(
        over=("hub", "pi"), size=n_nodes, all_reduce="star", per_sum=per_sum_s, value_bytes=Q80_BYTES
    )
    placement = strategy.place(model, Fleet.of(world))
    tables: list[pa.Table] = []

    def write(name: str, table: pa.Table) -> None:
        if name == "requests":
            tables.append(table)

    simulate(world, strategy, placement, placement.holdings, write, keep_spans=False)
    told = pa.concat_tables(tables).to_pylist()[0]
    return 1e3 * (told["ended_at_s"] - told["first_token_at_s"]) / (told["n_emitted_tokens"] - 1)


def fitted_s(row: Row) -> float:
    """What a sum must cost besides for the row of two nodes to come out as published."""
    return 1e-3 * (row.two_ms - token_ms(row, 2)) / (2 * model_of(row).n_blocks)


def spread(errors: Sequence[float]) -> float:
    """How far one more prediction may be off: a factor, from the relative errors of some."""
    mean_square = sum(math.log1p(error) ** 2 for error in errors) / len(errors)
    return math.exp(float(stats.t.ppf(0.975, len(errors))) * math.sqrt(mean_square))


class Prediction(NamedTuple):
    """Time per token [ms] under either reading of the fitted cost, and the interval around both."""

    per_sum_ms: float
    per_message_ms: float
    low_ms: float
    high_ms: float


def predicted(row: Row, n_nodes: int, overhead_s: float, factor: float) -> Prediction:
    """Predict a row for more nodes."""
    per_sum_ms = token_ms(row, n_nodes, per_sum_s=overhead_s)
    per_message_ms = token_ms(row, n_nodes, per_end_s=overhead_s / ENDS_PER_SUM)
    low_ms, high_ms = sorted((per_sum_ms, per_message_ms))
    return Prediction(per_sum_ms, per_message_ms, low_ms / factor, high_ms * factor)


def main() -> int:
    """Print the tables."""
    names = [f"{row.model[6:]} {row.board[10:]}" for row in ROWS]
    print("two nodes [ms per token]; off the diagonal, predictions\n")
    print(f"{'cost of a sum, fitted to':>25} {'cost':>8} " + "".join(f"{name:>15}" for name in names))
    errors: list[float] = []
    overheads_s = [fitted_s(row) for row in ROWS]
    for name, fit, overhead_s in zip(names, ROWS, overheads_s, strict=True):
        told_ms = [token_ms(row, 2, per_sum_s=overhead_s) for row in ROWS]
        off = [ms / row.two_ms - 1 for ms, row in zip(told_ms, ROWS, strict=True)]
        errors = errors or [error for error, row in zip(off, ROWS, strict=True) if row is not fit]
        cells = (f"{ms:8.0f} {error:+6.1%}" for ms, error in zip(told_ms, off, strict=True))
        print(f"{name:>25} {overhead_s * 1e3:5.2f} ms " + "".join(cells))
    print(f"{'published':>25} {'':>9}" + "".join(f"{row.two_ms:8.0f} {'':6}" for row in ROWS))

    factor = spread(errors)
    print(f"\nmore nodes [ms per token], a sum's cost fitted to {names[0]}\n")
    print(f"{'':>25} {'nodes':>5} {'per sum':>9} {'per message':>12}   95 % interval")
    for name, row in zip(names, ROWS, strict=True):
        for n_nodes in (4, 8):
            told = predicted(row, n_nodes, overheads_s[0], factor)
            print(
                f"{name:>25} {n_nodes:5} {told.per_sum_ms:9.0f} {told.per_message_ms:12.0f}   "
                f"{told.low_ms:.0f} to {told.high_ms:.0f}"
            )
    return int(any(abs(error) > LIMIT for error in errors))


if __name__ == "__main__":
    sys.exit(main())
