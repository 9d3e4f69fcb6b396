"""The shipped street on its 5G cells: what its traces show of the channel."""

from __future__ import annotations

from collections.abc import Callable

import pandas as pd

from edgesim.trace.reader import Trace

Simulate = Callable[..., Trace]

OFFLOADS = ("offload-edge", "offload-roadside")


def undisturbed(spans: pd.DataFrame) -> pd.DataFrame:
    """Prompts on their way up that no other message on the street's channel met, up or down."""
    air = spans[(spans["kind"] == "send") & spans["device"].astype(str).str.match("camera|patrol")]
    air = air.sort_values("started_at_s", ignore_index=True)
    latest_s = air["ended_at_s"].cummax().shift(fill_value=-1.0)
    alone = (air["started_at_s"] >= latest_s) & (
        air["started_at_s"].shift(-1, fill_value=1e9) >= air["ended_at_s"]
    )
    prompts = air["token"] == 0
    is_first = ~air[prompts].duplicated("request_id").reindex(air.index, fill_value=True)  # of several tries
    return air[alone & prompts & is_first].set_index("request_id")


def test_two_strategies_meet_the_same_channel(simulate: Simulate) -> None:
    """Another strategy's traffic changes nothing that a message meets at the same instant.

    The two send their prompts at the same instants, and everything after that at others. Where a prompt is
    alone on the channel under both, it takes as long, as many attempts and as much energy, to the bit: its
    rate is a function of the channel's gain, so the gain is the same.
    """
    trace = simulate("smart_city", "profile=analytic", "horizon='4 min'", "replications=1", only=OFFLOADS)
    assert trace.check() == []
    first, second = (undisturbed(trace.spans(label, 0)) for label in OFFLOADS)
    both = first.index.intersection(second.index)
    assert len(both) >= 20
    columns = [
        "device",
        "peer",
        "via",
        "asked_at_s",
        "started_at_s",
        "ended_at_s",
        "size_bytes",
        "energy_j",
        "attempts",
    ]
    told = [
        one.loc[both, columns].astype({"device": str, "peer": str, "via": str}) for one in (first, second)
    ]
    pd.testing.assert_frame_equal(*told, check_exact=True)
    # And the channel does change: hardly two of these messages had the same rate.
    rates = told[0]["size_bytes"] / (told[0]["ended_at_s"] - told[0]["started_at_s"])
    assert rates.nunique() > 0.9 * len(rates)
    # Nor do the strategies do the same: their traffic differs.
    assert len(trace.spans(OFFLOADS[0], 0)) != len(trace.spans(OFFLOADS[1], 0))


def test_full_buffers_slow_messages_that_meet_nobody(simulate: Simulate) -> None:
    """With a given load cells disturb one another whether anybody sends or not."""
    load = [f"topology.links.{place}.interference={{load: 0.5}}" for place in (0, 1)]
    trace = simulate(
        "smart_city", "profile=analytic", "horizon='2 min'", "replications=1", *load, only=("offload-edge",)
    )
    assert trace.check() == []
    loaded = trace.spans("offload-edge", 0)
    free = simulate(
        "smart_city", "profile=analytic", "horizon='2 min'", "replications=1", only=("offload-edge",)
    )
    took_s, alone_s = (
        undisturbed(spans).eval("ended_at_s - started_at_s")
        for spans in (loaded, free.spans("offload-edge", 0))
    )
    both = took_s.index.intersection(alone_s.index)
    assert (took_s[both] >= alone_s[both]).all()
    assert (took_s[both] > alone_s[both]).any()
