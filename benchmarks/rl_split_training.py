"""What a trained policy chooses, beside the oracle at the same decisions, and how it learned; for the figure.

    python benchmarks/rl_split_training.py shipped:rl-split scenarios/rl_split.yaml -o training.json
    python analysis/rl_split.py traces/rl-split --training training.json -o rl_split.png

The policy decides; the oracle is asked at every decision and not followed. Replications are the scenario's
own kind, numbered from 2^31 on, where none is trained on.
"""

from __future__ import annotations

import argparse
import json
from pathlib import Path

import numpy as np

from edgesim.gym import DecisionEnv
from edgesim.planning.policies.shipped import policy_file
from edgesim.planning.splitting.policy import Policy

FIRST = 1 << 31


def decisions(policy: Policy, scenario: str, oracle: str, n_replications: int) -> list[dict[str, float]]:
    """What was seen, and both choices, of every decision."""
    splits = policy.record.more["splits"]
    names = policy.record.observations
    env = DecisionEnv(scenario, strategy=oracle, decision="split", reward=lambda passed: 0.0)
    found = []
    for replication in range(n_replications):
        env.reset(options={"replication": FIRST + replication})
        is_over = False
        while not is_over:
            decision = env._decision
            seen = dict(zip(names, decision.seen, strict=True))
            chosen = policy.act(decision.seen, decision.allowed)
            found.append(
                {
                    "loss": seen["loss"],
                    "snr_db": seen["snr_db"],
                    "trained": splits[chosen],
                    "oracle": splits[decision.choose()],
                }
            )
            _, _, terminated, truncated, _ = env.step(np.int64(chosen))
            is_over = terminated or truncated
    return found


def main() -> None:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("policy", help="a file, or shipped:NAME; trained with 'see: all', absolute actions")
    parser.add_argument("scenario")
    parser.add_argument("--oracle", default="oracle", help="label of the strategy that knows best")
    parser.add_argument("--replications", type=int, default=4)
    parser.add_argument("-o", "--out", type=Path, required=True)
    asked = parser.parse_args()
    policy = Policy.load(policy_file(asked.policy))
    rows = decisions(policy, asked.scenario, asked.oracle, asked.replications)
    agreed = np.mean([row["trained"] == row["oracle"] for row in rows])
    print(f"{len(rows)} decisions; the policy does what the oracle would in {agreed:.1%}")
    curve = policy.record.more.get("provenance", {}).get("curve", [])
    asked.out.write_text(json.dumps({"curve": curve, "decisions": rows}))


if __name__ == "__main__":
    main()
