"""What assigning a model's shares by channel and energy is worth for sums over the air, and how it converges.

    python benchmarks/assignment.py [--devices 8] [--antennas 20] [--iterations 200] [--plot FILE.png]

Every device has a budget of 1, half of which computing takes at even shares on average; N_t = L = 4, Rician
channels (half of the mean power is the direct path's). In the cases devices differ in energy per parameter
by a factor, in mean channel gain by a spread in decibels, in both, or in neither; with `opposed` the costly
devices are those received well. They also differ in speed, twofold, which counts for shares in proportion to
speed and for the deadline: no device slower than 1.25 times the time of proportional shares.

Gains are over even shares, relative differences of the mean error, paired over blocks that no assignment was
made from, with 95 % intervals. Whole heads are those of 32 heads in 8 groups and an MLP 14,336 wide. Exit
status 1 unless every case in which devices differ gains more than its interval, the one in which they do not
gains no more, and loses no more than that or than its distance from even shares can cost at all, and every
budget is kept.
"""

from __future__ import annotations

import argparse
import math
import time
from collections.abc import Mapping
from pathlib import Path

import numpy as np
from numpy.typing import NDArray
from scipy import stats

from edgesim.model.architecture import Architecture
from edgesim.model.sharding import to_heads
from edgesim.planning.assignment import Assignment, Draw, GroupBudgets, assign, costs
from edgesim.planning.shares import compute_proportional, even, share_limits
from edgesim.planning.transceiver import first_order
from edgesim.radio.collective.aircomp import AirComp, channel_uses, powers_w
from edgesim.rng import link_key

N_STREAMS, N_ENTRIES = 4, 4096
EQUAL = 0.01  # of the mean error: as good as even shares where devices are alike
FIRST_HELD_OUT = 1_000_000
SHOWN = (0, 1, 3, 10, 30, 100, 300, 1000)
CASES: Mapping[str, tuple[float, float, bool]] = {
    "alike": (1.0, 0.0, False),
    "energy 2x": (2.0, 0.0, False),
    "energy 4x": (4.0, 0.0, False),
    "channel 5 dB": (1.0, 5.0, False),
    "channel 10 dB": (1.0, 10.0, False),
    "both": (2.0, 5.0, True),
    "both, opposed": (2.0, 10.0, False),
}
MODEL = {
    "model_type": "llama",
    "hidden_size": 4096,
    "intermediate_size": 14336,
    "num_hidden_layers": 32,
    "num_attention_heads": 32,
    "num_key_value_heads": 8,
    "vocab_size": 128256,
    "max_position_embeddings": 8192,
}

Floats = NDArray[np.float64]


def devices(case: str, n: int, n_receive: int, seed: int) -> tuple[GroupBudgets, Draw]:
    """A group of n, and its channels. Device 0 has the least energy, and the worst channel if opposed."""
    ratio, spread_db, reinforcing = CASES[case]
    energies = np.geomspace(1.0, ratio, n)
    group = GroupBudgets(np.ones(n), energies / energies.mean() * 0.5 * n, 1.0, N_ENTRIES, N_STREAMS)
    air = AirComp(n_receive=n_receive, n_transmit=4, n_streams=N_STREAMS)
    keys = [link_key(seed, 0, f"device-{i}", "station") for i in range(n)]
    gains_db = np.linspace(-spread_db / 2, spread_db / 2, n) * (-1 if reinforcing else 1)
    amplitudes = (10 ** (gains_db / 20))[:, np.newaxis, np.newaxis]
    return group, lambda block: amplitudes * air.channels(keys, block)


def gain(before: Floats, after: Floats) -> tuple[float, float]:
    """Mean relative gain, and half of its interval."""
    differences = (before - after) / before.mean()
    half = stats.t.ppf(0.975, len(differences) - 1) * stats.sem(differences)
    return float(differences.mean()), float(half)


def keeps_budgets(group: GroupBudgets, shares: Floats, draw: Draw, blocks: range) -> bool:
    """Whether computing and sending together stay within every budget, in every block."""
    for block in blocks:
        channels = draw(block)
        design = first_order(channels, group.left(shares), N_STREAMS)
        sent = channel_uses(N_ENTRIES, N_STREAMS) * powers_w(design.precoders(channels))
        if np.any(group.energies * group.n_parameters * shares + sent > group.budgets * (1 + 1e-9)):
            return False
    return True


