"""Arrival processes of a group: all keep the contract, and what does not is named."""

from __future__ import annotations

from itertools import count, repeat

import pytest

from edgesim import plugins
from edgesim.errors import InputError, ScenarioError
from edgesim.fields import Hertz
from edgesim.scenario.schema.arrival_process import ARRIVALS, ArrivalProcess
from edgesim.scenario.schema.workload import ArrivalsChoice
from edgesim.testing import check_arrivals

OPTIONS = {
    "poisson": "4 Hz",
    "gamma": {"rate": "2 Hz", "cv": 3},
    "deterministic": {"every": "0.5 s"},
    "bursts": {"requests": 10, "every": "20 s", "spacing": "1 s"},
    "diurnal": {"mean": "10 Hz", "swing": 0.5, "peak": "1 s", "period": "4 s"},
    "hourly": {"rates": ["1.9 Hz", "2.1 Hz"]},
    "steps": [{"from": "0 s", "rate": "2 Hz"}],
}


def test_options_of_all_of_edgesims_own_are_here() -> None:
    assert set(plugins.own_names(ARRIVALS)) == set(OPTIONS)


@pytest.mark.parametrize("name", OPTIONS)
def test_edgesims_own_keep_the_contract(name: str) -> None:
    choice = ArrivalsChoice.model_validate({name: OPTIONS[name]})
    assert choice.name == name
    check_arrivals(choice.chosen, n_arrivals=60_000 if name == "hourly" else 4000)  # some hours of it


class Steady(ArrivalProcess):
    """One law with faults to choose from."""

    rate_hz: Hertz
    fault: str = ""

    def instants(self, rng):
        gap_s = (2.0 if self.fault == "slow" else 1.0) / self.rate_hz
        if self.fault == "ends":
            return iter([gap_s])
        if self.fault == "back":
            return (gap_s / (1 + k) for k in count())
        if self.fault == "list":
            return [gap_s]
        if self.fault == "endless":
            return repeat(float("inf"))
        return (k * gap_s for k in count())


def test_a_good_one_passes() -> None:
    check_arrivals(Steady(rate_hz="2 Hz"))


@pytest.mark.parametrize(
    ("fault", "sentence"),
    [
        ("slow", "arrived at 1 Hz on average; rate_hz is 2 Hz"),
        ("ends", "the instants end after 1"),
        ("back", "instant 1 is 0.25 s, after 0.5 s"),
        ("list", "expected a generator"),
        ("endless", "instant 0 is inf"),
    ],
)
def test_what_breaks_the_contract_is_named(fault: str, sentence: str) -> None:
    with pytest.raises(AssertionError, match=sentence):
        check_arrivals(Steady(rate_hz="2 Hz", fault=fault))


class NoRate(ArrivalProcess):
    """Without a rate."""

    def instants(self, rng):
        return count()


class NoGenerator(ArrivalProcess):
    """Whose instants take nothing."""

    rate_hz: Hertz

    def instants(self):
        return count()


class Nothing(ArrivalProcess):
    """Without anything."""

    rate_hz: Hertz


@pytest.mark.parametrize(
    ("kind", "sentence"),
    [
        (NoRate, "has no rate_hz"),
        (NoGenerator, r"instants does not take \(rng\); write instants\(self, rng\)"),
        (Nothing, r"does not override instants; write instants\(self, rng\)"),
    ],
)
def test_a_class_without_what_it_is_called_with_is_refused(kind, sentence) -> None:
    assert ARRIVALS.check is not None
    with pytest.raises(InputError, match=sentence):
        ARRIVALS.check(kind)


def test_an_unknown_process_is_told_with_the_nearest() -> None:
    with pytest.raises(ScenarioError, match=r"no arrival process 'poison'; did you mean 'poisson'\?"):
        plugins.load(ARRIVALS, "poison")
