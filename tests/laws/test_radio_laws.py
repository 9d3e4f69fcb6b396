"""Universal statements about messages on the air, on cells that Hypothesis makes up."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import replace
from itertools import pairwise

import numpy as np
import pytest
from airwaves import STATION, Channel, Interface, Message, carry, cell, cells, link
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from kept import kept
from miniature import device, run, world

from edgesim.engine.network.air.slot_grants import Stretch
from edgesim.engine.network.air.slotted_pool import SlottedPool
from edgesim.engine.network.air.transfer import Transfer
from edgesim.engine.network.cells import Pools
from edgesim.engine.process.clock import Clock
from edgesim.radio.access.duplex import Duplex, Fdd, HalfDuplex, TddPattern
from edgesim.radio.access.resource_grid import ResourceGrid
from edgesim.radio.access.uplink_grant import UplinkGrant
from edgesim.radio.adaptation.air_interface import Arq
from edgesim.radio.adaptation.nr import Nr
from edgesim.radio.channel.fading import BlockFading, JakesFading
from edgesim.radio.channel.fading_law import Rayleigh, Rician
from edgesim.rng import link_key
from edgesim.strategies.local import Local
from edgesim.strategies.offload import Offload
from edgesim.strategies.pipeline import Pipeline
from edgesim.strategy import Strategy
from edgesim.workload.arrivals import Poisson
from edgesim.workload.lengths import Uniform
from edgesim.world.device import Power
from edgesim.world.fleet import Fleet
from edgesim.world.link import Link
from edgesim.world.medium import Medium, RadioChannel
from edgesim.world.world import World

RATE_BPS = 1e6
FRAME_BITS = 12_000
ACCESSES = ("equal", "weighted", "tdma", "round-robin", "proportional-fair", "max-rate", "dcf")
NR = Nr(carrier_bandwidth_hz=20e6)
DUPLEXES: tuple[Duplex, ...] = (Fdd(), HalfDuplex(), TddPattern("DDDSU", 0.5e-3), TddPattern("DU", 1e-3))


class Sender:
    """A direction of a link that only counts what it hears."""

    def __init__(self, terminal: str, is_uplink: bool, weight: float, clock: Clock) -> None:
        self.channel = RadioChannel(
            link=Channel(RATE_BPS, block_bits=FRAME_BITS),
            terminal=terminal,
            station=STATION,
            medium=STATION,
            key=1,
            weight=weight,
        )
        self.sender = terminal if is_uplink else STATION
        self.is_uplink = is_uplink
        self.n_bits: dict[Transfer, float] = {}
        self.joined_s: dict[Transfer, float] = {}
        self.ended_s: dict[Transfer, float] = {}
        self.clock = clock

    def in_reach(self, transfer: Transfer) -> None:
        transfer.left_bits = self.n_bits[transfer]

    def sent(self, transfer: Transfer) -> None:
        assert transfer not in self.ended_s
        self.ended_s[transfer] = self.clock.now

    def given_up(self, transfer: Transfer) -> None:
        raise AssertionError("nobody is out of reach")

    def not_alone(self, transfer: Transfer) -> None:
        """Nothing to do."""


comings = st.tuples(
    st.floats(0.0, 0.01),  # after the last one
    st.integers(0, 2),  # which terminal
    st.booleans(),  # up?
    st.integers(1, 40_000),  # bits
    st.none() | st.floats(0.0, 0.02),  # leaves after so long, sent or not
)


@settings(max_examples=120, deadline=None)
@given(
    access=st.sampled_from([access for access in ACCESSES if access != "dcf"]),
    duplex=st.sampled_from(DUPLEXES),
    asked=st.lists(comings, min_size=1, max_size=15),
)
def test_bits_are_conserved_whoever_comes_and_goes(
    access: str, duplex: Duplex, asked: Sequence[tuple[float, int, bool, int, float | None]]
) -> None:
    """Carried is the channel's rate times the open time in which anybody had something to send."""
    clock = Clock()
    medium = Medium(name=STATION, access=access, duplex=duplex)
    pools = Pools(clock, {STATION: medium})
    senders = {
        (place, up): Sender(f"t-{place}", up, 1.0 + place, clock)
        for place in range(3)
        for up in (True, False)
    }
    at_s = 0.0
    for gap_s, place, up, n_bits, leaves_s in asked:
        at_s += gap_s
        mine, pool = senders[place, up], pools.pool(STATION, is_uplink=up)
        transfer = Transfer(mine)
        mine.n_bits[transfer] = float(n_bits)

        def join(mine=mine, pool=pool, transfer=transfer):  # type: ignore[no-untyped-def]
            mine.joined_s[transfer] = clock.now
            pool.join(transfer)

        def leave(mine=mine, pool=pool, transfer=transfer):  # type: ignore[no-untyped-def]
            if transfer not in mine.ended_s:
                mine.ended_s[transfer] = clock.now
                pool.leave(transfer)

        clock.call_at(at_s, join)
        if leaves_s is not None:
            clock.call_at(at_s + leaves_s, leave)
    clock.run()
    shares_air = duplex.takes_turns
    for ways in ((True, False),) if shares_air else ((True,), (False,)):
        mine = [sender for (_, up), sender in senders.items() if up in ways]
        carried = math.fsum(n_bits - one.left_bits for m in mine for one, n_bits in m.n_bits.items())
        edges_s = sorted({t for m in mine for times in (m.joined_s, m.ended_s) for t in times.values()})
        expected = 0.0
        for from_s, to_s in pairwise(edges_s):
            active = {
                m.sender
                for m in mine
                for one, joined_s in m.joined_s.items()
                if joined_s <= from_s and m.ended_s[one] >= to_s
            }
            open_s = to_s - from_s if shares_air else duplex.open_s(from_s, to_s, uplink=ways[0])
            expected += open_s * RATE_BPS * bool(active)
        assert carried == pytest.approx(expected, rel=1e-9, abs=1e-6)
        for m in mine:
            for one, n_bits in m.n_bits.items():
                assert -1e-6 <= one.left_bits <= n_bits


