"""Facts about a machine, made up in a folder or taken from this one."""

from __future__ import annotations

from pathlib import Path

import pytest

from edgesim.measure.host import (
    FALLBACK_CACHE_BYTES,
    default_threads,
    host_facts,
    host_identity,
    last_level_cache_bytes,
    software_versions,
)


@pytest.mark.parametrize(
    ("sizes", "expected"),
    [(["32K", "1024K", "32768K"], 32 << 20), (["48K", "2M"], 2 << 20), ([], FALLBACK_CACHE_BYTES)],
)
def test_the_last_cache_is_the_largest(tmp_path: Path, sizes: list[str], expected: int) -> None:
    for index, size in enumerate(sizes):
        (tmp_path / f"index{index}").mkdir()
        (tmp_path / f"index{index}" / "size").write_text(size + "\n")

    assert last_level_cache_bytes(tmp_path) == expected


def test_facts_and_identity_stay_the_same() -> None:
    assert host_facts() == host_facts()
    assert host_identity() == host_identity() != host_identity("cuda")
    assert 1 <= default_threads() <= host_facts()["n_cores"]


def test_versions_name_what_computes() -> None:
    assert software_versions().keys() == {"python", "torch", "transformers"}
