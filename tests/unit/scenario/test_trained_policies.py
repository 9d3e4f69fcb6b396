"""Policies that are kept between runs, or not."""

from __future__ import annotations

from pathlib import Path

import pytest

from edgesim.measure.cache import CACHE_VARIABLE
from edgesim.planning.policies.shipped import shipped_policies
from edgesim.planning.splitting.policy import Policy
from edgesim.scenario.trained_policies import find_policy, keep_policy, policy_path


def test_a_cache_that_cannot_be_written_costs_a_warning_and_not_the_policy(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    shipped = Policy.load(next(iter(shipped_policies().values())))
    (tmp_path / "file").write_text("in the way of a folder")
    monkeypatch.setenv(CACHE_VARIABLE, str(tmp_path / "file"))
    monkeypatch.setattr("tempfile.tempdir", str(tmp_path))
    with pytest.warns(UserWarning, match=r"cannot be written.*train it again.*EDGESIM_CACHE_DIR"):
        path = keep_policy(shipped)
    assert Policy.load(path).record == shipped.record


def test_a_kept_policy_is_found_before_a_shipped_one(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    shipped = Policy.load(next(iter(shipped_policies().values())))
    monkeypatch.setenv(CACHE_VARIABLE, str(tmp_path))
    digest = shipped.record.trained_on
    assert find_policy(digest) in shipped_policies().values()
    assert keep_policy(shipped) == find_policy(digest) == policy_path(digest)