# --- 5G's grid --------------------------------------------------------------------------------------------

SLOTTED = tuple(access for access in ACCESSES if access != "dcf")
N_PRB = 51

tiny_and_large = st.tuples(
    st.floats(0.0, 0.004),  # after the last one
    st.integers(0, 3),  # which terminal
    st.booleans(),  # up?
    st.sampled_from([32.0, 800.0, 20_000.0, 300_000.0]),
)


@settings(max_examples=60, deadline=None)
@given(
    access=st.sampled_from(SLOTTED),
    duplex=st.sampled_from([Fdd(), TddPattern("DDDSU", 0.5e-3), TddPattern("DU", 0.5e-3)]),
    asked=st.lists(tiny_and_large, min_size=1, max_size=12),
)
def test_grants_are_whole_and_a_carrier_is_given_once(
    access: str, duplex: Duplex, asked: Sequence[tuple[float, int, bool, float]]
) -> None:
    """Every grant is a resource block for a slot at least, and all of a slot's are the band at most.

    And bits are conserved: what a slot's grants carry, its transport blocks can.
    """
    grid = ResourceGrid(slot_s=0.5e-3, n_prb=N_PRB, duplex=duplex, uplink=UplinkGrant(period_slots=10))
    links = {f"t-{place}": link(5.0 + 12.0 * place, air=NR, bandwidth_hz=20e6) for place in range(4)}
    at_s, messages = 0.0, []
    for gap_s, place, up, n_bits in asked:
        at_s += gap_s
        ends = (f"t-{place}", STATION) if up else (STATION, f"t-{place}")
        messages.append(Message(at_s, *ends, n_bits))
    passed: dict[tuple[bool, int], dict[str, list[tuple[Transfer, float, float]]]] = {}
    serve = SlottedPool._serve

    def watched(pool: SlottedPool, stretch: Stretch, end: int) -> None:
        for number in range(stretch.first, end):
            slot = passed[bool(pool.is_uplink), number] = {}  # of a lone one that got company: the last word
            for part in stretch.parts:
                up = part.transfer.carrier.is_uplink
                share = part.rx_share if up else part.tx_share
                grants = slot.setdefault(part.transfer.carrier.channel.terminal, [])
                grants.append((part.transfer, share, part.slot_bits))
        serve(pool, stretch, end)

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(SlottedPool, "_serve", watched)
        ran = carry(cell(links, Medium(name=STATION, access=access, duplex=duplex, grid=grid)), messages)
    assert len(ran.spans) == len(messages)
    for (up, number), slot in passed.items():
        of_band = {name: sum(share for _, share, _ in grants) for name, grants in slot.items()}
        for name, share in of_band.items():
            n_prb = share * N_PRB
            assert n_prb == pytest.approx(max(1, round(n_prb)), rel=1e-9)
            state = links[name].state(0.0, uplink=up, band_share=round(n_prb) / N_PRB)
            assert sum(n_bits for _, _, n_bits in slot[name]) <= state.grant.block_bits + 1e-6
        assert sum(of_band.values()) <= 1.0 + 1e-9
        assert grid.slots(uplink=up).part(number) > 0.0


# --- energy ---------------------------------------------------------------------------------------------


