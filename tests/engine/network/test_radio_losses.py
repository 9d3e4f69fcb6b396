"""Attempts, repetitions and losses of messages on the air, and what they cost."""

from __future__ import annotations

import math
from collections import Counter

import numpy as np
import pytest
from airwaves import STATION, Carried, Channel, Interface, Message, carry, cell
from miniature import Serve, answered, run
from scipy import stats

from edgesim.radio.adaptation.air_interface import Arq
from edgesim.world.device import Power
from edgesim.world.faults import Retry

N = 2000
ONE_BLOCK_BITS = 1000
ROUND_TRIP_S, ARQ_TRIP_S = 0.002, 0.01
POWER = Power(tx_w=2.0, rx_w=1.0)


def many(errors: tuple[float, ...], n_blocks: int = 1, arq_limit: int = 1, n: int = N) -> Carried:
    """Messages one after the other on a channel of 1 Mbit/s whose blocks fail with these probabilities."""
    air = Interface(ROUND_TRIP_S, Arq(arq_limit, ARQ_TRIP_S))
    there = cell({"a": Channel(1e6, errors, block_bits=ONE_BLOCK_BITS, air=air)}, power=POWER)
    gap_s = 0.1 + 0.01 * n_blocks
    return carry(there, [Message(gap_s * i, "a", STATION, ONE_BLOCK_BITS * n_blocks) for i in range(n)])


def p_value(n_found: int, probability: float, n: int = N) -> float:
    return float(stats.binomtest(n_found, n, probability).pvalue)


def test_attempts_fail_as_often_as_told_one_after_the_other() -> None:
    """Two attempts of a block, given that those before have failed; then ARQ goes through both again."""
    first, second = 0.3, 0.4
    ran = many((first, second), arq_limit=1)
    found = Counter(ran.spans["attempts"].tolist())
    residual = first * second
    expected = {
        1: 1.0 - first,
        2: first * (1.0 - second),
        3: residual * (1.0 - first),
        4: residual * first,  # delivered or not
    }
    assert sum(expected.values()) == pytest.approx(1.0)
    for n_attempts, probability in expected.items():
        assert p_value(found[n_attempts], probability) > 1e-4, n_attempts
    assert p_value(len(ran.lost), residual**2) > 1e-4
    assert set(ran.lost) <= set(ran.spans.index[ran.spans["attempts"] == 4])


def test_a_message_takes_its_repetitions_on_the_air_and_their_round_trips_after() -> None:
    ran = many((0.3, 0.4), arq_limit=1)
    took_s = (ran.spans["ended_at_s"] - ran.spans["started_at_s"]).to_numpy()
    waits_s = {1: 0.0, 2: ROUND_TRIP_S, 3: ROUND_TRIP_S + ARQ_TRIP_S, 4: 2 * ROUND_TRIP_S + ARQ_TRIP_S}
    expected_s = [0.001 * n + waits_s[n] for n in ran.spans["attempts"]]
    assert took_s == pytest.approx(expected_s, rel=1e-9)
    # And energy for the time on the air alone: sender and receiver, 3 W together.
    assert ran.spans["energy_j"].to_numpy() == pytest.approx(
        0.003 * ran.spans["attempts"].to_numpy(), rel=1e-9
    )


def test_failed_blocks_of_a_long_message_are_binomial() -> None:
    """Airtime beyond that of 40 blocks is the number of repeated ones, whose sum is binomial."""
    n_blocks, n, error = 40, 400, 0.1
    ran = many((error, 0.0), n_blocks=n_blocks, n=n)
    on_air_s = ran.spans["energy_j"].to_numpy() / 3.0
    repeated = [round(airtime_s / 0.001) - n_blocks for airtime_s in on_air_s.tolist()]
    assert p_value(sum(repeated), error, n * n_blocks) > 1e-4
    spread = (n - 1) * stats.tvar(repeated) / (n_blocks * error * (1.0 - error))
    assert stats.chi2(n - 1).cdf(spread) == pytest.approx(0.5, abs=0.4999)


def test_draws_are_of_the_link_and_the_instant_and_of_nothing_else() -> None:
    """Another message at another instant leaves the first one's luck as it was."""
    air = Interface(ROUND_TRIP_S, Arq(1, ARQ_TRIP_S))
    channel = Channel(1e6, (0.5, 0.5), block_bits=ONE_BLOCK_BITS, air=air)
    sparse = [Message(0.2 * i, "a", STATION, ONE_BLOCK_BITS) for i in range(50)]
    dense = sorted([*sparse, *(Message(0.1 + 0.2 * i, "a", STATION, ONE_BLOCK_BITS) for i in range(50))])
    few, all_ = carry(cell({"a": channel}), sparse), carry(cell({"a": channel}), dense)
    of_all = dict(zip((one.at_s for one in dense), all_.spans["attempts"], strict=True))
    assert few.spans["attempts"].tolist() == [of_all[one.at_s] for one in sparse]
    assert len(set(few.spans["attempts"])) > 1


