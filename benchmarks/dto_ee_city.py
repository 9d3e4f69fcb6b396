"""The city of `scenarios/dto_ee.yaml`, drawn from a seed: its nodes, which reach which, and how fast.

    python benchmarks/dto_ee_city.py                      # the topology of the shipped scenarios
    python benchmarks/dto_ee_city.py --homes 200 --servers 15 15 15 15   # 1,000 end devices, 60 servers

End devices stand in neighbourhoods of five; each neighbourhood reaches three servers of the first stage, each
server three of the next stage (more, where a server would be reached by none). Every stage has servers of
each class at least once, the others are drawn. What is drawn, is drawn evenly from the lists below, by
numpy's generator from the seed, in the order of the file.
"""

from __future__ import annotations

import argparse
from collections.abc import Sequence

import numpy as np

SEED = 2412
CLASSES = {"tx2": "jetson-tx2", "nx": "jetson-orin-nx", "agx": "jetson-agx-orin"}
WEIGHTS = (0.5, 1, 2)
UPLINKS_MBPS = (5, 10, 20, 50, 100)
LINKS_MBPS = (20, 50, 100, 200)
N_REACHED, N_PER_HOME = 3, 5
STAGES = "abcdefgh"


def city(n_homes: int, n_servers: Sequence[int], *, seed: int = SEED) -> dict[str, list[str] | str]:
    """Draw devices, links and weights, each as lines of YAML.

    Parameters
    ----------
    n_homes
        Neighbourhoods.
    n_servers
        Servers of each stage.
    """
    rng = np.random.default_rng(seed)
    weights = [WEIGHTS[rng.integers(len(WEIGHTS))] for _ in range(n_homes)]
    homes = [f"home{number}" for number in range(n_homes)]
    devices = [f"- {{id: {home}, kind: phone, count: {N_PER_HOME}}}" for home in homes]
    stages: list[list[str]] = []
    for name, n in zip(STAGES, n_servers, strict=False):
        kinds = [*CLASSES, *(list(CLASSES)[rng.integers(len(CLASSES))] for _ in range(n - len(CLASSES)))]
        stages.append([f"{name}{number}-{kind}" for number, kind in enumerate(kinds[:n])])
        devices += [
            f"- {{id: {server}, kind: {CLASSES[server.partition('-')[2]]}, forwards: true, "
            "service: *service}"
            for server in stages[-1]
        ]
    links, senders, rates = [], homes, UPLINKS_MBPS
    for servers in stages:
        for sender, reached in _reach(rng, senders, servers):
            rate = rates[rng.integers(len(rates))]
            links.append(
                f"- {{between: [{sender}, {reached}], wired: {{rate: {rate} Mbit/s, latency: 0.5 ms}}}}"
            )
        senders, rates = servers, LINKS_MBPS
    return {
        "devices": devices,
        "links": links,
        "weights": ", ".join(f"{home}: {weight:g}" for home, weight in zip(homes, weights, strict=True)),
        "stages": "[" + ", ".join(f"[{', '.join(servers)}]" for servers in stages) + "]",
    }


def _reach(rng: np.random.Generator, senders: list[str], servers: list[str]) -> list[tuple[str, str]]:
    """Which nodes are linked: each sender to some servers, and no server to none."""
    n = min(N_REACHED, len(servers))
    found = [(a, servers[b]) for a in senders for b in sorted(rng.choice(len(servers), n, replace=False))]
    lonely = [server for server in servers if all(server != b for _, b in found)]
    found += [(senders[rng.integers(len(senders))], server) for server in lonely]
    return sorted(found, key=lambda pair: (senders.index(pair[0]), servers.index(pair[1])))


def main() -> None:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--homes", type=int, default=8)
    parser.add_argument("--servers", type=int, nargs="+", default=[5, 4, 4, 3])
    parser.add_argument("--seed", type=int, default=SEED)
    asked = parser.parse_args()
    drawn = city(asked.homes, asked.servers, seed=asked.seed)
    print("topology:", "  devices:", *(f"    {line}" for line in drawn["devices"]), sep="\n")
    print("  links:", *(f"    {line}" for line in drawn["links"]), sep="\n")
    print(f"workload:\n  weights: {{{drawn['weights']}}}\nstages: {drawn['stages']}")


if __name__ == "__main__":
    main()
