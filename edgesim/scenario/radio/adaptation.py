"""From what a scenario says of a radio to the link adaptation that the radio layer knows."""

from __future__ import annotations

import math
from dataclasses import replace

from edgesim.errors import InputError
from edgesim.radio.access.duplex import Duplex, Fdd, HalfDuplex, TddPattern
from edgesim.radio.access.resource_grid import ResourceGrid
from edgesim.radio.access.uplink_grant import UplinkGrant, default_k2
from edgesim.radio.access.wifi_mac import WifiMac
from edgesim.radio.access.wifi_phy import PpduFormat
from edgesim.radio.adaptation.bler import bler_set
from edgesim.radio.adaptation.nr import Nr
from edgesim.radio.adaptation.nr_carrier import slot_s
from edgesim.radio.adaptation.shannon import Shannon
from edgesim.radio.adaptation.wifi import Wifi
from edgesim.scenario.schema.adaptation import NrEntry, ShannonEntry, WifiEntry
from edgesim.scenario.schema.radio import RadioEntry
from edgesim.scenario.schema.radio_kinds import RadioFigures

__all__ = ["Adaptation", "adaptation", "duplex_of", "medium_access", "resource_grid"]

Adaptation = Nr | Wifi | Shannon

MILLIMETRE_WAVES_FROM_HZ = 7.125e9  # 3GPP's frequency range 2 begins above range 1


def adaptation(radio: RadioEntry, figures: RadioFigures) -> Adaptation:
    """Make the link adaptation of a radio, with a scenario's own settings.

    Raises
    ------
    InputError
        If the standard has no such carrier or channel, or a setting belongs to another standard.
    """
    asked = radio.adaptation
    made: Adaptation
    if asked is not None and asked.shannon is not None:
        made = _shannon(asked.shannon)
    elif figures.subcarrier_spacing_hz is not None:
        if asked is not None and asked.wifi is not None:
            raise InputError(
                f"'adaptation: wifi' says nothing to {radio.use}, a radio of 5G NR; leave it out"
            )
        made = _nr((asked and asked.nr) or NrEntry(), figures, figures.subcarrier_spacing_hz)
    else:
        if asked is not None and asked.nr is not None:
            raise InputError(f"'adaptation: nr' says nothing to {radio.use}, which is Wi-Fi; leave it out")
        made = _wifi((asked and asked.wifi) or WifiEntry(), figures)
    if radio.max_attempts is not None:
        if not isinstance(made, Nr):
            raise InputError(
                "'max_attempts' is HARQ's, which only 5G NR has; give 'arq_limit', how often a block is "
                "sent anew"
            )
        made = replace(made, n_attempts=radio.max_attempts)
    if radio.target_bler is not None:
        made = replace(made, target_bler=radio.target_bler)
    if radio.arq_limit is not None:
        made = replace(made, arq=made.arq._replace(limit=radio.arq_limit))
    return made


def medium_access(radio: RadioEntry, figures: RadioFigures) -> WifiMac:
    """Make the medium access of a Wi-Fi radio, with a scenario's own settings; of others, the defaults.

    Raises
    ------
    InputError
        If the standard has no such frames or aggregates.
    """
    if figures.generation is None:
        return WifiMac()
    entry = (radio.adaptation and radio.adaptation.wifi) or WifiEntry()
    contention = radio.contention
    return WifiMac(
        ppdu=PpduFormat(
            generation=figures.generation, n_streams=entry.streams, guard_s=_guard_s(entry.guard_s)
        ),
        edca=contention.edca(),
        aggregation=contention.aggregation.value(),
        frame_bytes=entry.frame_bytes,
        rts_from_bytes=0 if radio.rts_cts else contention.rts_from_bytes,
        acknowledges_segments=contention.transport_acks,
    )


def _guard_s(asked_s: float | None) -> float | None:
    """Rounded to a nanosecond: 0.8 us in text and in the standard's table are the same number then."""
    return None if asked_s is None else round(asked_s, 9)


def _shannon(entry: ShannonEntry) -> Shannon:
    return Shannon(
        gap_db=entry.gap_db,
        cap=math.inf if entry.cap is None else entry.cap,
        attenuation=entry.attenuation,
        floor_db=-math.inf if entry.floor_db is None else entry.floor_db,
    )


def _nr(entry: NrEntry, figures: RadioFigures, spacing_hz: float) -> Nr:
    return Nr(
        figures.bandwidth_hz,
        spacing_hz,
        2 if figures.carrier_hz > MILLIMETRE_WAVES_FROM_HZ else 1,
        mcs_table=entry.mcs_table,
        cqi_table=entry.cqi_table,
        bler=bler_set(entry.bler),
        overhead_ratio=entry.overhead_ratio,
        n_layers=entry.layers,
        combining=entry.combining,
        round_trip_slots=entry.round_trip_slots,
    )


def _wifi(entry: WifiEntry, figures: RadioFigures) -> Wifi:
    assert figures.generation is not None
    return Wifi(
        figures.generation,
        figures.bandwidth_hz,
        n_streams=entry.streams,
        guard_s=_guard_s(entry.guard_s),
        mpdu_bytes=entry.frame_bytes,
        curve=entry.curve,
    )


def duplex_of(figures: RadioFigures) -> Duplex:
    """How a radio divides its time between the two ways."""
    if figures.duplex == "tdd":
        assert figures.tdd is not None
        assert figures.subcarrier_spacing_hz is not None
        return TddPattern(figures.tdd, slot_s(figures.subcarrier_spacing_hz))
    return Fdd() if figures.duplex == "fdd" else HalfDuplex()


def resource_grid(radio: RadioEntry, figures: RadioFigures) -> ResourceGrid | None:
    """Return the slots and resource blocks that a radio's grants are made of; None of one that has none.

    Wi-Fi has none, nor has a radio that adapts by `shannon`: an ideal that sends in any part of a band.

    Raises
    ------
    InputError
        If 5G has no such period of scheduling requests, or a pattern no slot for data one way.
    """
    made = adaptation(radio, figures)
    if not isinstance(made, Nr):
        return None
    entry = (radio.adaptation and radio.adaptation.nr) or NrEntry()
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