def test_energy_is_that_of_the_time_for_which_either_end_is_active() -> None:
    """Two up, side by side: both terminals send throughout, the station receives as one radio."""
    both = [Message(0.0, "a", STATION, 1e6), Message(0.0, "b", STATION, 1e6)]
    power = Power(tx_w=2.0, rx_w=1.0)
    channels = {"a": Channel(1e6), "b": Channel(1e6)}
    in_band = carry(cell(channels, power=power), both).tables.devices.set_index("device")
    in_turns = carry(cell(channels, Medium(name=STATION, access="tdma"), power=power), both)
    assert in_band["energy_tx_j"].to_dict() == pytest.approx({"a": 4.0, "b": 4.0, STATION: 0.0})
    assert in_band["energy_rx_j"].to_dict() == pytest.approx({"a": 0.0, "b": 0.0, STATION: 2.0})
    by_slot = in_turns.tables.devices.set_index("device")
    assert by_slot["energy_tx_j"].to_dict() == pytest.approx({"a": 2.0, "b": 2.0, STATION: 0.0})
    assert by_slot["energy_rx_j"].to_dict() == pytest.approx({"a": 0.0, "b": 0.0, STATION: 2.0})
    down = [Message(0.0, STATION, "a", 1e6), Message(0.0, STATION, "b", 1e6)]
    to_both = carry(cell(channels, power=power), down).tables.devices.set_index("device")
    assert to_both["energy_tx_j"].to_dict() == pytest.approx({"a": 0.0, "b": 0.0, STATION: 4.0})
    assert to_both["energy_rx_j"].to_dict() == pytest.approx({"a": 2.0, "b": 2.0, STATION: 0.0})


def test_the_end_of_a_run_cuts_energy_off() -> None:
    power = Power(tx_w=2.0, rx_w=1.0)
    there = cell({"a": Channel(1e6)}, power=power, horizon_s=0.25)
    ran = carry(there, [Message(0.0, "a", STATION, 1e6)])
    assert ran.tables.spans["energy_j"].sum() == pytest.approx(0.75)
    assert ran.spans["ended_at_s"].isna().all()
    assert ran.tables.devices["energy_tx_j"].sum() == pytest.approx(0.5)


# --- whole traces -----------------------------------------------------------------------------------------

STRATEGIES: tuple[Strategy, ...] = (
    Local(),
    Offload(to=("d-1", "d-2")),
    Pipeline(partition="even"),
    Pipeline(partition="latency", over=("d-1", "d-2")),
)


@st.composite
def on_the_air(draw: st.DrawFn) -> World:
    """A terminal and two stations, one of which is a terminal of the other; faded, lossy, disturbed."""
    access = draw(st.sampled_from(ACCESSES))
    duplex = HalfDuplex() if access == "dcf" else draw(st.sampled_from(DUPLEXES))
    band = draw(st.sampled_from([None, "n78"]))
    load = draw(st.sampled_from([None, 0.3])) if band else None
    rates = st.floats(0.05, 5.0)
    power = Power(idle_w=1.0, active_w=draw(rates), tx_w=draw(rates), rx_w=draw(rates))
    devices = [device(f"d-{i}", power=power) for i in range(3)]
    law = draw(st.sampled_from([Rayleigh(), Rician(6.0)]))

    def channel(terminal: str, station: str) -> object:
        key = link_key(1, 0, terminal, station, "fading")
        if grid is None and draw(st.booleans()):
            air = Interface(0.004, Arq(draw(st.integers(0, 2)), 0.01))
            errors = (draw(st.floats(0.0, 0.6)), draw(st.floats(0.0, 1.0)))
            return Channel(draw(st.floats(1e5, 1e7)), errors, block_bits=2000, air=air)
        fading = draw(st.sampled_from([BlockFading(law, key, 0.01), JakesFading(law, key, 20.0)]))
        return link(draw(st.floats(0.0, 25.0)), fading=fading, air=NR, bandwidth_hz=20e6)

    ends = [("d-0", "d-1"), ("d-0", "d-2"), ("d-1", "d-2")]
    across = {"d-0": link(3.0), "d-1": link(6.0)}
    grid = None
    if access != "dcf" and draw(st.booleans()):
        slot_s = duplex.slot_s if isinstance(duplex, TddPattern) else NR.slot_s
        grid = ResourceGrid(slot_s=slot_s, n_prb=NR.n_prb, duplex=duplex, uplink=UplinkGrant(period_slots=10))
    media = {
        station: Medium(
            name=station, access=access, duplex=duplex, band=band, load=load, across=across, grid=grid
        )
        for station in ("d-1", "d-2")
    }
    latency_s = draw(st.floats(0.0, 0.01))
    links = [
        Link(
            between=pair,
            rate_bps=1e6,
            latency_s=latency_s,
            radio=RadioChannel(
                link=channel(*pair),
                terminal=pair[0],
                station=pair[1],
                medium=pair[1],
                key=link_key(1, 0, *pair),
            ),
        )
        for pair in ends
    ]
    return world(
        devices,
        links,
        media=media,
        arrivals=Poisson(draw(rates)),
        prompt=Uniform(1, 20),
        output=Uniform(1, 6),
        n_requests=15,
        horizon_s=draw(st.sampled_from([None, 3.0])),
        sources=("d-0", "d-1"),
    )


