"""Capacity of an offloading network: the largest common factor by which its arrivals may grow."""

from __future__ import annotations

from typing import Any

import numpy as np
import scipy.sparse as _sparse
from scipy.optimize import linprog

from edgesim.errors import InputError
from edgesim.planning.offloading.network import OffloadingNetwork

__all__ = ["balance", "entering", "largest_scale"]

sp: Any = _sparse  # its type stubs cover few of its operations


def entering(network: OffloadingNetwork) -> Any:
    """Return the incidence of links on the nodes they enter, a sparse matrix: ``entering @ f`` [n_nodes]."""
    links = np.arange(network.n_links)
    return sp.csr_matrix(
        (np.ones(network.n_links), (network.head, links)), (network.n_nodes, network.n_links)
    )


def balance(network: OffloadingNetwork) -> Any:
    """Return flow conservation at every node that sends on, a sparse matrix [n_nodes - n_last, n_links].

    Row i is the flow out of node i minus I_i times the flow into it, so ``balance @ f = I * arrivals``.
    """
    links = np.arange(network.n_links)
    leaving = sp.csr_matrix((np.ones(network.n_links), (network.tail, links)), entering(network).shape)
    kept = leaving - sp.diags_array(network.onward) @ entering(network)
    return sp.csr_matrix(kept)[network.n_hops > 0]


def largest_scale(network: OffloadingNetwork) -> float:
    """Return the largest factor z such that z times the arrivals loads no queue beyond its capacity.

    A linear program over link rates: max z subject to flow conservation and rho_k <= 1 at every server and at
    every link with a queue. For any smaller factor there is a plan with all utilisations below 1.
    """
    n = network.n_links
    arriving = sp.csr_matrix(network.arrivals_per_s[:, None])
    own = sp.csr_matrix(-(network.onward * network.arrivals_per_s)[network.n_hops > 0][:, None])
    conserve = sp.csr_matrix(sp.hstack([balance(network), own]))
    loads = sp.diags_array(network.service_s) @ sp.hstack([entering(network), arriving])
    occupied = network.has_queue & (network.transfer_s > 0)
    upper = np.where(occupied, 1 / np.where(occupied, network.transfer_s, 1.0), np.inf)
    program: Any = linprog  # its type stubs do not cover sparse matrices
    found = program(
        np.append(np.zeros(n), -1.0),
        A_ub=sp.csr_matrix(loads)[network.stage > 0],
        b_ub=np.ones(int((network.stage > 0).sum())),
        A_eq=conserve,
        b_eq=np.zeros(conserve.shape[0]),
        bounds=np.column_stack([np.zeros(n + 1), np.append(upper, np.inf)]),
        method="highs",
    )
    if found.status != 0:
        raise InputError(f"offloading: no largest flow was found ({found.message}); check rates and times")
    return float(found.x[-1])
