"""Messages that nothing above the physical layer repeats: the share that arrives, also across cells."""

from __future__ import annotations

import math

import numpy as np
import pytest
from airwaves import STATION, Channel, Interface, cell
from miniature import Serve, Steady, answered, device, run, world
from scipy import stats

from edgesim.radio.adaptation.air_interface import Arq
from edgesim.radio.motion.handover import A3, ServingCell
from edgesim.radio.motion.tracks import RecordedTrack
from edgesim.world.device import Power
from edgesim.world.link import Link
from edgesim.world.medium import Medium, RadioChannel
from edgesim.world.roaming import Roaming


def shares_lost(
    errors: tuple[float, ...], n: int, n_blocks: int, **facts: object
) -> tuple[list[float], object]:
    """Missing shares of `n` unacknowledged messages of so many blocks, one after the other."""
    air = Interface(0.002, Arq(3, 0.01))
    there = cell({"a": Channel(1e6, errors, block_bits=1000, air=air)})
    shares: list[float] = []

    def serve(request, cluster):
        answered(request, "a")
        assert cluster.observe().route("a", STATION).unacknowledged_loss == pytest.approx(math.prod(errors))
        for _ in range(n):
            missing = yield from cluster.send(
                request, "a", STATION, 125.0 * n_blocks, carries=(), unacknowledged=True
            )
            shares.append(missing)
        yield from cluster.emit(request, "a", next(request.tokens()))

    return shares, run(there, Serve(serve))


def test_what_is_missing_are_the_blocks_that_all_attempts_have_failed():
    """Of 16,000 blocks, each missing with 0.3 * 0.4: an exact binomial interval, at one in ten thousand."""
    n, n_blocks, error = 400, 40, 0.3 * 0.4
    shares, tables = shares_lost((0.3, 0.4), n, n_blocks)
    missing = [share * n_blocks for share in shares]
    assert missing == pytest.approx([round(number) for number in missing])  # whole blocks
    assert stats.binomtest(round(sum(missing)), n * n_blocks, error).pvalue > 1e-4
    # And independently so: the spread between messages is the binomial one.
    spread = (n - 1) * float(np.var(missing, ddof=1)) / (n_blocks * error * (1 - error))
    assert 1e-4 < stats.chi2(n - 1).cdf(spread) < 1 - 1e-4
    # Two attempts at most: ARQ, which would repeat three times more, has no part in it.
    sent = tables.spans[tables.spans["kind"] == "send"]
    assert max(sent["attempts"]) == 2
    assert tables.requests["outcome"].tolist() == ["completed"]


@pytest.mark.parametrize(
    ("errors", "share"), [((0.0,), 0.0), ((1.0,), 1.0), ((1.0, 1.0), 1.0), ((1.0, 0.0), 0.0)]
)
def test_all_or_nothing(errors, share):
    shares, _ = shares_lost(errors, 3, 7)
    assert shares == [share] * 3


class Losing(Steady):
    """A steady channel whose blocks are lost with a probability, at the only attempt."""

    air = Interface()

    def __init__(self, rate_bps: float, error: float) -> None:
        super().__init__(rate_bps)
        self.error = error

    def state(self, at_s, **facts):
        return super().state(at_s, **facts)._replace(errors=(self.error,))


@pytest.mark.parametrize(("west", "east"), [(1.0, 0.0), (0.0, 1.0), (0.0, 0.0), (1.0, 1.0)])
def test_a_message_that_is_handed_over_misses_what_each_cell_has_lost_of_its_own_part(west, east):
    """Half way between two masts, 5 m/s; the part that goes by a cell that loses all is what is missing."""
    masts_m, rate_bps = {"west": (0.0, 0.0), "east": (100.0, 0.0)}, 8e4
    track = RecordedTrack([(0.0, 0.0, 10.0), (20.0, 100.0, 10.0)])

    def received(cell_, times_s):
        places = np.array([track.position(at_s) for at_s in times_s.tolist()])
        return -40.0 * np.log10(np.hypot(*(places - masts_m[cell_]).T))

    links = [
        Link(
            between=("user", name),
            rate_bps=rate_bps,
            radio=RadioChannel(
                link=Losing(rate_bps, error), terminal="user", station=name, medium=name, key=number + 1
            ),
        )
        for number, (name, error) in enumerate({"west": west, "east": east}.items())
    ]
    wires = [Link(between=(name, "server"), rate_bps=8e9, latency_s=0.001) for name in masts_m]
    power = Power(tx_w=2.0, rx_w=1.0)
    masts = [device(name, timing=None, memory_bytes=0, power=power) for name in masts_m]
    rule = ServingCell(received, tuple(masts_m), A3(interruption_s=0.05))
    there = world(
        [device("user", power=power), *masts, device("server")],
        [*links, *wires],
        media={name: Medium(name=name) for name in masts_m},
        roaming={"user": Roaming(serving=rule, in_flight="keep")},
    )
    size_bytes, found = 80_000.0, []

    def serve(request, cluster):
        answered(request, "user")
        yield from cluster.sleep(8.0)
        sent = cluster.send(request, "user", "server", size_bytes, carries=(), unacknowledged=True)
        found.append((yield from sent))
        yield from cluster.emit(request, "user", next(request.tokens()))

    tables = run(there, Serve(serve))
    spans = tables.spans[tables.spans["kind"] == "send"]
    on_air = [spans[spans["via"].isin((f"{name}--user", f"user--{name}"))] for name in masts_m]
    first, second = on_air
    by_west_s = float((first["ended_at_s"] - first["started_at_s"]).sum())
    part = by_west_s * rate_bps / 8 / size_bytes
    assert 0.1 < part < 0.9  # both have had a part of it
    assert len(second) == 1
    assert found == [pytest.approx(part * west + (1 - part) * east, abs=1e-9)]
