"""Times of sums over a band, against loops written from the definitions."""

from __future__ import annotations

import math

import numpy as np
import pytest
from bands import Straight, band

from edgesim.errors import InputError
from edgesim.radio.collective.band import stream_sinrs
from edgesim.radio.collective.errors_by_scheme import uncoded_mse
from edgesim.radio.radio_link import goodput


def test_ratios_of_streams_equal_those_of_an_explicit_zero_forcing_receiver():
    draws = np.random.default_rng(1)
    channel = draws.normal(size=(5, 3)) + 1j * draws.normal(size=(5, 3))
    receiver = np.linalg.pinv(channel)  # its rows undo the channel
    np.testing.assert_allclose(receiver @ channel, np.eye(3), atol=1e-12)
    noise = [0.1 * np.linalg.norm(row) ** 2 for row in receiver]
    np.testing.assert_allclose(stream_sinrs(channel, 2.0, 0.1), [2.0 / each for each in noise], rtol=1e-12)


def test_a_channel_with_fewer_directions_than_streams_carries_none():
    assert stream_sinrs(np.zeros((4, 2), dtype=complex), 1.0, 1.0).tolist() == [0.0, 0.0]


def test_digital_uplink_equals_a_loop_over_terminals_and_streams():
    own = band()
    group = tuple(own.members)
    times_s = own.digital_uplink_s(1e5, group, 0.025)
    for name, time_s in zip(group, times_s, strict=True):
        member = own.members[name]
        channel = math.sqrt(member.gain(0.0)) * member.matrices.matrices(np.asarray(2))  # block 2
        _, _, right = np.linalg.svd(channel)
        effective = channel @ right.conj().T[:, :2]
        noise_w = own.noise_w / 3
        rate_bps = 0.0
        for stream in range(2):
            others = np.delete(effective, stream, axis=1)
            one = effective[:, stream]
            # What is left of a stream outside the others' span is what zero forcing keeps of it.
            kept = one - others @ np.linalg.lstsq(others, one, rcond=None)[0]
            sinr = 0.1 / 2 * np.linalg.norm(kept) ** 2 / noise_w
            grant = member.link.air.grant(sinr, 10e6 / 3)
            rate_bps += goodput(grant.efficiency * 10e6 / 3, member.link.air.errors(grant, sinr))
        assert time_s == pytest.approx(1e5 / rate_bps, rel=1e-9)


def test_as_many_streams_share_the_power_as_deliver_most():
    """Far away one stream with all the power is best; nearby all of them are."""
    far, near = band(n=1, power_dbm=-62.0), band(n=1, power_dbm=20.0)
    for own, n_best in ((far, 1), (near, 2)):
        (member,) = own.members.values()
        singular = np.linalg.svd(own.channels(("phone-0",), 0.0)[0], compute_uv=False)
        rates_bps = []
        for n in (1, 2):
            snrs = member.power_w / n * singular[:n] ** 2 / own.noise_w
            grants = [(member.link.air.grant(snr, 10e6), snr) for snr in snrs.tolist()]
            rates_bps.append(
                sum(goodput(g.efficiency * 10e6, member.link.air.errors(g, snr)) for g, snr in grants)
            )
        assert np.argmax(rates_bps) + 1 == n_best
        assert own.digital_uplink_s(1e5, ("phone-0",), 0.0)[0] == pytest.approx(1e5 / max(rates_bps))


def test_overhead_takes_its_part_of_analog_sums():
    assert band(lost_share=0.2).analog_s(10) == pytest.approx(band().analog_s(10) / 0.8)
    with pytest.raises(InputError, match="overhead"):
        band(lost_share=1.0)


def test_a_terminal_that_moves_has_another_gain_before_its_fading_changes():
    still, moving = (
        band(n=1, coherence_s=math.inf, tracks=tracks) for tracks in ((), (Straight(20.0, 10.0),))
    )
    assert still.is_constant
    assert still.stretch(1e3) == (0, 0)
    assert not moving.is_constant
    assert moving.stretch(0.0) != moving.stretch(5.0)
    assert moving.block(0.0) == moving.block(5.0)


