"""What the reward surrogate saves against the true reward, and whether its error bars hold.

    python benchmarks/rl_split_surrogate.py [--unit packet] [--tokens 4096] [--held-out 21] [--train]

It measures the bundled model's perplexity by real forward passes where the surrogate asks for it, and at
points held out: losses between those that it may measure, and splits of which it may measure nothing. The
true reward's time is extrapolated: seconds of a measured evaluation times 240,000 environment steps, and that
of a grid likewise times 360. With --train a policy is trained on the surrogate and judged on the shipped
table.
Exit status 1 unless evaluations take 1,000 times less than the true reward would and less than the grid, mean
errors are below 5 % of the range, and nine of ten held-out points lie inside their bars.
"""

from __future__ import annotations

import argparse
import json
import sys
from pathlib import Path

import numpy as np

from edgesim.gym.surrogate import actively_measured
from edgesim.gym.training import train_on_problem
from edgesim.measure.language_model import load_language_model
from edgesim.measure.quality_cache import kept_answers
from edgesim.measure.split_reward import TrueReward
from edgesim.measure.text import read_text
from edgesim.planning.splitting.published import published_problem
from edgesim.planning.splitting.table import SplitTable
from edgesim.planning.splitting.worth import worth

N_STEPS, N_GRID, LEAST_RATIO = 240_000, 360, 1_000
LOSSES = np.linspace(0.0, 0.3, 16)


def main() -> int:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--unit", default="packet", choices=["element", "packet"])
    parser.add_argument("--tokens", type=int, default=4096)
    parser.add_argument("--held-out", type=int, default=21)
    parser.add_argument("--train", action="store_true")
    parser.add_argument("-o", "--out", type=Path, help="write counts and times for analysis/rl_split.py")
    asked = parser.parse_args()
    true = TrueReward(
        load_language_model("bundled"), read_text("bundled"), unit=asked.unit, n_tokens=asked.tokens
    )
    splits = [1, 2, 4, 6, 7]  # 3 and 5 are held out
    fitted, points = actively_measured(true, LOSSES, splits)
    n_points, spent_s = true.n_evaluations, true.elapsed_s
    single_s = spent_s / n_points
    rng = np.random.default_rng(0)
    loss = rng.uniform(0.0, 0.3, asked.held_out)
    split = np.where(
        np.arange(asked.held_out) % 2, rng.choice([3, 5], asked.held_out), rng.choice(splits, asked.held_out)
    )
    measured = np.array([true(float(p), int(s)) for p, s in zip(loss, split, strict=True)])
    away = np.abs(fitted.value(loss, split) - measured) / np.ptp(points.value)
    inside = np.abs(fitted.value(loss, split) - measured) <= fitted.bars(loss, split)
    ratio = N_STEPS * single_s / spent_s
    print(f"measured: {n_points} evaluations of {single_s:.2f} s, {spent_s:.0f} s altogether")
    print(
        f"extrapolated: true reward for {N_STEPS} steps {N_STEPS * single_s / 3600:.1f} h, "
        f"{ratio:.0f} times that;"
    )
    print(f"extrapolated: a grid of {N_GRID} points {N_GRID * single_s:.0f} s")
    if asked.out:
        counts = {"n_measured": n_points, "n_grid": N_GRID, "n_steps": N_STEPS, "seconds_each": single_s}
        asked.out.write_text(json.dumps(counts))
    for name, which in (("loss", np.isin(split, splits)), ("split", ~np.isin(split, splits))):
        print(
            f"held out by {name}: {which.sum()} points, error mean {away[which].mean():.2%} and worst "
            f"{away[which].max():.2%} of the range, {inside[which].mean():.0%} inside their bars"
        )
    if asked.train:
        kept = kept_answers("bundled")
        assert kept is not None
        name = "erasure" if asked.unit == "element" else "packet-erasure"
        learned = published_problem(fitted.table(np.linspace(0, 0.3, 61), range(1, 8)))
        policy = train_on_problem(learned).policy
        judged = published_problem(SplitTable.of_answers(kept.table, name))
        print(worth(judged, lambda p, s, _: policy.acts(np.stack([p, s], axis=1))))
    is_met = ratio >= LEAST_RATIO and n_points < N_GRID and away.mean() <= 0.05 and inside.mean() >= 0.9
    return int(not is_met)


if __name__ == "__main__":
    sys.exit(main())