def test_a_lost_message_fails_its_request_with_the_reason() -> None:
    there = cell({"a": Channel(1e6, (1.0,), air=Interface(0.0, Arq(2, ARQ_TRIP_S)))})
    ran = carry(there, [Message(0.0, "a", STATION, 3 * ONE_BLOCK_BITS)], catches=False)
    told = ran.tables.requests.iloc[0]
    assert (told["outcome"], told["reason"]) == ("failed", "message lost: a--station (3 blocks undelivered)")
    # Three times on the air, and two waits in between.
    assert told["ended_at_s"] == pytest.approx(3 * 0.003 + 2 * ARQ_TRIP_S)
    assert ran.spans["attempts"].tolist() == [3]


def test_a_strategy_that_catches_the_loss_may_go_another_way() -> None:
    there = cell({"a": Channel(1e6, (1.0,)), "b": Channel(1e6)})
    ran = carry(there, [Message(0.0, "a", STATION, 1000), Message(0.1, "b", STATION, 1000)])
    assert ran.lost == [0]
    assert ran.tables.requests["outcome"].tolist() == ["completed"]


def test_a_scenario_may_have_requests_served_again() -> None:
    """The channel loses what is sent in the first second."""

    class Early(Channel):
        def state(self, at_s, **facts):  # type: ignore[no-untyped-def]
            return super().state(at_s, **facts)._replace(errors=(1.0 if at_s < 1.0 else 0.0,))

    there = cell({"a": Early(1e6)}, retry=Retry(limit=5, backoff_s=0.4))
    ran = carry(there, [Message(0.0, "a", STATION, 1000)], catches=False)
    assert ran.tables.requests["outcome"].tolist() == ["completed"]
    assert len(ran.spans) > 1


def test_a_token_that_is_lost_on_its_way_home_fails_its_request() -> None:
    """Nobody waits for a streamed token; its loss is told all the same."""
    there = cell({"a": Channel(1e6, (1.0,))}, output=TwoTokens())

    def serve(request, cluster):  # type: ignore[no-untyped-def]
        answered(request, STATION)
        for token in request.tokens():
            yield from cluster.sleep(1.0)
            yield from cluster.emit(request, STATION, token)

    told = run(there, Serve(serve)).requests.iloc[0]
    assert told["outcome"] == "failed"
    assert told["reason"] == "message lost: a--station (1 block undelivered)"
    assert told["n_emitted_tokens"] == 0
    assert told["ended_at_s"] == pytest.approx(1.0 + 32 / 1e6)


class TwoTokens:
    """Answers of two tokens."""

    mean, longest = 2.0, 2

    def draw(self, rng, n):  # type: ignore[no-untyped-def]
        return np.full(n, 2)


def test_out_of_reach_a_message_waits_and_is_lost_in_the_end() -> None:
    class Silent(Channel):
        """Out of reach until an instant."""

        def __init__(self, until_s: float) -> None:
            super().__init__(1e6)
            self.until_s = until_s

        def state(self, at_s, **facts):  # type: ignore[no-untyped-def]
            state = super().state(at_s, **facts)
            if at_s >= self.until_s:
                return state
            return state._replace(
                grant=state.grant._replace(mcs=-1, block_bits=0),
                rate_bps=0.0,
                errors=(1.0,),
                until_s=self.until_s,
            )

    ran = carry(
        cell({"a": Silent(4.0), "b": Silent(math.inf)}), [Message(1.0, t, STATION, 1e6) for t in "ab"]
    )
    assert ran.lost == [1]
    assert ran.ended_s() == pytest.approx([5.0, 11.0])  # who is out of reach takes none of the band
    assert ran.spans["energy_j"].tolist() == pytest.approx([3.0, 0.0])  # nor any power
    failed = carry(cell({"b": Silent(math.inf)}), [Message(1.0, "b", STATION, 1e6)], catches=False)
    assert failed.tables.requests["reason"].tolist() == ["message lost: b--station (out of reach for 10 s)"]


def test_blocks_fare_by_the_state_in_which_they_are_first_sent() -> None:
    """A message that has waited out of reach is not spared the errors of what it is then sent with."""

    class Late(Channel):
        def state(self, at_s, **facts):  # type: ignore[no-untyped-def]
            state = super().state(at_s, **facts)
            if at_s >= 1.0:
                return state
            return state._replace(
                grant=state.grant._replace(mcs=-1, block_bits=0), rate_bps=0.0, errors=(1.0,), until_s=1.0
            )

    assert carry(cell({"a": Late(1e6, (1.0,))}), [Message(0.0, "a", STATION, 1e4)]).lost == [0]


