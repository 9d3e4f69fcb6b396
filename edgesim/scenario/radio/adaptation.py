"""Link adaptation, duplex, resource grid and medium access of a scenario's radio, for the radio layer."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import fields, is_dataclass, replace
from types import MappingProxyType
from typing import Any, TypeVar

from pydantic import ValidationError

from edgesim import plugins
from edgesim.errors import InputError
from edgesim.radio.access.duplex import Duplex, Fdd, HalfDuplex, TddPattern
from edgesim.radio.access.resource_grid import ResourceGrid
from edgesim.radio.access.uplink_grant import UplinkGrant, default_k2
from edgesim.radio.access.wifi_mac import WifiMac
from edgesim.radio.access.wifi_phy import PpduFormat
from edgesim.radio.adaptation.nr import Nr
from edgesim.radio.adaptation.nr_carrier import slot_s
from edgesim.radio.adaptation.outer_loop import Adapting
from edgesim.scenario.schema.link_rate import LINK_RATES, LinkRate
from edgesim.scenario.schema.link_rates.nr import NrEntry
from edgesim.scenario.schema.link_rates.wifi import WifiEntry
from edgesim.scenario.schema.radio import RadioEntry
from edgesim.scenario.schema.radio_kinds import RadioFigures

__all__ = ["adaptation", "duplex_of", "medium_access", "resource_grid"]

Model = TypeVar("Model", bound=LinkRate)

_STANDARDS: Mapping[str, str] = MappingProxyType({"nr": "a radio of 5G NR", "wifi": "which is Wi-Fi"})


def adaptation(radio: RadioEntry, figures: RadioFigures) -> Adapting:
    """Return the link adaptation of a radio, with a scenario's overrides.

    Raises
    ------
    InputError
        If the standard does not support the carrier or channel, or a setting belongs to another standard.
    """
    chosen = None if radio.adaptation is None else radio.adaptation.chosen
    if chosen is None:
        chosen = _of_standard(figures.air)
    elif chosen.only_for and chosen.only_for != figures.air:
        assert radio.adaptation is not None
        raise InputError(
            f"'adaptation: {radio.adaptation.name}' does not apply to {radio.use}, "
            f"{_STANDARDS.get(figures.air, f'whose link-rate model is {figures.air}')}; leave it out"
        )
    made = chosen.interface(figures)
    if radio.max_attempts is not None:
        if not isinstance(made, Nr):
            raise InputError(
                "'max_attempts' applies to HARQ, which only 5G NR has; give 'arq_limit', the number of "
                "retransmissions of a block"
            )
        made = replace(made, n_attempts=radio.max_attempts)
    changes: dict[str, Any] = {}
    if radio.target_bler is not None:
        changes["target_bler"] = radio.target_bler
    if radio.arq_limit is not None:
        changes["arq"] = made.arq._replace(limit=radio.arq_limit)
    for name in changes:
        if not (is_dataclass(made) and name in (field.name for field in fields(made))):
            word = "arq_limit" if name == "arq" else name
            raise InputError(
                f"'{word}' does not apply to {radio.use}, whose link-rate model has no such field; "
                "leave it out"
            )
    return replace(made, **changes) if changes else made  # type: ignore[type-var]  # checked above


def _of_standard(air: str) -> LinkRate:
    """Return the link-rate model that a radio's catalogue entry names, with default options."""
    kind = plugins.load(LINK_RATES, air)
    try:
        return kind()
    except ValidationError:
        raise InputError(
            f"link-rate model {air!r} has options without defaults; give 'adaptation: {{{air}: {{...}}}}'"
        ) from None


def _given(radio: RadioEntry, kind: type[Model]) -> Model | None:
    """Return the scenario's adaptation settings if they are for this model; else None."""
    chosen = None if radio.adaptation is None else radio.adaptation.chosen
    return chosen if isinstance(chosen, kind) else None


def medium_access(radio: RadioEntry, figures: RadioFigures) -> WifiMac:
    """Return the medium access of a Wi-Fi radio, with a scenario's overrides; for other radios the defaults.

    Raises
    ------
    InputError
        If the standard does not support the frames or aggregates.
    """
    if figures.generation is None:
        return WifiMac()
    entry = _given(radio, WifiEntry) or WifiEntry()
    contention = radio.contention
    return WifiMac(
        ppdu=PpduFormat(
            generation=figures.generation, n_streams=entry.streams, guard_s=entry.rounded_guard_s
        ),
        edca=contention.edca(),
        aggregation=contention.aggregation.value(),
        frame_bytes=entry.frame_bytes,
        rts_from_bytes=0 if radio.rts_cts else contention.rts_from_bytes,
        acknowledges_segments=contention.transport_acks,
    )


def duplex_of(figures: RadioFigures) -> Duplex:
    """Return how a radio divides time between the two directions."""
    if figures.duplex == "tdd":
        assert figures.tdd is not None
        assert figures.subcarrier_spacing_hz is not None
        return TddPattern(figures.tdd, slot_s(figures.subcarrier_spacing_hz))
    return Fdd() if figures.duplex == "fdd" else HalfDuplex()


def resource_grid(radio: RadioEntry, figures: RadioFigures) -> ResourceGrid | None:
    """Return the resource grid from which a radio's grants are made; None if it has none.

    Wi-Fi has none, and neither has a radio with `shannon` adaptation, an ideal that can use any part of a
    band.

    Raises
    ------
    InputError
        If the period of scheduling requests is not a whole number of slots, or the TDD pattern has no slot
        for data in one direction.
    """
    made = adaptation(radio, figures)
    if not isinstance(made, Nr):
        return None
    entry = _given(radio, NrEntry) or NrEntry()
    period_s = 0.0 if entry.scheduling_request_s == "none" else entry.scheduling_request_s
    n_slots = period_s / made.slot_s
    if abs(n_slots - round(n_slots)) > 1e-6:
        raise InputError(
            f"'scheduling_request' is {period_s * 1e3:g} ms; expected whole slots of {made.slot_s * 1e3:g} ms"
        )
    return ResourceGrid(
        slot_s=made.slot_s,
        n_prb=made.n_prb,
        duplex=duplex_of(figures),
        uplink=UplinkGrant(
            period_slots=round(n_slots),
            processing_slots=entry.grant_processing_slots,
            k2_slots=default_k2(made.slot_s) if entry.k2_slots is None else entry.k2_slots,
        ),
    )
