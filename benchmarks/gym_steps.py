"""Steps per second of the environments, without a learner and with one, beside events of a plain run.

Usage: ``python benchmarks/gym_steps.py [N_STEPS]``. All figures are of one run: compare ratios.
"""

from __future__ import annotations

import sys
import time
from collections.abc import Callable

import numpy as np
import torch
from stable_baselines3 import PPO

from edgesim.engine.simulation import simulate
from edgesim.gym import SplitEnv

PUBLISHED_STEPS = 240_000


def seconds(work: Callable[[], object]) -> float:
    began_s = time.perf_counter()
    work()
    return time.perf_counter() - began_s


def stepping(env: SplitEnv, n_steps: int) -> None:
    rng = np.random.default_rng(1)
    env.reset(seed=1)
    for _ in range(n_steps):
        _, _, terminated, truncated, _ = env.step(rng.integers(env.problem.moves.n_actions))
        if terminated or truncated:
            env.reset()


def plain(env: SplitEnv, n_steps: int) -> None:
    for replication in range(n_steps // env.problem.n_steps):
        world, strategy, placement = env._source.episode(replication, np.random.default_rng(0))
        simulate(world, strategy, placement, placement.holdings, lambda *_: None)


def main() -> None:
    n_steps = int(sys.argv[1]) if len(sys.argv) > 1 else 10_000
    torch.set_num_threads(1)
    env = SplitEnv()
    model = PPO("MlpPolicy", env, n_steps=400, batch_size=100, seed=1, device="cpu")
    for name, work in (
        ("plain runs of the same episodes, with their tables", lambda: plain(env, n_steps)),
        ("environment alone", lambda: stepping(env, n_steps)),
        ("environment with PPO (published settings)", lambda: model.learn(n_steps)),
    ):
        took_s = seconds(work)
        whole_min = took_s / n_steps * PUBLISHED_STEPS / 60
        print(
            f"{name}: {took_s / n_steps * 1e3:.3f} ms a step, {n_steps / took_s:.0f} steps/s; "
            f"{PUBLISHED_STEPS} steps: {whole_min:.1f} min"
        )


if __name__ == "__main__":
    main()
