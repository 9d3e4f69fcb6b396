"""Baselines that ignore load: computing first and bandwidth first.

CF and BF are implemented as their names in Xie et al. 2024 (arXiv 2412.08284) suggest; their exact rules were
not available.
"""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from edgesim.planning.offloading.network import OffloadingNetwork

__all__ = ["bandwidth_first", "computing_first"]

Floats = NDArray[np.float64]


def computing_first(network: OffloadingNetwork) -> Floats:
    """CF: return a plan in proportion to the capacity of the servers that links enter: [n_links]."""
    return _in_proportion(network, 1 / network.service_s[network.head])


def bandwidth_first(network: OffloadingNetwork) -> Floats:
    """BF: return a plan in proportion to the rate of links: [n_links].

    Links that take no time (to the node's own processor) share all tasks where a node has them.
    """
    free = network.transfer_s == 0
    has_free = np.bincount(network.tail, free, network.n_nodes)[network.tail] > 0
    rate = np.where(has_free, free, 1 / np.where(free, 1.0, network.transfer_s))
    return _in_proportion(network, rate)


def _in_proportion(network: OffloadingNetwork, weight: Floats) -> Floats:
    plan: Floats = weight / np.bincount(network.tail, weight, network.n_nodes)[network.tail]
    return plan
