"""How good the transceiver designs of sums over the air are, and how quick, beside a certified bound.

    python benchmarks/transceiver.py [--draws 100] [--devices 8] [--antennas 20] [--plot FILE.png]

Draws are coherence blocks of independent Rician channels (N_t = L = 4, mean power 1, half of it the direct
path's) at a budget of 1 for every device; alpha is in dB. `first-order` starts from the block before, with
independent blocks and, below the table, with blocks that correlate. The other rows take the published design
apart. Exit status 1 if the first-order design is not within 0.5 dB of the bound in the median, 1 dB at the
95th percentile and 20 ms of CPU time per block.

The plot has alpha against the numbers of devices and of the station's antennas, over `--plot-draws` draws.
"""

from __future__ import annotations

import argparse
import math
import time
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from edgesim.planning.transceiver import first_order, leading_subspace, lower_bound, sdr
from edgesim.planning.transceiver_design import TransceiverDesign
from edgesim.planning.transceiver_sdp import relaxed_gram
from edgesim.radio.collective.aircomp import AirComp, alpha_star
from edgesim.rng import link_key

N_STREAMS = 4
CORRELATION = 0.98  # of the scattered part, from block to block
LIMIT_MEDIAN_DB, LIMIT_95_DB, LIMIT_S = 0.5, 1.0, 0.020

Matrices = NDArray[np.complex128]
Floats = NDArray[np.float64]


def keys(n: int) -> list[int]:
    return [link_key(1, 0, f"device-{i}", "station") for i in range(n)]


def db(alpha: float) -> float:
    return 10.0 * math.log10(alpha)


def relaxed_alpha(gram: Matrices, channels: Matrices, budgets: Floats) -> float:
    """What a matrix X costs by the true trace, were its rank allowed."""
    inverse = np.linalg.inv(channels.conj().swapaxes(1, 2) @ gram @ channels)
    each = np.trace(inverse, axis1=1, axis2=2).real / budgets
    return float(each.max() * np.trace(gram).real)


def rounded(gram: Matrices) -> Matrices:
    """The nearest matrix of rank L: its leading eigenvectors, scaled."""
    values, vectors = np.linalg.eigh(gram)
    leading: Matrices = vectors[:, -N_STREAMS:] * np.sqrt(np.maximum(values[-N_STREAMS:], 0.0))
    return leading


class Timed:
    """Designs of successive blocks, each from the one before, with their CPU times."""

    def __init__(self) -> None:
        self.start: Matrices | None = None
        self.cpu_s: list[float] = []
        self.wall_s: list[float] = []
        self.n_steps: list[int] = []

    def design(self, channels: Matrices, budgets: Floats) -> TransceiverDesign:
        cpu_s, wall_s = time.process_time(), time.perf_counter()
        found = first_order(channels, budgets, N_STREAMS, self.start)
        self.cpu_s.append(time.process_time() - cpu_s)
        self.wall_s.append(time.perf_counter() - wall_s)
        self.n_steps.append(found.n_iterations)
        self.start = found.combiner
        return found


