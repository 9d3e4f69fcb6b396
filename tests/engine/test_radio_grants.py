"""5G's grants against a loop over every slot and every number of resource blocks, and against literal numbers."""

from __future__ import annotations

import math
from typing import Any

import numpy as np
import pytest
from airwaves import STATION, Interface, Message, carry, cell, cells, link
from slot_loop import Carrier, ends, is_up

from edgesim.engine.medium import Medium
from edgesim.radio.air_interface import Arq
from edgesim.radio.duplex import Duplex, Fdd, TddPattern
from edgesim.radio.fading import BlockFading
from edgesim.radio.fading_law import Rayleigh
from edgesim.radio.link import RadioLink
from edgesim.radio.nr import Nr
from edgesim.radio.resource_grid import ResourceGrid
from edgesim.radio.uplink_grant import UplinkGrant

SLOT_S = 0.5e-3
PATTERN = TddPattern("DDDSU", SLOT_S)
ACCESSES = ("equal", "weighted", "tdma", "round-robin", "proportional-fair", "max-rate")


class Faultless(Nr):
    """5G NR whose blocks all arrive."""

    def errors(self, grant: Any, sinr: float) -> tuple[float, ...]:
        return (0.0,)


def on(bandwidth_hz: float, snr_db: float, air: type[Nr] = Faultless, **facts: Any) -> RadioLink:
    return link(snr_db, air=air(bandwidth_hz), bandwidth_hz=bandwidth_hz, **facts)


def medium(
    access: str = "equal", *, duplex: Duplex = PATTERN, n_prb: int = 51, period: int = 20, **facts: Any
) -> Medium:
    grid = ResourceGrid(
        slot_s=SLOT_S, n_prb=n_prb, duplex=duplex, uplink=UplinkGrant(period_slots=period, **facts)
    )
    return Medium(name=STATION, access=access, duplex=duplex, grid=grid)


# --- against a loop over every slot ---------------------------------------------------------------------

SNRS_DB = {"near": 30.0, "middle": 16.0, "far": 6.0}
WEIGHTS = {"near": 1.0, "middle": 3.0, "far": 0.5}


def faded() -> dict[str, RadioLink]:
    return {
        name: on(20e6, snr_db, fading=BlockFading(Rayleigh(), 11 + place, 0.02))
        for place, (name, snr_db) in enumerate(SNRS_DB.items())
    }


def random_messages(seed: int, n: int = 60) -> list[Message]:
    """Messages of 4 bytes to 20 kB, many of them at once, up and down."""
    rng = np.random.default_rng(seed)
    at_s = np.cumsum(rng.exponential(0.002, n) * (rng.random(n) < 0.7)).tolist()
    ups = rng.random(n) < 0.5
    terminals = rng.choice(list(SNRS_DB), n).tolist()
    n_bits = np.round(8 * np.exp(rng.uniform(math.log(4), math.log(20_000), n))).tolist()
    return [
        Message(at, name, STATION, size) if up else Message(at, STATION, name, size)
        for at, up, name, size in zip(at_s, ups, terminals, n_bits, strict=True)
    ]


@pytest.mark.parametrize("duplex", [PATTERN, Fdd()], ids=["tdd", "fdd"])
@pytest.mark.parametrize("access", ACCESSES)
def test_every_message_has_the_slots_that_a_loop_over_all_of_them_says(access: str, duplex: Duplex) -> None:
    messages = random_messages(5)
    ran = carry(cell(faded(), medium(access, duplex=duplex), weights=WEIGHTS), messages)
    carrier = Carrier(SLOT_S, 51, "DDDSU" if duplex is PATTERN else "")
    offset = 4 if duplex is PATTERN else 0
    told: dict[Message, tuple[float, float, float]] = {}
    for up in (True, False):
        mine = [one for one in messages if is_up(one) == up]
        told |= ends(
            carrier,
            faded(),
            mine,
            up=up,
            access=access,
            weights=WEIGHTS,
            offsets=dict.fromkeys(SNRS_DB, offset),
        )
    assert ran.ended_s() == pytest.approx([told[one][0] for one in messages], rel=1e-9)
    energy_j = [2.0 * told[one][1] + 1.0 * told[one][2] for one in messages]
    assert ran.spans["energy_j"].tolist() == pytest.approx(energy_j, rel=1e-6)
