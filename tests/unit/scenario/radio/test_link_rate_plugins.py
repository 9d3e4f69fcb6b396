"""Link-rate models of a group: all keep the contract, and what does not is named."""

from __future__ import annotations

from dataclasses import dataclass, replace

import pytest

from edgesim import plugins
from edgesim.errors import InputError
from edgesim.radio.adaptation.air_interface import Grant
from edgesim.radio.adaptation.shannon import Shannon
from edgesim.scenario.catalogue import radio_kind
from edgesim.scenario.radio.adaptation import adaptation
from edgesim.scenario.schema.link_rate import LINK_RATES, LinkRate
from edgesim.scenario.schema.radio import RadioEntry
from edgesim.testing import check_link_rate


def test_edgesims_own_keep_the_contract() -> None:
    found = plugins.discover(LINK_RATES)
    assert {"nr", "shannon", "wifi"} <= set(found)
    for kind in found.values():
        check_link_rate(kind())


@dataclass(frozen=True)
class Faulty(Shannon):
    fault: str = ""

    def grant(self, sinr_estimate, bandwidth_hz):
        grant = super().grant(sinr_estimate, bandwidth_hz)
        if self.fault == "worse":
            return grant._replace(efficiency=1.0 / sinr_estimate)
        if self.fault == "half a bit":
            return grant._replace(block_bits=0.5)
        if self.fault == "out of reach":
            return grant._replace(mcs=-1)
        return grant

    def errors(self, grant: Grant, sinr: float):
        if self.fault == "beyond":
            return (1.5,)
        if self.fault == "fails":
            return (1.0,) if sinr > 100.0 else (0.0,)
        return () if self.fault == "none" else super().errors(grant, sinr)


@dataclass
class Thawed:
    """An interface that may change."""


class Model(LinkRate):
    """One model with faults to choose from."""

    fault: str = ""

    def interface(self, carrier):
        if self.fault == "refuses":
            raise InputError("no")
        if self.fault == "two":
            return object()
        return Thawed() if self.fault == "thawed" else Faulty(fault=self.fault)


def test_a_good_one_passes() -> None:
    check_link_rate(Model())


@pytest.mark.parametrize(
    ("fault", "sentence"),
    [
        ("worse", "are granted, but .* at a lower ratio"),
        ("half a bit", "expected a whole number"),
        ("out of reach", "is out of reach; expected efficiency and bits of 0"),
        ("beyond", r"errors \(1\.5,\); expected 0 to 1"),
        ("fails", "fails more often than at a lower ratio"),
        ("none", "no attempt"),
        ("refuses", "refused every carrier"),
        ("two", "make the interface a frozen dataclass"),
        ("thawed", "unhashable type: .* make the interface a frozen dataclass"),
    ],
)
def test_what_breaks_the_contract_is_named(fault: str, sentence: str) -> None:
    with pytest.raises(AssertionError, match=sentence):
        check_link_rate(Model(fault=fault))


def test_a_class_without_an_interface_is_refused() -> None:
    assert LINK_RATES.check is not None
    with pytest.raises(InputError, match=r"write interface\(self, carrier\)"):
        LINK_RATES.check(type("Bare", (LinkRate,), {"__doc__": "Nothing.", "__module__": __name__}))


def test_settings_that_a_model_has_no_field_for_are_refused(monkeypatch: pytest.MonkeyPatch) -> None:
    @dataclass(frozen=True)
    class NoTarget:
        arq: object = Shannon().arq

    radio = RadioEntry.model_validate({"use": "nr-n78", "adaptation": "shannon", "target_bler": 0.2})
    figures = radio_kind("nr-n78").figures(radio)
    assert adaptation(radio, figures) == replace(Shannon(), target_bler=0.2)
    assert radio.adaptation is not None
    monkeypatch.setattr(type(radio.adaptation.chosen), "interface", lambda self, carrier: NoTarget())
    with pytest.raises(InputError, match="'target_bler' does not apply to nr-n78"):
        adaptation(radio, figures)


def test_a_model_that_a_radio_names_wants_its_options(monkeypatch: pytest.MonkeyPatch) -> None:
    class Demanding(LinkRate):
        """With an option that has no default."""

        wanted: float

        def interface(self, carrier):
            return Shannon()

    load = plugins.load
    monkeypatch.setattr(
        plugins, "load", lambda group, name: Demanding if name == "own" else load(group, name)
    )
    radio = RadioEntry.model_validate({"use": "nr-n78"})
    figures = replace(radio_kind("nr-n78").figures(radio), air="own")
    with pytest.raises(InputError, match=r"options without defaults; give 'adaptation: \{own: \{\.\.\.\}\}'"):
        adaptation(radio, figures)