@settings(max_examples=30, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(there=on_the_air(), strategy=st.sampled_from(STRATEGIES))
def test_every_trace_on_the_air_obeys_the_laws(
    there: World, strategy: Strategy, tmp_path_factory: pytest.TempPathFactory
) -> None:
    assert kept(there, strategy, tmp_path_factory.mktemp("trace")).check() == []


@settings(max_examples=15, deadline=None)
@given(there=on_the_air(), strategy=st.sampled_from(STRATEGIES))
def test_a_run_on_the_air_can_be_repeated_to_the_bit(there: World, strategy: Strategy) -> None:
    placement = strategy.place(there.model, Fleet.of(there))
    first, second = (run(there, strategy, placement) for _ in range(2))
    for name in ("requests", "spans", "devices"):
        assert getattr(first, name).equals(getattr(second, name))


# --- the channel is the same for all -----------------------------------------------------------------


class Logged:
    """A link that keeps what it has told."""

    def __init__(self, real: object) -> None:
        self._real = real
        self.air = real.air
        self.told: dict[tuple[object, ...], object] = {}

    def state(self, at_s, *, uplink, band_share=1.0, interference_w=0.0):  # type: ignore[no-untyped-def]
        state = self._real.state(at_s, uplink=uplink, band_share=band_share, interference_w=interference_w)
        self.told[at_s, uplink, band_share, interference_w] = state
        return state


def test_traffic_changes_nobodys_channel() -> None:
    """Whatever either strategy has met at an instant is what a fresh channel says of that instant."""

    def make(terminal: str, station: str) -> object:
        key = link_key(1, 0, terminal, station, "fading")
        return link(8.0, fading=JakesFading(Rayleigh(), key, 15.0), air=NR, bandwidth_hz=20e6)

    def there() -> tuple[World, dict[tuple[str, str], Logged]]:
        logs = {(t, s): Logged(make(t, s)) for t in ("a", "b") for s in ("west", "east")}
        made = cells(
            {s: (Medium(name=s), {t: logs[t, s] for t in ("a", "b")}) for s in ("west", "east")},
            arrivals=Poisson(2.0),
            n_requests=40,
            sources=("a", "b"),
            output=Uniform(1, 6),
        )
        return made, logs

    n_at_once = 0
    met: dict[tuple[object, ...], object] = {}
    for strategy in (Offload(to=("west",)), Offload(to=("west", "east")), Pipeline(partition="even")):
        made, logs = there()
        run(made, strategy, strategy.place(made.model, Fleet.of(made)))
        assert sum(len(log.told) for log in logs.values()) > 50
        for ends, log in logs.items():
            fresh = make(*ends)
            for (at_s, uplink, share, interference_w), state in log.told.items():
                facts = {"uplink": uplink, "band_share": share, "interference_w": interference_w}
                assert fresh.state(at_s, **facts) == state
                n_at_once += met.setdefault((*ends, at_s, uplink, share), state) is not state
                assert met[*ends, at_s, uplink, share] == state
    assert n_at_once > 10  # strategies did meet at an instant: the prompts' arrivals


# --- planning ------------------------------------------------------------------------------------------


def test_planners_count_on_the_mean_goodput() -> None:
    real = link(12.0, fading=BlockFading(Rayleigh(), 5, 0.01))
    nominal_bps = real.mean_goodput_bps(uplink=True)
    there = cell({"a": real}, latency_s=0.004)
    there = replace(there, links=tuple(replace(one, rate_bps=nominal_bps) for one in there.links))
    assert Fleet.of(there).transfer_seconds("a", STATION, 1000) == pytest.approx(8000 / nominal_bps + 0.004)
    # And so does a long run, to within what a finite one can tell.
    n_bits = 2e6
    took_s = carry(there, [Message(0.0, "a", STATION, n_bits)]).ended_s()[0] - 0.004
    n_blocks = took_s / 0.01
    spread = float(np.std([real.state(0.01 * k, uplink=True).rate_bps for k in range(400)]) / nominal_bps)
    # Its own sampling error, and that of the planner's 256 draws; four standard deviations.
    tolerance = 4.0 * spread * math.sqrt(1.0 / n_blocks + 1.0 / 256)
    assert n_bits / took_s == pytest.approx(nominal_bps, rel=tolerance)
