"""Keyed draws: published vectors of SplitMix64, uniformity, normality, independence of keys and counters."""

from __future__ import annotations

import math

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from scipy import stats

from edgesim import rng
from edgesim.rng import key_of, keyed_normals, keyed_uniform, keyed_uniforms, link_key

N = 65_536
# 99.99 % two-sided: with the fixed keys below a failure means a wrong generator, not bad luck.
Z = float(stats.norm.ppf(1 - 0.5e-4))
KEY = key_of(1, 0, "link")
COUNTERS = {
    "successive": np.arange(N),
    "negative": -np.arange(N),
    "strided": np.arange(N) * 2**32,
    "high bits only": np.arange(N, dtype=np.uint64) << np.uint64(48),
    "bit patterns of instants": np.linspace(0.0, 3600.0, N).view(np.int64),
}


def test_the_mixing_function_gives_splitmix64s_published_outputs() -> None:
    # First outputs for seed 1234567, as published with several public implementations.
    published = [6457827717110365317, 3203168211198807973, 9817491932198370423, 4593380528125082431]
    states = [(1234567 + (i + 1) * rng._GOLDEN) % 2**64 for i in range(4)]
    assert [rng._mixed_word(state) for state in states] == published
    assert rng._mixed(np.array(states, dtype=np.uint64)).tolist() == published


@given(st.integers(0, 2**64 - 1), st.integers(-(2**63), 2**63 - 1))
def test_scalar_and_vector_draws_are_equal_to_the_bit(key: int, counter: int) -> None:
    assert keyed_uniform(key, counter) == float(keyed_uniforms(key, np.array([counter]))[0])
    assert keyed_uniform(key, counter) == float(keyed_uniforms(key, np.array(counter)))
    assert 0.0 < keyed_uniform(key, counter) < 1.0


def test_the_extreme_words_stay_inside_the_open_interval(monkeypatch: pytest.MonkeyPatch) -> None:
    for word, expected in ((0, 2.0**-53), (2**64 - 1, 1.0 - 2.0**-53)):
        monkeypatch.setattr(rng, "_mixed_word", lambda _, word=word: word)
        assert keyed_uniform(0, 0) == expected


def test_a_draw_does_not_depend_on_order_shape_or_company() -> None:
    counters = np.arange(1000)
    draws = keyed_normals(KEY, counters)
    assert np.array_equal(keyed_normals(KEY, counters[::-1]), draws[::-1])
    assert np.array_equal(keyed_normals(KEY, counters.reshape(10, 100)), draws.reshape(10, 100))
    assert [float(keyed_normals(KEY, counters[i : i + 1])[0]) for i in range(0, 1000, 97)] == draws[
        ::97
    ].tolist()


@pytest.mark.parametrize("counters", COUNTERS.values(), ids=COUNTERS.keys())
def test_draws_over_counters_are_uniform_by_chi_square(counters: np.ndarray) -> None:
    # 256 cells: 255 degrees of freedom. Both ends of the word are looked at.
    uniforms = keyed_uniforms(KEY, counters)
    for scaled in (uniforms, np.modf(uniforms * 2**40)[0]):
        assert stats.chisquare(np.bincount((scaled * 256).astype(int), minlength=256)).pvalue > 1e-4


def test_draws_over_keys_are_uniform_by_chi_square() -> None:
    for keys in (range(20_000), [key_of(1, 0, "a", n) for n in range(20_000)]):
        uniforms = np.array([keyed_uniform(key, 0) for key in keys])
        assert stats.chisquare(np.bincount((uniforms * 256).astype(int), minlength=256)).pvalue > 1e-4


@pytest.mark.parametrize("counters", COUNTERS.values(), ids=COUNTERS.keys())
def test_neighbouring_draws_are_uncorrelated_and_jointly_uniform(counters: np.ndarray) -> None:
    uniforms = keyed_uniforms(KEY, counters)
    for lag in (1, 2, 7):
        assert np.corrcoef(uniforms[:-lag], uniforms[lag:])[0, 1] == pytest.approx(0.0, abs=Z / math.sqrt(N))
    pairs = (uniforms[0::2] * 16).astype(int) * 16 + (uniforms[1::2] * 16).astype(int)
    assert stats.chisquare(np.bincount(pairs, minlength=256)).pvalue > 1e-4


@pytest.mark.parametrize("other", [KEY + 1, KEY ^ (1 << 63), KEY + 0x9E3779B97F4A7C15, key_of(1, 1, "link")])
def test_draws_of_neighbouring_keys_are_independent(other: int) -> None:
    ours, theirs = keyed_uniforms(KEY, np.arange(N)), keyed_uniforms(other, np.arange(N))
    for shift in (0, 1):
        one, two = ours[shift:], theirs[: N - shift]
        assert np.corrcoef(one, two)[0, 1] == pytest.approx(0.0, abs=Z / math.sqrt(N - 1))
        cells = (one * 16).astype(int) * 16 + (two * 16).astype(int)
        assert stats.chisquare(np.bincount(cells, minlength=256)).pvalue > 1e-4


def test_normal_draws_are_normal_by_kolmogorov_smirnov_and_in_the_tails() -> None:
    normals = keyed_normals(KEY, np.arange(N))
    assert stats.kstest(normals, "norm").pvalue > 1e-4
    for level in (2.0, 3.0, 4.0):
        for tail in (normals > level, normals < -level):
            assert stats.binomtest(int(tail.sum()), N, float(stats.norm.sf(level))).pvalue > 1e-4


def test_keys_tell_parts_and_their_kinds_apart() -> None:
    parts = [("ab", "c"), ("a", "bc"), ("abc",), (1,), ("1",), (1, 1), (11,), ("i1:1",), (), (-1,), ("",)]
    assert len({key_of(*part) for part in parts}) == len(parts)
    assert key_of(np.int64(3), "x") == key_of(3, "x")


def test_keys_are_the_same_in_every_process_and_release() -> None:
    # A literal: another value would change every channel ever drawn.
    assert key_of(7, 0, "user", "cell") == 178317488904856659


def test_a_link_has_one_key_whichever_end_is_named_first() -> None:
    assert link_key(1, 2, "user", "cell", "fading") == link_key(1, 2, "cell", "user", "fading")
    others = [
        link_key(2, 2, "user", "cell", "fading"),
        link_key(1, 1, "user", "cell", "fading"),
        link_key(1, 2, "user", "cells", "fading"),
        link_key(1, 2, "user", "cell", "shadow"),
    ]
    assert link_key(1, 2, "user", "cell", "fading") not in others
