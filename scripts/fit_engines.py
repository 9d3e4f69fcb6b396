"""Fit the shares of engines and boards to all published rates, and write edgesim/data/engines.npz.

Run it after a change of edgesim/data/published_rates.yaml, of the peaks in the catalogue, or of the priors.
"""

from __future__ import annotations

from pathlib import Path

from edgesim.model.efficiency.posterior import fit
from edgesim.model.efficiency.stored import N_STORED, save_posterior
from edgesim.rng import Streams
from edgesim.scenario.rates import published_rates

FILE = Path(__file__).resolve().parents[1] / "edgesim" / "data" / "engines.npz"
SEED = 20_250_707

if __name__ == "__main__":
    rates = [entry.rate() for entry in published_rates()]
    fitted = fit(rates, Streams(SEED)["published rates"], n_chains=128, n_kept=64)
    save_posterior(fitted.thinned(N_STORED), FILE)