def test_more_terminals_have_smaller_parts_and_take_longer():
    own = band(n=3)
    alone_s = own.digital_uplink_s(1e6, ("phone-0",), 0.0)[0]
    beside_s = own.digital_uplink_s(1e6, tuple(own.members), 0.0)[0]
    assert 1.0 < beside_s / alone_s < 3.0  # its power gathers in its part, so a third of the band is more


def test_a_broadcast_is_as_slow_as_its_weakest_terminal_alone_on_the_same_beams_at_most():
    own = band(n=3)
    everybody_s = own.digital_broadcast_s(1e6, tuple(own.members), 0.0)
    each_s = [own.digital_broadcast_s(1e6, (name,), 0.0) for name in own.members]
    assert everybody_s >= max(each_s)


def test_analog_values_take_one_channel_use_per_group_of_streams_and_bands_divide():
    own = band(n_streams=3)
    assert own.analog_s(10) == pytest.approx(4 / 10e6)
    assert own.analog_s(10, n_parts=5) == pytest.approx(20 / 10e6)


def test_channels_stay_for_a_coherence_time_and_are_the_same_whenever_asked():
    own = band(coherence_s=0.01)
    group = tuple(own.members)
    late = own.channels(group, 0.031)
    np.testing.assert_array_equal(own.channels(group, 0.0), band().channels(group, 0.0099))
    np.testing.assert_array_equal(late, own.channels(group, 0.039))
    assert not np.allclose(own.channels(group, 0.0), late)
    one = band(coherence_s=math.inf)
    np.testing.assert_array_equal(one.channels(group, 0.0), one.channels(group, 1e6))


def test_power_of_the_channel_is_the_links_own():
    own = band(n=1)
    member = own.members["phone-0"]
    blocks = np.arange(4000)
    matrices = math.sqrt(member.gain(0.0)) * member.matrices.matrices(blocks)
    powers = np.mean(np.abs(matrices) ** 2, axis=(1, 2)) * member.power_w
    mean = member.link.mean_received_w(0.0, uplink=True)
    assert abs(powers.mean() - mean) < 4 * powers.std() / math.sqrt(len(blocks))


def test_more_streams_than_antennas_are_refused():
    with pytest.raises(InputError, match=r"4 streams .* expected 1 to 3 streams"):
        band(n_streams=4)


def test_the_error_of_uncoded_values_is_met_by_sending_them():
    """Precode, add noise, combine: the mean over draws lies within its own standard error."""
    own, group, draws = band(n=3), ("phone-0", "phone-1", "phone-2"), np.random.default_rng(2)
    powers_w = np.array([2e-11, 4e-11, 3e-11])
    n_draws, error = 4000, np.zeros(4000)
    for channel, power_w in zip(own.channels(group, 0.0), powers_w, strict=True):
        left, singular, right = np.linalg.svd(channel)
        share = 1.0 / singular[:2] / np.sum(1.0 / singular[:2])  # of the power, by stream
        sent = complex_normal(draws, (n_draws, 2))
        on_air = (sent * np.sqrt(power_w * share)) @ right[:2].conj()
        assert np.mean(np.abs(on_air) ** 2) * 3 == pytest.approx(power_w, rel=0.05)  # three antennas
        heard = on_air @ channel.T + math.sqrt(own.noise_w / 3) * complex_normal(draws, (n_draws, 6))
        read = (heard @ left[:, :2].conj()) / (singular[:2] * np.sqrt(power_w * share))
        error += np.sum(np.abs(read - sent) ** 2, axis=1)
    expected = uncoded_mse(own, group, 0.0, powers_w)
    assert abs(error.mean() - expected) < 4 * error.std() / math.sqrt(n_draws)


def complex_normal(draws: np.random.Generator, shape: tuple[int, ...]) -> np.ndarray:
    return (draws.normal(size=shape) + 1j * draws.normal(size=shape)) * math.sqrt(0.5)