def plot(curves: Mapping[str, Floats], at: list[int], file: Path) -> None:
    from matplotlib.backends.backend_agg import FigureCanvasAgg
    from matplotlib.figure import Figure

    figure = Figure(figsize=(7, 4.5), layout="constrained")
    FigureCanvasAgg(figure)
    axes = figure.subplots()
    for case, runs in curves.items():
        line = axes.plot(at, runs.mean(axis=0), marker=".", label=case)[0]
        axes.fill_between(at, runs.min(axis=0), runs.max(axis=0), color=line.get_color(), alpha=0.2, lw=0)
    axes.set_xscale("symlog", linthresh=1)
    axes.set_xlim(left=0)
    axes.set_xticks(at, labels=[str(t) for t in at])
    axes.set_xlabel("iteration (one draw of the channel each)")
    axes.set_ylabel("mean error over that of even shares / dB")
    axes.axhline(0.0, color="black", lw=0.6)
    axes.legend(fontsize="small")
    figure.savefig(file, dpi=150)


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawTextHelpFormatter)
    parser.add_argument("--devices", type=int, default=8)
    parser.add_argument("--antennas", type=int, default=20)
    parser.add_argument("--iterations", type=int, default=200)
    parser.add_argument("--blocks", type=int, default=60, help="held-out blocks")
    parser.add_argument(
        "--runs", type=int, default=2, help="runs of the convergence, each on its own channels"
    )
    parser.add_argument("--plot", type=Path, metavar="FILE")
    arguments = parser.parse_args()
    if arguments.antennas <= N_STREAMS:
        parser.error(f"--antennas: with {N_STREAMS} or fewer the mean error is infinite (aircomp_moments)")
    n, n_iterations = arguments.devices, arguments.iterations
    held_out = range(FIRST_HELD_OUT, FIRST_HELD_OUT + arguments.blocks)
    model = Architecture.from_config(MODEL, name="32 heads in 8 groups", dtype="bfloat16")
    speeds = np.tile([1.0, 2.0], n)[:n]
    at = [*(t for t in SHOWN if t < n_iterations), n_iterations]
    curves: dict[str, Floats] = {}
    is_good = True

    print(f"{n} devices, {arguments.antennas} antennas, {n_iterations} iterations, {len(held_out)} blocks")
    print(f"{'case':15}{'shares':22}{'slowest':>8}{'alpha dB':>9}{'gain over even %':>19}   shares %")
    for case in CASES:
        group, draw = devices(case, n, arguments.antennas, seed=0)
        began_s = time.process_time()
        found = assign(group, draw, n_iterations=n_iterations)
        took_s = time.process_time() - began_s
        proportional = compute_proportional(list(speeds), group.limits)
        fastest_s = float((proportional / speeds).max())
        in_time = share_limits(n, (list(1.25 * fastest_s * speeds), [1.0] * n))
        timely = GroupBudgets(group.budgets, group.energies, 1.0, N_ENTRIES, N_STREAMS, at_most=in_time)
        whole = to_heads(list(found.shares), model, at_most=list(group.limits), may_be_empty=True)
        rows = {
            "even": even(group.limits),
            "by speed": proportional,
            "SSCA": found.shares,
            "SSCA, whole heads": np.array([shard.block_share for shard in whole]),
            "SSCA, with deadline": assign(timely, draw, n_iterations=n_iterations).shares,
        }
        before = costs(group, rows["even"], draw, held_out)
        for name, shares in rows.items():
            after = before if name == "even" else costs(group, shares, draw, held_out)
            mean, half = gain(before, after)
            print(
                f"{case:15}{name:22}{(shares / speeds).max() / fastest_s:8.2f}"
                f"{10 * math.log10(after.mean()):9.2f}{100 * mean:11.2f} ± {100 * half:5.2f}   "
                + " ".join(f"{100 * share:.1f}" for share in shares)
            )
            if name == "SSCA":
                is_good &= abs(mean) + half <= EQUAL if case == "alike" else mean > half
            if name.startswith("SSCA"):
                is_good &= keeps_budgets(group, shares, draw, held_out[:10])
        print(f"{'':15}{took_s / n_iterations * 1e3:.1f} ms of CPU time per iteration")
        curves[case] = np.array(
            [convergence(case, n, arguments.antennas, at, held_out, seed) for seed in range(arguments.runs)]
        )
    print("\nmean error over that of even shares in dB, mean of the runs, after iterations")
    print(f"{'':15}" + "".join(f"{t:8}" for t in at))
    for case, runs in curves.items():
        print(f"{case:15}" + "".join(f"{level:8.3f}" for level in runs.mean(axis=0)))
    if arguments.plot:
        plot(curves, at, arguments.plot)
    print("as promised" if is_good else "NOT as promised")
    return 0 if is_good else 1


def convergence(case: str, n: int, n_receive: int, at: list[int], held_out: range, seed: int) -> list[float]:
    """Mean error on held-out blocks of the shares after so many iterations, in dB over even shares."""
    group, draw = devices(case, n, n_receive, seed)
    found: Assignment = assign(group, draw, n_iterations=at[-1])
    levels = [costs(group, found.path[t], draw, held_out).mean() for t in at]
    reference = costs(group, even(group.limits), draw, held_out).mean()
    return [10 * math.log10(level / reference) for level in levels]


if __name__ == "__main__":
    raise SystemExit(main())
