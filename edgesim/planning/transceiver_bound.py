"""Certified lower bounds of the mean squared error, valid however inaccurate the solver is.

With ``Y_n = H_n^H X H_n`` the relaxed problem (:func:`edgesim.planning.transceiver_sdp.lower_bound`) is

::

    min tr(X)   subject to   tr(Y_n^-1) <= budget_n for all n,   X >= 0

For any matrix Q >= 0 and number l > 0, ``l tr(Y^-1) >= 2 sqrt(l) tr(Q^1/2) - tr(Q Y)``, with equality at
``Q = l Y^-2``. So Lagrange's dual of the problem, maximised over the multipliers l, is

::

    max sum_n tr(Q_n^1/2)^2 / budget_n   subject to   sum_n H_n Q_n H_n^H <= I,   Q_n >= 0

Any Q_n, divided by the largest eigenvalue of that sum, therefore give a lower bound of alpha: a certificate
that one eigenvalue decomposition checks. For one device ``Q = (H^H H)^-1`` is optimal, and the bound is
``(sum of 1 / singular values of H)^2 / budget``.
"""

from __future__ import annotations

import numpy as np

from edgesim.planning.transceiver_design import Floats, Matrices

__all__ = ["certificate", "certified_alpha"]


def certificate(gram: Matrices, channels: Matrices, weights: Floats) -> Matrices:
    """Return the Q_n that correspond to a solution of the relaxed problem: ``weight_n Y_n^-2``.

    Parameters
    ----------
    gram : [n_receive, n_receive]
        X = G G^H, optimal or nearly so.
    channels : [n_devices, n_receive, n_transmit]
    weights : [n_devices]
        Multipliers of the budgets, up to a common factor; negative ones count as 0.

    Returns
    -------
    [n_devices, n_transmit, n_transmit]
    """
    inverse = np.linalg.inv(channels.conj().swapaxes(1, 2) @ gram @ channels)
    found: Matrices = np.maximum(weights, 0.0)[:, np.newaxis, np.newaxis] * (inverse @ inverse)
    return found


def certified_alpha(certificates: Matrices, channels: Matrices, budgets: Floats) -> float:
    """Return a lower bound of alpha over all combiners of n_transmit columns, from any Q_n >= 0.

    Negative eigenvalues of a Q_n are set to 0 first, so the result is a valid bound for any input.
    """
    hermitian = 0.5 * (certificates + certificates.conj().swapaxes(1, 2))
    eigenvalues, vectors = np.linalg.eigh(hermitian)
    eigenvalues = np.maximum(eigenvalues, 0.0)
    spread = channels @ (vectors * np.sqrt(eigenvalues)[:, np.newaxis, :])
    total = np.einsum("nij,nkj->ik", spread, spread.conj())
    largest = float(np.linalg.eigvalsh(total)[-1])
    value = float(np.sum(np.sum(np.sqrt(eigenvalues), axis=1) ** 2 / np.asarray(budgets)))
    return value / largest if largest > 0 else 0.0
