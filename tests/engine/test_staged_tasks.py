"""Tasks along stages of servers: the log by hand, frequencies and rates against the plan, deadlines."""

from __future__ import annotations

import math
from collections import Counter
from dataclasses import replace

import numpy as np
import pytest
from miniature import Tables, run
from scipy.stats import binomtest
from staged import city, records, stages_of

from edgesim.engine.cluster import Cluster
from edgesim.errors import PlacementError
from edgesim.planning.offloading.flow import flow_of
from edgesim.radio.motion.outages import ScheduledOutages
from edgesim.strategies.early_exit import EarlyExit
from edgesim.strategies.early_exit.network import network_of
from edgesim.strategies.early_exit.placement import Staged
from edgesim.strategies.early_exit.strategy import Run
from edgesim.strategy import Fleet, Serving
from edgesim.workload.arrivals import Deterministic
from edgesim.workload.lengths import Fixed
from edgesim.world.faults import Faults
from edgesim.world.world import World


def served(world: World, **options: object) -> tuple[Tables, Staged, EarlyExit]:
    strategy = EarlyExit.model_validate({"stages": stages_of(world)} | options)
    placement = strategy.place(world.model, Fleet.of(world))
    return run(world, strategy, placement), placement, strategy


def test_one_task_goes_from_stage_to_stage() -> None:
    """One server each: 0.25 s there and 1 s of service, 0.25 s on and 2 s of service, and home."""
    there = city([[1.0], [2.0]], 1, hop_s=0.25, n_requests=1)
    tables, _, _ = served(replace(there, workload=replace(there.workload, arrivals=Deterministic(1.0))))
    assert tables.log("kind", "device", "via", "asked_at_s", "started_at_s", "ended_at_s") == [
        ("send", "d-0", "d-0--s1-0", 0.0, 0.0, 0.25),
        ("compute", "s1-0", "embedding+0", 0.25, 0.25, 1.25),
        ("send", "s1-0", "s1-0--s2-0", 1.25, 1.25, 1.5),
        ("compute", "s2-0", "1+head", 1.5, 1.5, 3.5),
        ("send", "s2-0", "d-0--s2-0", 3.5, 3.5, 3.5),
        ("emit", "d-0", None, 3.5, 3.5, 3.5),
    ]


def test_a_task_leaves_where_its_exit_is_sure() -> None:
    """By the records, request by request: a head at the exit, and no second stage if it is sure."""
    said = records(2, 0.5)
    there = city([[0.01], [0.02]], 1, n_requests=200, exits=said)
    tables, placement, _ = served(there, thresholds=0.9)
    assert [str(part) for part in placement.layout.parts] == ["embedding+0+head", "1+head"]
    sure = [bool(said.at(asked.sample, 0, 1).confidence >= 0.9) for asked in there.requests()]
    assert 50 < sum(sure) < 150
    computed = tables.spans[tables.spans["kind"] == "compute"]
    assert [n for _, n in sorted(Counter(computed["request_id"]).items())] == [2 - leaves for leaves in sure]
    left = tables.requests.sort_values("request_id")["mean_exit_block"]
    assert left.tolist() == [1 if leaves else 2 for leaves in sure]


def test_hops_are_taken_as_often_as_the_plan_says() -> None:
    """Exact binomial tests, 99.9 % together over all links (Bonferroni)."""
    there = city([[0.01, 0.02, 0.03], [0.02, 0.01]], 2, rate_hz=30.0, n_requests=4000)
    tables, placement, strategy = served(there, offloading="cf")
    network = network_of(placement.layout, Fleet.of(there), strategy.reach)
    sent = tables.spans[(tables.spans["kind"] == "send")]
    counts = Counter(zip(sent["device"], sent["peer"], strict=True))
    for tail in range(network.n_nodes):
        links = range(network.n_links)[network.links(tail)]
        here = network.names[tail].split("/")[1]
        taken = [counts[here, network.names[network.head[link]].split("/")[1]] for link in links]
        for link, n_taken in zip(links, taken, strict=True):
            p = placement.plan[link]
            assert binomtest(n_taken, sum(taken), p).pvalue > 0.001 / network.n_links


