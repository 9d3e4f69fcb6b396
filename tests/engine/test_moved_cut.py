"""A cut that moves between two tokens: the whole log by hand, what is sent and what is computed anew."""

from __future__ import annotations

import pytest
from miniature import PerBlock, Tables, device, run, world

from edgesim.strategies.rl_split import RlSplit
from edgesim.strategy import Fleet
from edgesim.workload.lengths import Fixed
from edgesim.world.link import Link

COLUMNS = ("kind", "device", "via", "size_bytes", "started_at_s", "ended_at_s")
HOP = "edge--phone"


def moved(monkeypatch: pytest.MonkeyPatch, cuts: tuple[int, int], how: str) -> Tables:
    """Three tokens of prompt and two of answer over four blocks: 1 s a block and token here, 0.25 s there.

    A megabyte per second; a token's state has 1,000 bytes, its keys and values 2,000 in each block.
    """
    told = iter(cuts)
    monkeypatch.setattr(RlSplit, "_by_rule", lambda self, at, run: at.splits.index(next(told)))
    strategy = RlSplit(to="edge", splits=tuple(sorted(cuts)), policy="random", decide="token", moving=how)
    there = world(
        [device("phone", PerBlock(1.0)), device("edge", PerBlock(0.25))],
        [Link(between=("phone", "edge"), rate_bps=8e6)],
        prompt=Fixed(3),
        output=Fixed(2),
    )
    assert there.model.activation_bytes(1) == 1000
    assert there.model.kv_bytes_per_token(1) == 2000
    return run(there, strategy, strategy.place(there.model, Fleet.of(there)))


def test_the_device_takes_two_blocks_with_their_caches(monkeypatch):
    """12,000 bytes of keys and values, of two blocks and three positions, come from the edge in 12 ms."""
    assert moved(monkeypatch, (1, 3), "transfer").log(*COLUMNS) == [
        ("compute", "phone", "embedding+0", 0, 0.0, 3.0),  # 3 tokens, 1 block
        ("send", "phone", HOP, 3000, 3.0, 3.003),
        ("compute", "edge", "1-3+head", 0, 3.003, 5.253),  # 3 tokens, 3 blocks
        ("send", "edge", HOP, 4, 5.253, 5.253004),
        ("emit", "phone", None, 0, 5.253004, 5.253004),
        ("send", "edge", HOP, 12000, 5.253004, 5.265004),
        ("compute", "phone", "embedding+0-2", 0, 5.265004, 8.265004),  # 1 token, 3 blocks
        ("send", "phone", HOP, 1000, 8.265004, 8.266004),
        ("compute", "edge", "3+head", 0, 8.266004, 8.516004),
        ("send", "edge", HOP, 4, 8.516004, 8.516008),
        ("emit", "phone", None, 0, 8.516008, 8.516008),
    ]


def test_the_device_takes_two_blocks_and_computes_all_anew(monkeypatch):
    """Three positions through its three blocks take 9 s, and nothing is sent for it."""
    assert moved(monkeypatch, (1, 3), "recompute").log(*COLUMNS)[5:8] == [
        ("compute", "phone", "embedding+0-2", 0, 5.253004, 14.253004),
        ("compute", "phone", "embedding+0-2", 0, 14.253004, 17.253004),
        ("send", "phone", HOP, 1000, 17.253004, 17.254004),
    ]


def test_the_edge_takes_two_blocks_with_their_caches(monkeypatch):
    assert moved(monkeypatch, (3, 1), "transfer").log(*COLUMNS) == [
        ("compute", "phone", "embedding+0-2", 0, 0.0, 9.0),
        ("send", "phone", HOP, 3000, 9.0, 9.003),
        ("compute", "edge", "3+head", 0, 9.003, 9.753),
        ("send", "edge", HOP, 4, 9.753, 9.753004),
        ("emit", "phone", None, 0, 9.753004, 9.753004),
        ("send", "phone", HOP, 12000, 9.753004, 9.765004),
        ("compute", "phone", "embedding+0", 0, 9.765004, 10.765004),
        ("send", "phone", HOP, 1000, 10.765004, 10.766004),
        ("compute", "edge", "1-3+head", 0, 10.766004, 11.516004),
        ("send", "edge", HOP, 4, 11.516004, 11.516008),
        ("emit", "phone", None, 0, 11.516008, 11.516008),
    ]


def test_the_edge_takes_two_blocks_and_computes_them_anew(monkeypatch):
    """Three positions through the device's block, their states over, and through the two blocks there."""
    assert moved(monkeypatch, (3, 1), "recompute").log(*COLUMNS)[5:9] == [
        ("compute", "phone", "embedding+0", 0, 9.753004, 12.753004),
        ("send", "phone", HOP, 3000, 12.753004, 12.756004),
        ("compute", "edge", "1-2", 0, 12.756004, 14.256004),
        ("compute", "phone", "embedding+0", 0, 14.256004, 15.256004),
    ]


@pytest.mark.parametrize(("cuts", "takes_s"), [((1, 3), 0.012), ((3, 1), 0.012)])
def test_the_cheaper_way_is_the_caches_here(monkeypatch, cuts, takes_s):
    """12 ms of transfer against 9 s, or 4.5 s, of computing."""
    move = moved(monkeypatch, cuts, "cheaper").log(*COLUMNS)[5]
    assert move[0] == "send"
    assert move[5] - move[4] == pytest.approx(takes_s)
