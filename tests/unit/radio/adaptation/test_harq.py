"""HARQ against enumeration, definitions and closed forms."""

from __future__ import annotations

import math

import pytest

from edgesim.radio.adaptation.harq import combined_sinr, expected_attempts, residual


@pytest.mark.parametrize("error", [0.0, 1e-3, 0.1, 0.5, 1.0])
@pytest.mark.parametrize("n_attempts", [1, 2, 4, 8])
def test_independent_attempts_against_enumeration(error: float, n_attempts: int) -> None:
    # Stopped at attempt m: it succeeds there after m−1 failures; at the last one, whatever becomes of it.
    stopped = [error ** (m - 1) * (1.0 - error) for m in range(1, n_attempts)] + [error ** (n_attempts - 1)]
    mean = sum(m * share for m, share in enumerate(stopped, 1))
    assert expected_attempts(error, n_attempts) == pytest.approx(mean, rel=1e-12)
    assert residual(error, n_attempts) == pytest.approx(
        1.0 - sum((1 - error) * error**m for m in range(n_attempts))
    )


def test_chase_combining_adds_ratios() -> None:
    assert combined_sinr(0.3, 4, "chase") == pytest.approx(0.3 + 0.3 + 0.3 + 0.3)


@pytest.mark.parametrize("sinr", [1e-3, 0.5, 20.0])
def test_incremental_redundancy_adds_mutual_information(sinr: float) -> None:
    for m in (1, 2, 3, 4):
        together = combined_sinr(sinr, m, "incremental")
        assert math.log2(1.0 + together) == pytest.approx(sum(math.log2(1.0 + sinr) for _ in range(m)))
        assert together >= combined_sinr(sinr, m, "chase") * (1.0 - 1e-12)


def test_the_two_agree_where_capacity_is_linear() -> None:
    # ln(1+γ) = γ − γ²/2 …: to first order in γ nothing is gained over adding ratios.
    assert combined_sinr(1e-6, 4, "incremental") == pytest.approx(4e-6, rel=1e-5)


def test_a_code_at_its_lowest_rate_only_repeats() -> None:
    assert combined_sinr(2.0, 3, "incremental", 1.0) == pytest.approx(combined_sinr(2.0, 3, "chase"))
    assert combined_sinr(2.0, 4, "incremental", 2.0) == pytest.approx(2.0 * (3.0**2 - 1.0))


def test_nothing_is_combined_when_nothing_is() -> None:
    assert combined_sinr(2.0, 4, "none") == 2.0


def test_huge_ratios_do_not_overflow() -> None:
    assert math.isfinite(combined_sinr(1e300, 4, "incremental"))