def test_servers_meet_the_rates_of_the_flow_model() -> None:
    """Tasks at each server over those of all, by the shares that go on, at the thresholds in force."""
    said = records(3, 0.4, n_tokens=100_000)
    there = city(
        [[0.01, 0.02], [0.01, 0.02], [0.01]], 2, rate_hz=20.0, n_requests=4000, exits=said, tuning_exits=said
    )
    tables, placement, strategy = served(there, offloading="cf", thresholds=0.9)
    network = network_of(placement.layout, Fleet.of(there), strategy.reach)
    network = network.with_shares(placement.continues)
    assert placement.continues == pytest.approx((0.6, 0.6), abs=0.01)
    flow = flow_of(network, np.array(placement.plan))
    computed = Counter(tables.spans[tables.spans["kind"] == "compute"]["device"])
    servers = range(2, network.n_nodes)
    for node in servers:
        share = float(flow.node_per_s[node]) / network.total_per_s
        found = computed[network.names[node].split("/")[1]]
        assert binomtest(found, 4000, min(1.0, share)).pvalue > 0.001 / len(servers)


def test_late_tasks_fail_before_a_stage() -> None:
    there = city([[1.0], [1.0]], 1, rate_hz=0.9, n_requests=200)
    tables, _, _ = served(there, drop_late="3 s")
    failed = tables.requests[tables.requests["outcome"] == "failed"]
    assert 0 < len(failed) < 200
    assert failed["reason"].str.match(r"late: 3 s had passed before stage 2").all()
    started = tables.spans[(tables.spans["kind"] == "compute") & (tables.spans["device"] == "s2-0")]
    arrived = tables.requests.set_index("request_id")["arrived_at_s"]
    late_s = started["asked_at_s"] - started["request_id"].map(arrived)
    assert late_s.max() <= 3.0 + 0.001 + 1e-9


def test_rivals_meet_the_same_numbers() -> None:
    """Two rules with the same rows, for servers are alike: the same hops, request by request."""
    there = city([[0.01, 0.01], [0.02, 0.02]], 2, rate_hz=20.0, n_requests=300)
    columns = ["request_id", "device", "asked_at_s"]
    spans = (served(there, offloading=rule)[0].spans for rule in ("even", "cf"))
    even, capacity = (each.loc[each["kind"] == "compute", columns] for each in spans)
    assert even.equals(capacity)


@pytest.mark.parametrize(
    ("options", "complaint"),
    [
        ({"cuts": [1]}, "expected 2, one between any two stages"),
        ({"cuts": [1, 3]}, "after block 3 of 3"),
        ({"stages": [["s1"], ["s3"]]}, "reaches no server of stage 2 over a direct link"),
        ({"thresholds": 0.5}, "no measured answers"),
        ({"stages": [["nx"]]}, "nx"),
    ],
)
def test_what_cannot_be_is_refused_before_time_zero(options: dict[str, object], complaint: str) -> None:
    there = city([[0.1], [0.1], [0.1]], 1)
    with pytest.raises(PlacementError, match=complaint):
        served(there, **options)


@pytest.mark.parametrize("rule", ["jsed", "backpressure"])
def test_rules_that_count_tasks_serve_answers_of_one_token(rule: str) -> None:
    there = city([[0.1, 0.1], [0.1]], 1, n_requests=5)
    _, placement, _ = served(there, offloading=rule)
    assert "tasks follow reported queues" in placement.remark
    assert "mean delay" not in placement.remark
    long = replace(there, workload=replace(there.workload, output_tokens=Fixed(3)))
    with pytest.raises(PlacementError, match=f"{rule} counts tasks at servers"):
        served(long, offloading=rule)


def test_a_plan_says_what_it_expects() -> None:
    _, placement, _ = served(city([[0.1, 0.2], [0.1]], 1, rate_hz=5.0, n_requests=5), offloading="cf")
    assert "mean delay" in placement.remark
    assert "above the optimum" in placement.remark
    assert not math.isnan(sum(placement.plan))


def test_ids_as_large_as_a_hidden_state_are_known_for_ids() -> None:
    # Where prompts come embedded, a token of theirs is as large: by size alone an id would pass for a state.
    there = city([[1.0], [2.0]], 1, hop_s=0.25, n_requests=3)
    workload = replace(there.workload, output_tokens=Fixed(4))
    embedded = replace(there, workload=workload, prompt_bytes_per_token=there.model.activation_bytes(1))
    tables, _, _ = served(embedded)
    assert tables.requests["outcome"].tolist() == ["completed"] * 3
    sent = tables.spans[tables.spans["kind"] == "send"]
    assert set(sent.loc[sent["peer"] == "d-0", "size_bytes"]) == {4}  # home: an id, however large a prompt is
    assert set(sent.loc[sent["device"] == "d-0", "size_bytes"]) == {embedded.prompt_bytes_per_token}


