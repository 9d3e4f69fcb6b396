"""Critical paths, against a loop that walks back one span at a time."""

from __future__ import annotations

import numpy as np
import pytest

from edgesim.explain.chain import NONE, chains


def walked_back(
    owner: np.ndarray, asked: np.ndarray, ended: np.ndarray, precedence: np.ndarray, request: int
) -> list[tuple[int, int]]:
    """Pairs of a span on the path of a request and the one before it, from the last one back."""
    own = [int(row) for row in np.flatnonzero(owner == request)]
    own.sort(key=lambda row: (ended[row], precedence[row], row))
    path = []
    while own:
        last = own.pop()
        if path and (ended[last] > asked[path[-1][0]]):
            continue
        if path:
            path[-1] = (path[-1][0], last)
        path.append((last, NONE))
    return path


@pytest.mark.parametrize("seed", range(20))
def test_paths_are_those_of_a_loop(seed: int) -> None:
    rng = np.random.default_rng(seed)
    n, n_requests = 200, 7
    owner = rng.integers(0, n_requests - 1, n)  # one request has no span
    # Few instants, so that many coincide; some spans take no time.
    asked = rng.integers(0, 12, n).astype(float)
    ended = asked + rng.integers(0, 4, n)
    precedence = rng.integers(0, 3, n)
    found = chains(owner, asked, ended, precedence, n_requests)
    pairs = dict(zip(found.spans.tolist(), found.after.tolist(), strict=True))
    expected = {}
    for request in range(n_requests):
        path = walked_back(owner, asked, ended, precedence, request)
        expected |= dict(path)
        assert found.lasts[request] == (path[0][0] if path else NONE)
    assert pairs == expected


def test_without_spans_there_is_no_path() -> None:
    nothing = np.zeros(0)
    found = chains(nothing.astype(int), nothing, nothing, nothing.astype(int), 2)
    assert found.spans.tolist() == []
    assert found.lasts.tolist() == [NONE, NONE]
