"""Conformance test for arrival processes."""

from __future__ import annotations

import math
import pickle
from itertools import islice

import numpy as np

from edgesim.errors import InputError
from edgesim.scenario.schema.arrival_process import ARRIVALS, ArrivalProcess

__all__ = ["check_arrivals"]

_N_RUNS = 8
_MOST_SIGMAS = 6.0  # tolerance in standard errors of the mean rate; rejects a correct process once in 10⁶
_SLACK = 0.02  # relative, for processes with little variance that begin in the middle of a period


def check_arrivals(process: ArrivalProcess, n_arrivals: int = 4000) -> None:
    """Check that an arrival process, with its options set by the author, satisfies its contract.

    Instants must be finite, nonnegative, nondecreasing and unlimited in number. They must depend on the
    generator only, also if two iterators are interleaved. Their long-run rate must be ``rate_hz`` (over 8
    runs, within six standard errors and 2 %). The arrival process must be picklable.

    Parameters
    ----------
    n_arrivals
        Arrivals per run; increase it if the rate varies over longer periods.

    Raises
    ------
    AssertionError
        With a sentence that states the violation.
    """
    assert isinstance(process, ArrivalProcess), f"{process!r} is not an object of {ARRIVALS.known_as}"
    try:
        if ARRIVALS.check is not None:
            ARRIVALS.check(type(process))
    except InputError as error:
        raise AssertionError(str(error)) from None
    where = f"{process!r}: "
    law = pickle.loads(pickle.dumps(process)).law()
    rate_hz = law.rate_hz
    assert math.isfinite(rate_hz), f"{where}rate_hz is {rate_hz}; expected a finite number above 0"
    assert rate_hz > 0, f"{where}rate_hz is {rate_hz}; expected a finite number above 0"
    runs = [
        _instants(where, law.instants(np.random.default_rng(seed)), n_arrivals) for seed in range(_N_RUNS)
    ]
    again = list(islice(law.instants(np.random.default_rng(0)), n_arrivals))
    assert again == runs[0], f"{where}the same generator gave two different sequences of instants"
    one, other = (law.instants(np.random.default_rng(0)) for _ in range(2))
    turns = [(next(one), next(other)) for _ in range(20)]
    assert all(a == b for a, b in turns), (
        f"{where}two interleaved iterators affect each other; keep no state in the law"
    )
    rates_hz = np.array([(n_arrivals - 1) / run[-1] if run[-1] > 0 else math.inf for run in runs])
    error_hz = _MOST_SIGMAS * float(np.std(rates_hz, ddof=1)) / math.sqrt(_N_RUNS)
    found_hz = float(np.mean(rates_hz))
    assert abs(found_hz - rate_hz) <= error_hz + _SLACK * rate_hz, (
        f"{where}{n_arrivals} requests arrived at {found_hz:.4g} Hz on average; rate_hz is {rate_hz:.4g} Hz"
    )


def _instants(where: str, instants: object, n_arrivals: int) -> list[float]:
    assert hasattr(instants, "__next__"), f"{where}instants returned {instants!r}; expected a generator"
    found = [float(instant) for instant in islice(instants, n_arrivals)]  # type: ignore[call-overload]
    assert len(found) == n_arrivals, f"{where}the instants end after {len(found)}; expected no end"
    before_s = 0.0
    for number, instant_s in enumerate(found):
        assert math.isfinite(instant_s), f"{where}instant {number} is {instant_s}"
        assert instant_s >= before_s, f"{where}instant {number} is {instant_s} s, after {before_s} s"
        before_s = instant_s
    return found