def test_a_repetition_by_arq_meets_the_channel_of_its_own_time() -> None:
    """Lost while the channel is bad, delivered by the repetition, which comes when it is good again."""

    class Fading(Channel):
        def state(self, at_s, **facts):  # type: ignore[no-untyped-def]
            bad = at_s < 0.005
            return (
                super()
                .state(at_s, **facts)
                ._replace(errors=(1.0,) if bad else (0.0,), until_s=0.005 if bad else math.inf)
            )

    air = Interface(0.0, Arq(2, ARQ_TRIP_S))
    ran = carry(cell({"a": Fading(1e6, air=air)}), [Message(0.0, "a", STATION, 1000)])
    assert ran.lost == []
    assert ran.spans["attempts"].tolist() == [2]


def test_a_handover_takes_all_of_a_message_that_was_never_in_reach() -> None:
    shares: list[float] = []

    class Unreachable(Channel):
        def state(self, at_s, **facts):  # type: ignore[no-untyped-def]
            state = super().state(at_s, **facts)
            grant = state.grant._replace(mcs=-1, block_bits=0)
            return state._replace(grant=grant, rate_bps=0.0, errors=(1.0,), until_s=math.inf)

    def serve(request, cluster):  # type: ignore[no-untyped-def]
        waiting = [cluster.hops[name, STATION].begin(request.id, 0, 125.0) for name in "ab"]
        yield from cluster.sleep(0.0005)
        for name in "ab":
            cluster.hops[name, STATION].hand_over()
        first, second = waiting
        shares.extend([(yield first), (yield second)])
        answered(request, "a")
        yield from cluster.emit(request, "a", next(request.tokens()))

    run(cell({"a": Unreachable(1e6), "b": Channel(1e6)}), Serve(serve))
    assert shares == pytest.approx([0.0, 0.5])  # who is out of reach takes nothing of the other's band


def test_messages_of_one_request_arrive_in_order() -> None:
    """A repetition holds up what comes after it for the same request, and nobody else."""

    class FirstFails(Channel):
        def state(self, at_s, **facts):  # type: ignore[no-untyped-def]
            return (
                super()
                .state(at_s, **facts)
                ._replace(
                    errors=(1.0, 0.0) if at_s < 0.001 else (0.0,), until_s=0.001 if at_s < 0.001 else math.inf
                )
            )

    air = Interface(0.05, Arq(0, 0.0))
    channels = {"a": FirstFails(1e6, air=air)}
    # A repetition ends the first at 2 ms; its round trip lets it arrive at 52 ms. The others take 1 ms each.
    messages = [Message(at_s, "a", STATION, 1000) for at_s in (0.0, 0.005, 0.01, 0.06)]
    free = carry(cell(channels), messages).ended_s()
    assert free == pytest.approx([0.052, 0.006, 0.011, 0.061])
    in_order = carry(cell(channels), messages, in_order=True)
    assert in_order.ended_s() == pytest.approx([0.052, 0.052, 0.052, 0.061])
    # Waiting costs no energy: five times a millisecond on the air at 3 W.
    assert in_order.spans["energy_j"].sum() == pytest.approx(5 * 0.003)


def test_a_message_that_overtakes_on_the_air_waits_for_the_one_ahead() -> None:
    """The short one is through first: of another request it arrives, of the same it waits."""
    messages = [Message(0.0, "a", STATION, 10_000), Message(0.001, "a", STATION, 1000)]
    assert carry(cell({"a": Channel(1e6)}), messages).ended_s() == pytest.approx([0.011, 0.003])
    assert carry(cell({"a": Channel(1e6)}), messages, in_order=True).ended_s() == pytest.approx(
        [0.011, 0.011]
    )


def test_who_waits_for_a_lost_message_arrives_when_the_loss_is_known() -> None:
    class FirstIsLost(Channel):
        def state(self, at_s, **facts):  # type: ignore[no-untyped-def]
            bad = at_s < 0.001
            return (
                super()
                .state(at_s, **facts)
                ._replace(errors=(1.0, 1.0) if bad else (0.0,), until_s=0.001 if bad else math.inf)
            )

    air = Interface(0.05, Arq(0, 0.0))
    messages = [Message(0.0, "a", STATION, 1000), Message(0.005, "a", STATION, 1000)]
    ran = carry(cell({"a": FirstIsLost(1e6, air=air)}), messages, in_order=True)
    assert ran.lost == [0]
    assert ran.ended_s() == pytest.approx([0.052, 0.052])
