"""Encodings against interpolation by numpy, and inside a policy's file."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

from edgesim.errors import InputError
from edgesim.planning.splitting.encoding import Encoding
from edgesim.planning.splitting.policy import Policy

PLACES = (0.0, 0.02, 0.15, 0.3)


def crossed() -> Encoding:
    return Encoding(np.array([0.0, 1.0]), np.array([0.3, 5.0]), (4, 5), (PLACES, ()), is_crossed=True)


def test_hats_at_places_interpolate_as_numpy_does() -> None:
    it = Encoding(np.array([0.0]), np.array([0.3]), (4,), (PLACES,))
    heights = np.array([3.0, -1.0, 2.0, 0.5])
    loss = np.linspace(-0.1, 0.4, 200)
    np.testing.assert_allclose(
        it(loss[:, np.newaxis]) @ heights, np.interp(loss, PLACES, heights), atol=1e-12
    )


def test_a_linear_layer_over_products_is_a_table() -> None:
    it, table = crossed(), np.random.default_rng(0).normal(size=(4, 5))
    assert it.n_inputs == 4 + 5 + 20
    loss, split = (each.ravel() for each in np.meshgrid(np.linspace(0, 0.3, 40), np.arange(1, 6)))
    expected = [np.interp(p, PLACES, table[:, k - 1]) for p, k in zip(loss, split, strict=True)]
    found = it(np.stack([loss, split], axis=1).astype(np.float64))[:, 9:] @ table.ravel()
    np.testing.assert_allclose(found, expected, atol=1e-12)


def test_even_places_are_those_of_plain_knots() -> None:
    plain = Encoding(np.zeros(1), np.ones(1), (5,))
    placed = Encoding(np.zeros(1), np.ones(1), (5,), (tuple(np.linspace(0, 1, 5)),))
    seen = np.random.default_rng(1).uniform(-0.2, 1.2, (50, 1))
    np.testing.assert_allclose(placed(seen), plain(seen), atol=1e-12)


def test_a_policy_keeps_places_and_products_in_its_file(tmp_path: Path) -> None:
    rng = np.random.default_rng(2)
    layer = (rng.normal(size=(3, 29)).astype(np.float32), rng.normal(size=3).astype(np.float32))
    it = Policy(encoding=crossed(), layers=(layer,))
    it.save(tmp_path / "p.safetensors")
    back = Policy.load(tmp_path / "p.safetensors")
    assert (back.encoding.places, back.encoding.is_crossed) == ((PLACES, ()), True)
    seen = np.stack([rng.uniform(0, 0.3, 50), rng.integers(1, 6, 50)], axis=1)
    assert np.array_equal(back.scored(seen), it.scored(seen))


@pytest.mark.parametrize(
    ("knots", "places", "is_crossed"),
    [
        ((4, 5), ((0.0, 0.1, 0.3), ()), False),
        ((4, 5), ((0.0, 0.1, 0.1, 0.3), ()), False),
        ((4, 5), ((0.0, 0.1, 0.2, 0.4), ()), False),
        ((4, 5), (PLACES,), False),
        ((4, 1), (), True),
    ],
)
def test_what_is_no_encoding_is_refused(
    knots: tuple[int, ...], places: tuple[tuple[float, ...], ...], is_crossed: bool
) -> None:
    with pytest.raises(InputError, match="encoding"):
        Encoding(np.array([0.0, 1.0]), np.array([0.3, 5.0]), knots, places, is_crossed)
