"""The strategy: sub-models on stages of servers; tasks go from one to the next, and leave where they may."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any, Literal, Self

import numpy as np
from pydantic import Field, model_validator

from edgesim.errors import PlacementError
from edgesim.model.architecture import Architecture
from edgesim.planning.offloading.exit_table import ExitTable, Levels
from edgesim.planning.offloading.flow import even_plan
from edgesim.planning.offloading.genetic import Breeding
from edgesim.strategies.early_exit.layout import Layout, lay_out
from edgesim.strategies.early_exit.links import LinkWatch
from edgesim.strategies.early_exit.network import Reach, network_of
from edgesim.strategies.early_exit.options import Cuts, DataSize, Duration, Stages, Thresholds
from edgesim.strategies.early_exit.placement import Staged
from edgesim.strategies.early_exit.plans import Decision, Offloading, decide
from edgesim.strategies.early_exit.remarks import told
from edgesim.strategies.early_exit.rounds import Rounds, default_period_s
from edgesim.strategies.early_exit.state import RunState
from edgesim.strategies.early_exit.thresholds import exit_table, levels_of, objective_of, per_stage
from edgesim.strategy import Cluster, Fleet, LiveRequest, Serving, Strategy

__all__ = ["EarlyExit", "Run"]


@dataclass(frozen=True, eq=False)
class Run:
    """One run: what nodes keep, and their rounds where they have any."""

    state: RunState
    rounds: Rounds | None


class EarlyExit(Strategy):
    """Staged inference with early exits, offloaded by DTO-EE (Xie et al. 2024, arXiv 2412.08284) or a rival.

    The model is cut into sub-models, one to a stage of servers. A task goes from its device to a server of
    the first stage, and on from stage to stage; where an exit stands that is sure enough of its answer
    (replayed from measured answers), it leaves.

    Departures from the paper, of which only the abstract could be read: see the modules of
    :mod:`edgesim.planning.offloading`, and docs/explanation.
    """

    offloading: Offloading = Field(
        "dto-ee",
        description="Who decides where tasks go: dto-ee (marginal costs passed upstream in messages), optimum "
        "(planned centrally, for mean rates), cf and bf (in proportion to computing, or to bandwidth), ngto "
        "(every node for its own tasks), ga (a genetic algorithm), jsed and backpressure (task by task, by "
        "queues that were reported), even (all hops alike)",
    )
    thresholds: Thresholds = Field(
        "auto",
        description="With what tasks leave: joint (chosen together with the rows: dto-ee, ga, optimum), tuned "
        "(for the rows that the rule plans), none (no exits), a number for all exits or a list; auto is joint "
        "where that is possible, else tuned, and none where no answers were measured",
    )
    exit_rule: Literal["confidence", "entropy", "channel-aware"] = Field(
        "confidence",
        description="What a threshold is of: least confidence; most entropy [nats] (DeeBERT); or a least "
        "confidence that falls as going on costs more (Jankowski et al. 2023)",
    )
    stages: Stages = Field(
        (),
        description="Devices or groups of each stage of servers, such as [[tx2, nx], nx, [agx]]; else all that "
        "compute and ask nothing, group by group, the slowest first",
    )
    cuts: Cuts = Field(
        (), description="Numbers of blocks after which to cut; else where exits stand, or evenly"
    )
    reach: Reach = Field(
        "links", description="To whom a node may send: servers that a link leads to, or a route of several"
    )
    exchange: Duration | None = Field(
        None,
        description="Mean delay that one unit of accuracy is worth, from all wrong to all right; else ten "
        "times the mean delay while nothing queues",
    )
    accuracy_floor: float = Field(1.0, ge=0, le=1, description="Accuracy above which more is worth nothing")
    drop_late: Duration | None = Field(
        None, description="Fail a task that would enter a stage later than this after it arose"
    )
    period: Duration | None = Field(
        None,
        description="Time of one of dto-ee's rounds, or between reports of queues; else so long that 50 tasks "
        "come to a server of the first stage meanwhile, and no more than one control message goes per task",
    )
    exchanges: int = Field(
        2, ge=1, le=16, description="Of dto-ee: how often offers and prices go round before rows change"
    )
    message: DataSize = Field(
        32.0, description="Size of a control message: three numbers of 8 bytes, and which link and round"
    )
    start: Literal["planned", "uniform"] = Field(
        "planned",
        description="Where dto-ee begins: at rows planned for mean rates, or at equal ones with an idle "
        "network's prices",
    )
    evaluations: int = Field(2000, ge=40, description="Budget of ga: plans that it may judge")
    seed: int = Field(0, ge=0, description="Of ga's draws")

    @model_validator(mode="after")
    def _fits(self) -> Self:
        if self.thresholds == "joint" and self.offloading not in ("dto-ee", "ga", "optimum"):
            raise ValueError(
                f"thresholds: joint is for dto-ee, ga and optimum; with {self.offloading} say 'tuned'"
            )
        if self.exit_rule == "channel-aware" and self.thresholds not in ("auto", "tuned"):
            raise ValueError("exit_rule: channel-aware sets its own thresholds; leave 'thresholds' out")
        return self

    def place(self, model: Architecture, fleet: Fleet) -> Staged:
        """Cut the model, and plan for mean rates."""
        if fleet.extent.n_output_tokens > 1:
            raise PlacementError(
                f"early_exit answers in one pass; this workload asks for {fleet.extent.n_output_tokens} "
                "tokens: set output_tokens to 1"
            )
        layout = lay_out(
            model, fleet, stages=self.stages, cuts=self.cuts, with_exits=self.thresholds != "none"
        )
        fixed = self.thresholds if isinstance(self.thresholds, tuple) else ()
        table = exit_table(layout, fleet, by_entropy=self.exit_rule == "entropy", fixed=fixed)
        if table is None and self.thresholds not in ("auto", "none"):
            raise PlacementError(
                "thresholds are given, and no exit was measured after any of the cuts; give 'quality', cut "
                "where exits stand, or say 'thresholds: none'"
            )
        decision = self._decided(layout, fleet, table, fixed)
        thresholds = per_stage(table, decision.levels, layout)
        is_tuned = table is not None and not fixed
        remark = told(
            decision, thresholds=thresholds, is_tuned_apart=fleet.is_tuning_apart if is_tuned else None
        )
        continues = tuple(decision.network.continues[1:-1].tolist())
        return Staged.of(layout, tuple(decision.plan.tolist()), thresholds, continues, remark)

    def _decided(
        self, layout: Layout, fleet: Fleet, table: ExitTable | None, fixed: tuple[float, ...]
    ) -> Decision:
        network = network_of(layout, fleet, self.reach)
        levels: Levels | None = None
        if table is not None and fixed:
            levels = levels_of(table, layout, fixed)
        return decide(
            network,
            table,
            objective_of(network, self.exchange, self.accuracy_floor),
            offloading=self.offloading,
            fixed=levels,
            joint=self.thresholds in ("auto", "joint"),
            channel_aware=self.exit_rule == "channel-aware",
            breeding=Breeding(n_evaluations=self.evaluations),
            seed=self.seed,
        )

    def begin(self, placement: Staged, model: Architecture, fleet: Fleet) -> Run:
        """Begin with the plan."""
        network = network_of(placement.layout, fleet, self.reach).with_shares(placement.continues)
        is_planned = self.start == "planned" or self.offloading != "dto-ee"
        plan = np.array(placement.plan) if is_planned else even_plan(network)
        state = RunState(network, plan, placement.thresholds)
        if self.offloading != "dto-ee" or not (network.n_hops > 1).any():
            return Run(state, None)
        rounds = Rounds(
            state,
            LinkWatch(state, fleet),
            period_s=self.period or default_period_s(state, self.exchanges),
            n_exchanges=self.exchanges,
            size_bytes=self.message,
            is_planned=is_planned,
        )
        return Run(state, rounds)

    def control(self, cluster: Cluster, placement: Staged, run: Run) -> Serving | None:
        """Rounds of messages, where the rule has any."""
        return None if run.rounds is None else run.rounds.run(cluster)

    def serve(self, request: LiveRequest, cluster: Cluster, placement: Staged, run: Run) -> Serving:
        """Go from stage to stage, and leave where an exit is sure."""
        state = run.state
        layout, number, here = placement.layout, state.number, request.source
        token = next(request.tokens())
        stream = cluster.random("offload", request)
        node = number[0, here]
        if layout.shares_devices:  # who asks device by device could wait for who waits for it
            path = self._path(request, cluster, state, node, layout.n_stages, stream)
            yield from cluster.admit(request, dict.fromkeys(path))
        else:
            path = []
        state.n_came[node] += 1
        for stage, part in enumerate(layout.parts, 1):
            if self.drop_late is not None and cluster.now_s > request.arrived_at_s + self.drop_late:
                cluster.fail(request, f"late: {self.drop_late:g} s had passed before stage {stage}")
            next_hop = path[stage - 1] if path else self._hop(cluster, state, node, stream)
            size_bytes = request.prompt_bytes if stage == 1 else token.activation_bytes
            yield from cluster.send(request, here, next_hop, size_bytes)
            here, node = next_hop, number[stage, next_hop]
            state.n_came[node] += 1
            yield from cluster.compute(request, here, part, token)
            if self._leaves(request, cluster, state, node, token, part.last):
                state.n_left[node] += 1
                break
        yield from cluster.emit(request, here, token)

    def _path(
        self, request: LiveRequest, cluster: Cluster, state: RunState, node: int, n_stages: int, stream: Any
    ) -> list[str]:
        """All hops at once, as they would be chosen now."""
        path = []
        for stage in range(1, n_stages + 1):
            path.append(self._hop(cluster, state, node, stream))
            node = state.number[stage, path[-1]]
        return path

    def _hop(self, cluster: Cluster, state: RunState, node: int, stream: Any) -> str:
        """The device that a task goes to from a node."""
        hops = state.hops[node]
        return hops[0] if len(hops) == 1 else hops[state.drawn_hop(node, stream.random())]

    def _leaves(
        self, request: LiveRequest, cluster: Cluster, state: RunState, node: int, token: Any, block: int
    ) -> bool:
        """Whether a task leaves at a node, by the threshold in force there."""
        threshold = state.thresholds[node]
        if threshold is None:
            return False
        if self.exit_rule == "entropy":
            return cluster.exits(request, token, block, entropy=threshold)
        return cluster.exits(request, token, block, confidence=threshold)
