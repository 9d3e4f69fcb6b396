"""The strategy `early_exit`: sub-models on stages of servers, tasks routed between them, and early exits."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass
from functools import partial
from typing import Annotated, Literal, Self

import numpy as np
from pydantic import Field, model_validator

from edgesim.errors import PlacementError
from edgesim.fields import PositiveBytes, PositiveSeconds, refuse
from edgesim.model.architecture import Architecture
from edgesim.planning.offloading.exit_table import ExitTable, Levels
from edgesim.planning.offloading.flow import even_plan
from edgesim.planning.offloading.genetic import Breeding
from edgesim.planning.offloading.network import OffloadingNetwork
from edgesim.planning.offloading.thresholds import Objective
from edgesim.strategies.early_exit.demand import traffic_of
from edgesim.strategies.early_exit.exit_steps import ExitSteps
from edgesim.strategies.early_exit.generation import generate
from edgesim.strategies.early_exit.layout import Layout, lay_out
from edgesim.strategies.early_exit.links import LinkWatch
from edgesim.strategies.early_exit.measured_rules import measured_thresholds, require_measured, rule_of
from edgesim.strategies.early_exit.network import Reach, network_of
from edgesim.strategies.early_exit.options import Cuts, Stages, Thresholds, numbers_of
from edgesim.strategies.early_exit.placement import Staged
from edgesim.strategies.early_exit.plans import DecidedPlan, Offloading, decide
from edgesim.strategies.early_exit.queues import Queues
from edgesim.strategies.early_exit.remarks import plan_remark
from edgesim.strategies.early_exit.required_exits import require_exits
from edgesim.strategies.early_exit.rounds import Rounds, default_period_s
from edgesim.strategies.early_exit.state import RunState
from edgesim.strategies.early_exit.task_path import ChannelRule, Walk
from edgesim.strategies.early_exit.thresholds import (
    exit_table,
    levels_of,
    objective_of,
    one_each,
    per_stage,
)
from edgesim.strategy import (
    CacheFill,
    Cluster,
    ExitRule,
    Fleet,
    LiveRequest,
    Serving,
    Stage,
    Strategy,
)

__all__ = ["EarlyExit", "Run"]


@dataclass(frozen=True, eq=False)
class Run:
    """State of one simulation run: routing of tasks, and the concurrent rounds or reports."""

    walk: Walk
    rounds: Rounds | Queues | None


class EarlyExit(Strategy):
    """Staged inference with early exits, routed by DTO-EE (Xie et al. 2024, arXiv 2412.08284) or a baseline.

    The model is cut into sub-models, one per stage of servers. A task goes from its device to a server of the
    first stage, and from there from stage to stage. It leaves at the first exit that is certain enough of its
    answer (replayed from measured answers).

    Departures from the paper, of which only the abstract could be read: see the modules of
    :mod:`edgesim.planning.offloading`, and docs/explanation.
    """

    offloading: Offloading = Field(
        "dto-ee",
        description="Rule by which tasks are routed: dto-ee (marginal costs passed upstream in messages), "
        "optimum (planned centrally, for mean rates), cf and bf (in proportion to computing, or to "
        "bandwidth), ngto (every node for its own tasks), ga (a genetic algorithm), jsed and backpressure "
        "(task by task, by reported queues), even (all hops equally)",
    )
    thresholds: Thresholds = Field(
        "auto",
        description="Thresholds by which tasks leave: joint (chosen together with the rows: dto-ee, ga, "
        "optimum), tuned (for the rows that the rule plans), none (no exits), a number for all exits or a "
        "list of one for each, 'never' for one that no task is to take; auto is joint where that is "
        "possible, else tuned, and none where no answers were measured",
    )
    exit_rule: Literal["confidence", "entropy", "channel-aware"] = Field(
        "confidence",
        description="Quantity that thresholds apply to: least confidence; largest entropy [nats] (DeeBERT); "
        "or a least confidence that falls as continuing costs more (Jankowski et al. 2023)",
    )
    stages: Stages = Field(
        (),
        description="Devices or groups of each stage of servers, such as [[tx2, nx], nx, [agx]]; default: "
        "all that compute and are not sources, group by group, the slowest first",
    )
    cuts: Cuts = Field(
        (), description="Numbers of blocks after which to cut; default: at measured exits, or evenly"
    )
    reach: Reach = Field(
        "links", description="Servers that a node may send to: those at the end of a link, or of a route"
    )
    exchange: PositiveSeconds | None = Field(
        None,
        description="Mean delay that is worth one unit of accuracy, from all wrong to all right; default: "
        "ten times the mean delay of the idle network",
    )
    accuracy_floor: float = Field(1.0, ge=0, le=1, description="Accuracy above which more has no value")
    caches: Literal["recompute", "propagate", "same-path"] = Field(
        "recompute",
        description="For answers of several tokens: treatment of the keys and values that a token which left "
        "early lacks in later blocks",
    )
    drop_late: PositiveSeconds | None = Field(
        None,
        description="Fail a task that enters a stage, or would be sent to one, later than this after it "
        "arose; tasks that already wait in a server's queue are served",
    )
    period: PositiveSeconds | None = Field(
        None,
        description="Time of one of dto-ee's rounds, or between reports of queues; default: so long that 100 "
        "tasks reach each server of the first stage, and at most one control message is sent per task",
    )
    choices: Annotated[int, Field(ge=1, strict=True)] | Literal["all"] = Field(
        2,
        description="For jsed and backpressure: number of hops, drawn at random, that a task compares; with "
        "all, every task follows one old report and fills the queue that was short in it",
    )
    exchanges: int = Field(
        2, ge=1, le=16, description="For dto-ee: exchanges of offers and prices before rows change"
    )
    message: PositiveBytes = Field(
        32, description="Size of a control message: three numbers of 8 bytes, and the link and round"
    )
    start: Literal["planned", "uniform"] = Field(
        "planned",
        description="Initial state of dto-ee: rows planned for mean rates, or equal rows with an idle "
        "network's prices",
    )
    evaluations: int = Field(2000, ge=40, description="Budget of ga: number of plans evaluated")
    seed: int = Field(0, ge=0, description="Seed of ga's random numbers")

    @model_validator(mode="after")
    def _fits(self) -> Self:
        if self.thresholds == "joint" and self.offloading not in ("dto-ee", "ga", "optimum"):
            refuse(f"thresholds: joint is for dto-ee, ga and optimum; with {self.offloading} set 'tuned'")
        if self.exit_rule == "channel-aware" and self.thresholds not in ("auto", "tuned"):
            refuse("exit_rule: channel-aware sets its own thresholds; leave 'thresholds' out")
        if self.exit_rule == "entropy" and self.thresholds == "none":
            refuse(
                "exit_rule: entropy defines when tasks leave, but with thresholds: none they do not; leave "
                "one of the two out"
            )
        above = [value for value in self._fixed if 1 < value < math.inf]
        if self.exit_rule == "confidence" and above:
            refuse(
                f"thresholds: a confidence is at most 1, got {above[0]:g}; set 'never' for an exit that no "
                "task is to take, or 'exit_rule: entropy' if these are entropies in nats"
            )
        return self

    @property
    def _follows_queues(self) -> bool:
        return self.offloading in ("jsed", "backpressure")

    def _period_s(self, network: OffloadingNetwork) -> float | None:
        """Return the time of a round, or between reports; None where rows stay as planned."""
        if self._follows_queues:
            return self.period or default_period_s(network, self.exchanges) / (2 * self.exchanges)
        if self.offloading == "dto-ee" and (network.n_hops > 1).any():
            return self.period or default_period_s(network, self.exchanges)
        return None

    @property
    def _fixed(self) -> tuple[float, ...]:
        """Given thresholds; empty if they are to be chosen."""
        return numbers_of(self.thresholds, by_entropy=self.exit_rule == "entropy")

    def place(self, model: Architecture, fleet: Fleet) -> Staged:
        """Cut the model, and plan for mean rates."""
        layout = lay_out(
            model, fleet, stages=self.stages, cuts=self.cuts, with_exits=self.thresholds != "none"
        )
        require_exits(
            layout,
            fleet,
            thresholds=self.thresholds,
            exit_rule=self.exit_rule,
            caches=self.caches,
            has_cuts=bool(self.cuts),
        )
        measured = self._measured(layout, fleet)
        table = self._table(layout, fleet, measured)
        answers_long = fleet.extent.n_output_tokens > 1
        if answers_long and self._follows_queues:
            raise PlacementError(
                f"offloading: {self.offloading} counts tasks at servers, but requests of several output "
                "tokens occupy all servers of their path at once; request one token, or use another rule, "
                "such as 'optimum'"
            )
        decision = self._decided(layout, fleet, table, measured)
        thresholds = per_stage(table, decision.levels, layout)
        is_tuned = table is not None and not self._fixed
        remark = plan_remark(
            decision,
            thresholds=thresholds,
            is_tuned_apart=fleet.is_tuning_apart if is_tuned else None,
            shares_servers=layout.shares_devices,
            follows_queues=self._follows_queues,
            period_s=self._period_s(decision.network),
        )
        channel = None
        if self.exit_rule == "channel-aware" and table is not None:
            exchange_s = self._objective(decision.network).exchange_s
            channel = ChannelRule(float(table.is_correct[:, -1].mean()), exchange_s)
        return Staged.of(
            layout,
            tuple(decision.plan.tolist()),
            thresholds,
            levels=() if table is None else decision.levels,
            continues=decision.continues,
            channel=channel,
            generation=self._rule(layout, fleet, thresholds),
            remark_text=remark,
        )

    def _measured(self, layout: Layout, fleet: Fleet) -> list[tuple[float, ...]] | None:
        """Return the thresholds to choose from, one per exit, where only some were measured; else None."""
        is_long = fleet.extent.n_output_tokens > 1
        if self.caches != "propagate" or not is_long or not layout.exit_blocks or fleet.exits is None:
            return None
        if self.exit_rule == "channel-aware":
            raise PlacementError(
                "exit_rule: channel-aware sets its own thresholds, but with 'caches: propagate' answers "
                "are known at measured ones only; use 'exit_rule: confidence' or 'caches: recompute'"
            )
        by_entropy = self.exit_rule == "entropy"
        if self._fixed and all(map(math.isinf, self._fixed)):
            return None  # no token leaves, and caches are complete
        measured = measured_thresholds(layout, fleet, by_entropy=by_entropy)
        if self._fixed:
            fixed = one_each(layout, self._fixed)
            require_measured(fixed, measured, layout, by_entropy=by_entropy)
        return measured

    def _table(
        self, layout: Layout, fleet: Fleet, measured: Sequence[tuple[float, ...]] | None = None
    ) -> ExitTable | None:
        fixed = self._fixed or tuple({value for each in measured or () for value in each})
        return exit_table(layout, fleet, by_entropy=self.exit_rule == "entropy", fixed=fixed)

    def _exit_steps(self, placement: Staged, fleet: Fleet, state: RunState) -> ExitSteps | None:
        """Return the adaptation of thresholds during a run; None where they are constant."""
        moves = self.thresholds in ("auto", "joint") and self.exit_rule != "channel-aware"
        table = self._table(placement.layout, fleet)
        if not moves or not placement.levels or table is None or placement.generation is not None:
            return None
        return ExitSteps(state, table, self._objective(state.network), placement.levels)

    def _objective(self, network: OffloadingNetwork) -> Objective:
        return objective_of(network, self.exchange, self.accuracy_floor)

    def _rule(
        self, layout: Layout, fleet: Fleet, thresholds: tuple[float | None, ...]
    ) -> tuple[ExitRule, CacheFill] | None:
        """Return thresholds as a rule for all measured exits, for answers of several tokens; else None."""
        if fleet.extent.n_output_tokens == 1 or fleet.exits is None or not layout.exit_blocks:
            return None
        by_entropy = self.exit_rule == "entropy"
        rule = rule_of(thresholds, layout, fleet.exits.blocks[:-1], by_entropy=by_entropy)
        if all(map(math.isinf, rule.thresholds)):
            return None  # no token leaves, and caches are complete
        return rule, CacheFill(self.caches)

    def _decided(
        self,
        layout: Layout,
        fleet: Fleet,
        table: ExitTable | None,
        measured: Sequence[tuple[float, ...]] | None,
    ) -> DecidedPlan:
        network = network_of(layout, fleet, self.reach, CacheFill(self.caches))
        levels: Levels | None = None
        allowed: list[Levels] | None = None
        if table is not None and self._fixed:
            levels = levels_of(table, layout, self._fixed)
        elif table is not None and measured is not None:
            allowed = [levels_of(table, layout, each) for each in measured]
        return decide(
            network,
            table,
            self._objective(network),
            offloading=self.offloading,
            fixed=levels,
            allowed=allowed,
            joint=self.thresholds in ("auto", "joint"),
            channel_aware=self.exit_rule == "channel-aware",
            breeding=Breeding(n_evaluations=self.evaluations),
            seed=self.seed,
        )

    def begin(self, placement: Staged, model: Architecture, fleet: Fleet) -> Run:
        """Return the state of a new run, starting from the plan."""
        caches, shares = CacheFill(self.caches), np.array(placement.continues)
        network = network_of(placement.layout, fleet, self.reach, caches).with_shares(shares)
        is_planned = self.start == "planned" or self.offloading != "dto-ee"
        plan = np.array(placement.plan) if is_planned else even_plan(network)
        traffic = traffic_of(fleet, caches, shares)
        state = RunState(network, plan, placement.thresholds, fleet, traffic)
        rounds: Rounds | Queues | None = None
        period_s, watch = self._period_s(network), LinkWatch(state, fleet)
        if period_s is not None and self._follows_queues:
            rounds = Queues(
                state,
                period_s=period_s,
                size_bytes=self.message,
                is_pressure=self.offloading == "backpressure",
                n_choices=None if self.choices == "all" else self.choices,
                watch=watch,
            )
        elif period_s is not None:
            rounds = Rounds(
                state,
                watch,
                period_s=period_s,
                n_exchanges=self.exchanges,
                size_bytes=self.message,
                is_planned=is_planned,
                exits=self._exit_steps(placement, fleet, state),
            )
        walk = Walk(
            placement.layout,
            state,
            queues=rounds if isinstance(rounds, Queues) else None,
            exit_rule="entropy" if self.exit_rule == "entropy" else "confidence",
            channel=placement.channel,
            late_after_s=self.drop_late,
        )
        return Run(walk, rounds)

    def control(self, cluster: Cluster, placement: Staged, run: Run) -> Serving | None:
        """Run the rounds or reports, if the rule has any."""
        return None if run.rounds is None else run.rounds.run(cluster)

    def serve(self, request: LiveRequest, cluster: Cluster, placement: Staged, run: Run) -> Serving:
        """Route the request from stage to stage, until an exit is certain enough."""
        if request.n_output_tokens == 1:
            return run.walk.serve(request, cluster)
        return self._generate(request, cluster, placement, run)

    def _generate(self, request: LiveRequest, cluster: Cluster, placement: Staged, run: Run) -> Serving:
        """Decode along one path of servers, which keep the request's caches."""
        devices = run.walk.path(request, cluster)
        path = [Stage(device, part) for device, part in zip(devices, placement.layout.parts, strict=True)]
        yield from generate(
            request,
            cluster,
            path,
            placement.rule,
            self.caches,
            entering=partial(run.walk.enter, request, cluster, devices),
        )