def table(n: int, n_receive: int, n_draws: int) -> bool:
    air = AirComp(n_receive=n_receive, n_transmit=N_STREAMS, n_streams=N_STREAMS)
    budgets = np.ones(n)
    rows: dict[str, list[float]] = {}
    gaps: dict[str, list[float]] = {}
    ranks, shares, certified, sdp_s = [], [], [], []
    warm, correlated = Timed(), Timed()
    direct = math.sqrt(0.5)
    path = air.channels(keys(n), -1)
    for block in range(n_draws):
        channels = air.channels(keys(n), block)
        path = direct + CORRELATION * (path - direct) + math.sqrt(1 - CORRELATION**2) * (channels - direct)
        began_s = time.process_time()
        bound = lower_bound(channels, budgets, N_STREAMS)
        middle_s = time.process_time()
        gram = relaxed_gram(channels, budgets, N_STREAMS)
        sdp_s.append((middle_s - began_s, time.process_time() - middle_s))
        values = np.linalg.eigvalsh(bound.gram)[::-1]
        ranks.append(int(np.sum(values > 1e-3)))
        shares.append(float(values[:N_STREAMS].sum()))
        certified.append(db(bound.solved_alpha / bound.alpha))
        published = sdr(channels, budgets, N_STREAMS)
        found = {
            "bound": bound.alpha,
            "first-order, from the block before": warm.design(channels, budgets).alpha,
            "first-order, from the subspace": first_order(channels, budgets, N_STREAMS).alpha,
            "subspace": leading_subspace(channels, budgets, N_STREAMS).alpha,
            "bound's X, rounded by eigenvectors": alpha_star(rounded(bound.gram), channels, budgets).alpha,
            "sdr's X, any rank": relaxed_alpha(gram, channels, budgets),
            "sdr's X, rounded by eigenvectors": alpha_star(rounded(gram), channels, budgets).alpha,
            "sdr, 100 draws": published.alpha,
            "sdr, 10000 draws": sdr(channels, budgets, N_STREAMS, n_draws=10_000).alpha,
            "first-order, from sdr": first_order(channels, budgets, N_STREAMS, published.combiner).alpha,
        }
        for name, alpha in found.items():
            rows.setdefault(name, []).append(db(alpha))
            gaps.setdefault(name, []).append(db(alpha / bound.alpha))
        correlated.design(path, budgets)
    print(f"{n_draws} draws, N_r = {n_receive}, N_t = L = {N_STREAMS}, N = {n}; alpha and its gap in dB")
    print(f"{'':36s} {'median':>8s} {'| gap: 5 %':>11s} {'median':>7s} {'95 %':>7s} {'max':>7s}")
    for name, values_db in rows.items():
        low, middle, high, most = np.percentile(gaps[name], [5, 50, 95, 100])
        print(f"{name:36s} {np.median(values_db):8.2f} {low:11.2f} {middle:7.2f} {high:7.2f} {most:7.2f}")
    print(
        f"the bound's X: rank (above 0.001 of its trace) {min(ranks)} to {max(ranks)}, median "
        f"{np.median(ranks):.0f}; share of the {N_STREAMS} leading eigenvalues {np.median(shares):.3f}"
    )
    print(f"solver over certificate: {np.median(certified):.4f} dB median, {max(certified):.4f} at most")
    print(
        f"semidefinite programs: {np.median([s for s, _ in sdp_s]):.2f} s (bound), "
        f"{np.median([s for _, s in sdp_s]):.2f} s (sdr) of CPU"
    )
    for name, timed in (("independent blocks", warm), (f"correlated by {CORRELATION}", correlated)):
        cpu_ms, wall_ms = 1e3 * np.array(timed.cpu_s[1:]), 1e3 * np.array(timed.wall_s[1:])
        print(
            f"first-order, {name}: {np.median(cpu_ms):.1f} ms of CPU median, "
            f"{np.percentile(cpu_ms, 95):.1f} at 95 %, {cpu_ms.max():.1f} at most "
            f"({np.median(wall_ms):.1f} ms of clock time); "
            f"{np.median(timed.n_steps):.0f} steps"
        )
    gap = gaps["first-order, from the block before"]
    return bool(
        np.median(gap) <= LIMIT_MEDIAN_DB
        and np.percentile(gap, 95) <= LIMIT_95_DB
        and np.percentile(warm.cpu_s[1:], 95) <= LIMIT_S
    )


def plot(file: Path, n_draws: int) -> None:
    import matplotlib

    matplotlib.use("Agg")
    from matplotlib import pyplot as plt

    figure, both = plt.subplots(1, 2, figsize=(10, 4), sharey=True, layout="constrained")
    sweeps = (
        ("devices N (20 antennas at the station)", [(1, 20), (2, 20), (4, 20), (6, 20), (8, 20)], 0),
        ("antennas at the station N_r (8 devices)", [(8, 8), (8, 12), (8, 16), (8, 20)], 1),
    )
    known: dict[tuple[int, int], dict[str, list[float]]] = {}
    for axes, (label, points, which) in zip(both, sweeps, strict=True):
        for n, n_receive in points:
            if (n, n_receive) in known:
                continue
            air = AirComp(n_receive=n_receive, n_transmit=N_STREAMS, n_streams=N_STREAMS)
            rows: dict[str, list[float]] = {"bound": [], "first-order": [], "sdr": []}
            for block in range(n_draws):
                channels, budgets = air.channels(keys(n), block), np.ones(n)
                rows["bound"].append(db(lower_bound(channels, budgets, N_STREAMS).alpha))
                rows["first-order"].append(db(first_order(channels, budgets, N_STREAMS).alpha))
                rows["sdr"].append(db(sdr(channels, budgets, N_STREAMS).alpha))
            known[n, n_receive] = rows
            print(
                f"N = {n}, N_r = {n_receive}: "
                + ", ".join(
                    f"{name} {np.median(values):.2f} dB ({min(values):.2f} to {max(values):.2f})"
                    for name, values in rows.items()
                )
            )
        at = [point[which] for point in points]
        for name, style in (("sdr", "s-"), ("first-order", "o-"), ("bound", "k--")):
            low, middle, high = np.array(
                [np.percentile(known[point][name], [5, 50, 95]) for point in points]
            ).T
            axes.plot(at, middle, style, label=name)
            axes.fill_between(at, low, high, alpha=0.15)
        axes.set_xlabel(label)
        axes.grid(alpha=0.3)
    both[0].set_ylabel("alpha [dB]: mean squared error over noise")
    both[0].legend()
    figure.savefig(file, dpi=120)


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawTextHelpFormatter)
    parser.add_argument("--draws", type=int, default=100)
    parser.add_argument("--devices", type=int, default=8)
    parser.add_argument("--antennas", type=int, default=20)
    parser.add_argument("--plot", type=Path)
    parser.add_argument("--plot-draws", type=int, default=20)
    asked = parser.parse_args()
    met = table(asked.devices, asked.antennas, asked.draws) if asked.draws else True
    if asked.plot is not None:
        plot(asked.plot, asked.plot_draws)
    print("limits met" if met else "limits MISSED")
    return 0 if met else 1


if __name__ == "__main__":
    raise SystemExit(main())