def test_a_closed_exit_computes_no_head() -> None:
    said = records(2, 0.5)
    there = city([[0.01], [0.02]], 1, rate_hz=10.0, n_requests=50, exits=said)
    closed, placement, _ = served(there, thresholds="never")
    none, plain, _ = served(there, thresholds="none")
    columns = ["request_id", "kind", "device", "via", "asked_at_s", "ended_at_s"]
    assert closed.spans[columns].equals(none.spans[columns])
    assert placement.remark.split(";")[:2] == plain.remark.split(";")[:2]  # load and mean delay


def test_an_exit_may_open_and_close_while_a_task_is_computed() -> None:
    """What was computed without a head is not asked for an answer; an answer that is there is looked at."""

    class Wavering(EarlyExit):
        def control(self, cluster: Cluster, placement: Staged, run: Run) -> Serving:
            return wavering(cluster, run)

    def wavering(cluster: Cluster, run: Run) -> Serving:
        while True:
            for threshold in (math.inf, 0.5):
                run.walk.state.thresholds[run.walk.state.number[1, "s1-0"]] = threshold
                yield from cluster.sleep(0.007)

    there = city([[0.01], [0.02]], 1, rate_hz=20.0, n_requests=300, exits=records(2, 0.5))
    strategy = Wavering.model_validate({"stages": stages_of(there), "thresholds": 0.5})
    tables = run(there, strategy, strategy.place(there.model, Fleet.of(there)))
    assert tables.requests["outcome"].tolist() == ["completed"] * 300
    first = tables.spans[(tables.spans["kind"] == "compute") & (tables.spans["device"] == "s1-0")]
    assert set(first["via"]) == {"embedding+0", "embedding+0+head"}


def test_a_task_that_arrives_too_late_fails_before_it_is_computed() -> None:
    there = city([[0.1], [0.1]], 1, hop_s=2.0, n_requests=3)
    tables, _, _ = served(there, drop_late="1.5 s")
    assert tables.requests["outcome"].tolist() == ["failed"] * 3
    assert (tables.spans["kind"] == "compute").sum() == 0


@pytest.mark.parametrize("rule", ["jsed", "backpressure", "cf", "dto-ee"])
def test_no_task_goes_over_a_link_that_is_down_while_another_is_up(rule: str) -> None:
    """One of two links of each source and server fails for good before the first task comes."""
    outage = ScheduledOutages([(0.0, math.inf)])
    names = [f"d-{i}--s1-0" for i in range(2)] + [f"s1-{i}--s2-1" for i in range(2)]
    faults = Faults(links=dict.fromkeys(names, outage))
    there = city([[0.05, 0.05], [0.05, 0.05]], 2, rate_hz=8.0, n_requests=200, faults=faults)
    tables, _, _ = served(there, offloading=rule)
    assert tables.requests["outcome"].tolist() == ["completed"] * 200
    computed = tables.spans[tables.spans["kind"] == "compute"]
    assert set(computed["device"]) == {"s1-1", "s2-0"}


def test_rows_that_send_nothing_where_links_are_up_are_left_alone() -> None:
    """All links down but those to a server that its row sends nothing to: tasks go there all the same."""
    outage = ScheduledOutages([(0.0, math.inf)])
    there = city([[0.01, 50.0], [0.01]], 1, rate_hz=0.01, n_requests=20)
    there = replace(there, faults=Faults(links={"d-0--s1-0": outage}))
    tables, placement, _ = served(there, offloading="optimum")
    assert placement.plan[:2] == pytest.approx((1.0, 0.0), abs=1e-6)
    assert set(tables.spans.loc[tables.spans["kind"] == "compute", "device"]) == {"s1-1", "s2-0"}


def test_who_is_kept_back_too_long_fails() -> None:
    # The queue before a single server of 1 s is reported every 10 s: tasks stay where they are meanwhile.
    there = city([[1.0], [1.0]], 1, hop_s=0.25, n_requests=12)
    late = {"offloading": "backpressure", "period": "10 s", "drop_late": "2 s"}
    tables, _, _ = served(
        replace(there, workload=replace(there.workload, arrivals=Deterministic(0.2))), **late
    )
    failed = tables.requests[tables.requests["outcome"] == "failed"]
    assert len(failed) > 0
    assert ((failed["ended_at_s"] - failed["arrived_at_s"]) <= 2.0 + 10.0 / 10).all()
