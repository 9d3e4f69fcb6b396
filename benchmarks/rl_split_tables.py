"""How near trained policies come to the optimum of the published split problem, table by table.

    python benchmarks/rl_split_tables.py [--seeds 5] [--variants true surrogate] [--algorithms ppo]
                                         [--preset edgesim] [--tables NAME ...] [--file TABLE.csv]
                                         [--drawn 10 --noise 0.02]

Regret is 0 for the optimum by dynamic programming and 1 for the best fixed split. Agreement is over states in
which the second best outcome is worse by more than 0.5 % of the value; "near" is over all states, and any
outcome within that is near. Where the optimum gains less than 3 % over the best fixed split there is nothing
to learn, and regret is not judged. Tables of shapes have weights 10 and 0, those of the bundled model the
published ones; "utility" is the bundled model's packet losses with latency, energy and load.
Exit status 1 unless every run has a regret of 0.05 or less and an agreement of 0.95 or more.
"""

from __future__ import annotations

import argparse
import math
import sys
from collections.abc import Mapping
from pathlib import Path

import numpy as np

sys.path.insert(0, str(Path(__file__).resolve().parents[1] / "tests" / "support"))

from split_tables import drawn, rough, tables

from edgesim.gym.training import ALGORITHMS, PRESETS, train_on_problem
from edgesim.measure.quality_cache import kept_answers
from edgesim.planning.splitting.optimum import optimum
from edgesim.planning.splitting.policy import Policy
from edgesim.planning.splitting.published import published_problem
from edgesim.planning.splitting.rules import Bandit, fit_thresholds, greedy, random_splits
from edgesim.planning.splitting.table import SplitTable
from edgesim.planning.splitting.table_files import read_split_table
from edgesim.planning.splitting.worth import Choose, PolicyWorth, best_fixed, worth

MOST_REGRET, LEAST_AGREEMENT = 0.05, 0.95


def all_tables() -> Mapping[str, tuple[SplitTable, float]]:
    """By name, a table and the weight of the published load term."""
    kept = kept_answers("bundled")
    assert kept is not None
    packets = SplitTable.of_answers(kept.table, "packet-erasure")
    blocks = packets.splits.astype(np.float64)
    # Seconds of a device four times slower than the edge; its joules; the edge's blocks, which weigh more
    # where a good channel brings it many requests.
    busy = np.clip(1 - packets.loss[:, np.newaxis] / 0.15, 0.0, 1.0)
    utility = packets.weighed(
        1.0,
        {
            "latency_s": (0.3, 0.02 * blocks + 0.005 * (8 - blocks)),
            "energy_j": (0.02, 0.2 * blocks),
            "load": (0.3, busy * (8 - blocks) / 8),
        },
    )
    return {
        **{name: (table, 0.0) for name, table in tables().items()},
        "rough": (rough(10, 1), 0.0),
        "3 splits": (tables(3)["one change"], 0.0),
        "30 splits": (tables(30)["two changes"], 0.0),
        "elements": (SplitTable.of_answers(kept.table), 1.0),
        "packets": (packets, 1.0),
        "utility": (utility, 0.0),
    }


def chooser(policy: Policy) -> Choose:
    return lambda loss, split, n_left: policy.acts(np.stack([loss, split], axis=1))


def is_met(found: PolicyWorth) -> bool:
    agrees = found.near_optimal if math.isnan(found.agreement) else found.agreement
    return agrees >= LEAST_AGREEMENT and (found.is_nothing_to_learn or found.regret <= MOST_REGRET)


def row(name: str, who: str, found: PolicyWorth, elapsed_s: float = 0.0) -> str:
    note = " nothing to learn" if found.is_nothing_to_learn else ""
    return (
        f"{name:24} {who:14} {found.value:9.4f} {found.regret:8.4f} {found.agreement:8.4f} "
        f"{found.near_optimal:6.4f} {found.gain:7.2%} {elapsed_s:6.1f}{note}"
    )


def main() -> int:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--seeds", type=int, default=5)
    parser.add_argument("--variants", nargs="+", default=["true", "surrogate"], choices=["true", "surrogate"])
    parser.add_argument("--algorithms", nargs="+", default=["ppo"], choices=ALGORITHMS)
    parser.add_argument("--preset", default="edgesim", choices=sorted(PRESETS))
    parser.add_argument("--tables", nargs="+")
    parser.add_argument("--file", type=Path, help="a table of your own, weighted 10 and 1")
    parser.add_argument("--drawn", type=int, help="so many tables of drawn shapes instead, weighted 10 and 0")
    parser.add_argument("--noise", type=float, default=0.0, help="of these, as a share of their range")
    parser.add_argument("--steps", type=int)
    asked = parser.parse_args()
    known = dict(all_tables())
    if asked.file:
        known = {asked.file.name: (read_split_table(asked.file), 1.0)}
    if asked.drawn:
        known = {f"drawn {k}": (drawn(k, noise=asked.noise), 0.0) for k in range(asked.drawn)}
    print(
        f"{'table':24} {'policy':14} {'value':>9} {'regret':>8} {'agrees':>8} {'near':>6} "
        f"{'gain':>7} {'s':>6}"
    )
    n_runs = n_met = 0
    for name in asked.tables or known:
        table, load_weight = known[name]
        for variant in asked.variants:
            problem = published_problem(table, variant, load_weight=load_weight)
            solved, title = optimum(problem, least_losses=300), f"{name}, {variant}"
            bandit = Bandit(problem)
            bandit.learn(20_000)
            split = best_fixed(problem)
            print(f"{title:24} best fixed split is {split}")
            rivals = {
                "greedy": greedy(problem),
                "threshold": fit_thresholds(problem).chooser(problem),
                "bandit": bandit.chooser(),
                "random": random_splits(problem),
            }
            for who, choose in rivals.items():
                print(row(title, who, worth(problem, choose, solved)))
            for algorithm in asked.algorithms:
                for seed in range(asked.seeds):
                    trained = train_on_problem(
                        problem, algorithm, asked.preset, seed=seed, n_steps=asked.steps
                    )
                    found = worth(problem, chooser(trained.policy), solved)
                    n_runs, n_met = n_runs + 1, n_met + is_met(found)
                    print(row(title, f"{algorithm} seed {seed}", found, trained.elapsed_s), flush=True)
    print(f"{n_met} of {n_runs} runs with regret <= {MOST_REGRET} and agreement >= {LEAST_AGREEMENT}")
    return int(n_met < n_runs)


if __name__ == "__main__":
    sys.exit(main())
