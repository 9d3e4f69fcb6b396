"""The strategy `rl_split`: a device runs the first blocks, the edge the rest; a policy moves the split."""

from __future__ import annotations

from collections.abc import Generator
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any, Literal, Self

import numpy as np
from pydantic import Field, field_validator, model_validator

from edgesim.errors import InputError, PlacementError, StrategyError
from edgesim.model.architecture import Architecture
from edgesim.planning.policies.shipped import SHIPPED
from edgesim.planning.splitting.policy import Policy
from edgesim.strategies.rl_split.estimates import Estimates, Reach
from edgesim.strategies.rl_split.layout import Both, lay_out
from edgesim.strategies.rl_split.losses import Losses
from edgesim.strategies.rl_split.observations import PUBLISHED, look
from edgesim.strategies.rl_split.options import Decide, Learning, Names, Seen, Splits, Weights
from edgesim.strategies.rl_split.passing import serve_token
from edgesim.strategies.rl_split.policies import (
    Bandit,
    Situation,
    by_threshold,
    greedy,
    oracle,
)
from edgesim.strategies.rl_split.split_moves import Mover, Moving
from edgesim.strategies.rl_split.trained_policy import load_policy, remark_on, training_of
from edgesim.strategy import Cluster, Fleet, LiveRequest, Serving, Slice, Strategy, Token, Training

__all__ = ["RlSplit", "Run"]

_RULES = ("fixed", "greedy", "oracle", "threshold", "random", "bandit")
_TRAINED = "trained"


@dataclass(eq=False)
class Run:
    """State of one simulation run.

    Attributes
    ----------
    last
        By device, the final split of its latest request, at which the next one starts.
    """

    fleet: Fleet
    estimates: Estimates
    mover: Mover
    policy: Policy | None
    bandit: Bandit
    last: dict[str, int]


class RlSplit(Strategy):
    """A user device runs the first p blocks, the edge the rest; p follows the channel, the load, the battery.

    Chen et al. 2024 (arXiv 2406.02616). Hidden states cross the uplink unacknowledged (RLC's unacknowledged
    mode): parts that the radio's attempts do not deliver are missing and read as zeros. The impairment is
    that measured for such erasures after the block where the model is split. Prompts, token ids and caches
    are acknowledged. With p = 0 all blocks run at the edge and nothing is lost; with p = all blocks nothing
    is sent.

    Memory is reserved at the ends that compute under the chosen split, once it is chosen: at both at the same
    time, or at one. If the split may move within a request, the device's memory is always reserved first, so
    that no two requests wait for each other, and the edge's when a split first needs it. Of several edges, a
    request without a reservation at any uses the reachable one with the fewest requests.

    Not modelled: releasing an end's memory when the split has moved away from it.

    Departures from the paper are numbered in docs/scenarios/rl_split.md.
    """

    to: Names = Field(description="Edge device, group, or a list of either")
    splits: Splits = Field(
        (),
        description="Allowed numbers of blocks on the device, 0 (all at the edge) to all; default: all "
        "between that fit both memories, since either end stores every block that it may need",
    )
    policy: str = Field(
        "oracle",
        description="How the split is chosen: fixed; greedy (quality and load at the present loss); "
        "oracle (largest expected utility, given channel, queues, times and the table); "
        "threshold (the first split up to that loss, else the last); random; bandit (UCB1 by ranges of "
        "loss); trained (by reinforcement learning before the first run, and kept; needs edgesim[rl]); "
        "shipped:NAME (a policy shipped with edgesim, `edgesim list policies`); or a policy's file "
        "(*.safetensors)",
    )
    split: int | None = Field(
        None, ge=0, description="The split of `fixed`; default: the middle one, at which the others start"
    )
    decide: Decide = Field("request", description="When to decide: per request, per token, or every n tokens")
    actions: Literal["absolute", "relative"] = Field(
        "absolute",
        description="Whether a trained policy's action is a split, or a move by up to four of the allowed "
        "ones (stay, -1, +1, -2, +2, …)",
    )
    moving: Moving = Field(
        "cheaper",
        description="How the split moves within a request: transfer of the moved blocks' KV caches, "
        "recompute of all positions, or the faster of the two at the time (cheaper)",
    )
    see: tuple[Seen, ...] | Literal["published", "all"] = Field(
        "published", description="Observations of a policy: published (loss, split), all, or a list of names"
    )
    lost: Literal["elements", "packets"] = Field(
        "elements",
        description="What is missing of hidden states where transport blocks are lost: elements "
        "(interleaved over all transport blocks) or packets (runs of 64 elements)",
    )
    threshold: float = Field(0.1, ge=0, le=1, description="Largest loss of the first split, by `threshold`")
    utility: Weights = Field(Weights(), description="Weights of the utility of greedy, oracle and bandit")

    learning: Learning = Field(Learning(), description="Settings of the training of `policy: trained`")

    @field_validator("see", mode="before")
    @classmethod
    def _listed(cls, value: object) -> object:
        return tuple(value) if isinstance(value, list) else value

    @model_validator(mode="after")
    def _fits(self) -> Self:
        if self.policy == "bandit" and self.decide != "request":
            raise ValueError("policy: bandit learns from whole requests; set 'decide: request'")
        is_named = self.policy == _TRAINED or self.policy.startswith(SHIPPED)
        if self.policy not in _RULES and not is_named and not self.policy.endswith(".safetensors"):
            raise ValueError(
                f"policy: '{self.policy}' is none of {', '.join(_RULES)}, {_TRAINED}, no shipped policy "
                f"({SHIPPED}NAME), and no policy file (*.safetensors)"
            )
        return self

    @property
    def names(self) -> tuple[str, ...]:
        """Names of the observations, in order."""
        if self.see == "published":
            return PUBLISHED
        return Seen.__args__ if self.see == "all" else tuple(self.see)  # type: ignore[attr-defined]

    @property
    def kind(self) -> str:
        """Kind of impairment that losses count as."""
        return "erasure" if self.lost == "elements" else "packet-erasure"

    # --- before time zero ------------------------------------------------------------------------------

    def place(self, model: Architecture, fleet: Fleet) -> Both:
        """Place the blocks that may be needed on both ends."""
        placement = lay_out(model, fleet, self.to, self.splits)
        if self.split is not None and self.split not in placement.splits:
            raise PlacementError(
                f"rl_split: split {self.split} is none of the allowed {', '.join(map(str, placement.splits))}"
            )
        policy = self._policy(placement, model)
        if policy is None:
            return placement
        worth = self.utility.model_dump()
        if fleet.quality is None:
            del worth["quality"]  # without measured answers it has no effect
        options = {"lost": self.lost, "decide": self.decide, "moving": self.moving}
        remark = remark_on(policy, self.policy, options=options, worth=worth)
        texts = (placement.remark_text, remark)
        return replace(placement, remark_text="; ".join(filter(None, texts)))

    def _policy(self, placement: Both, model: Architecture) -> Policy | None:
        """Return the trained policy, checked; None for rules, and if it is yet to be trained."""
        if self.policy in _RULES or self.needs_training:
            return None
        return load_policy(
            self.policy,
            actions=self.actions,
            splits=placement.splits,
            n_actions=len(self._moves(placement)),
            names=self.names,
            n_blocks=model.n_blocks,
        )

    @property
    def needs_training(self) -> bool:
        """Whether the policy must be trained first."""
        return self.policy == _TRAINED

    def training(self, placement: Both, model: Architecture, fleet: Fleet) -> Training:
        """Return the specification of the training of this decision."""
        return training_of(
            self.names,
            weights=self.utility,
            learning=self.learning,
            actions=self.actions,
            moves=self._moves(placement),
            splits=placement.splits,
            n_blocks=model.n_blocks,
            clean_nll=None if fleet.quality is None else fleet.quality.clean.nll,
            n_most_tokens=fleet.extent.n_tokens,
        )

    @property
    def options_beside_training(self) -> frozenset[str]:
        """Options of rules, and those that :meth:`training` covers itself."""
        return frozenset({"threshold", "split", "utility", "learning", "see", "splits", "actions"})

    def _fixed(self, splits: tuple[int, ...]) -> int:
        return splits[len(splits) // 2] if self.split is None else self.split

    def with_policy(self, file: Path) -> RlSplit:
        """Return a copy that decides by a policy file."""
        return self.model_copy(update={"policy": str(file)})

    def _moves(self, placement: Both) -> tuple[int, ...]:
        """Return, for each action, the index of a split, or the number of indices to move."""
        n_splits = len(placement.splits)
        if self.actions == "absolute":
            return tuple(range(n_splits))
        reach = min(4, n_splits - 1)
        return (0, *(sign * step for step in range(1, reach + 1) for sign in (-1, 1)))

    def begin(self, placement: Both, model: Architecture, fleet: Fleet) -> Run:
        """Return the state of a new run, with no earlier splits."""
        mover = Mover(model, fleet, self.moving)
        try:
            policy = self._policy(placement, model)
        except PlacementError as error:  # the policy was valid when blocks were placed
            raise InputError(str(error)) from error
        return Run(
            fleet,
            Estimates(model, fleet, mover, self.utility, self.kind),
            mover,
            policy,
            Bandit(len(placement.splits)),
            {},
        )

    # --- a request -------------------------------------------------------------------------------------

    def serve(self, request: LiveRequest, cluster: Cluster, placement: Both, run: Run) -> Serving:
        """For each token: decide, compute before the split, send, and compute after it."""
        n_blocks, device = run.mover.model.n_blocks, request.source
        splits = placement.splits
        split = run.last.get(device, splits[len(splits) // 2])
        losses = Losses(self.kind)
        chosen_at_loss, arm, is_answered = 0.0, 0, False
        every = {"request": request.n_output_tokens, "token": 1}.get(str(self.decide), self.decide)
        assert isinstance(every, int)
        holds_device = every < request.n_output_tokens and max(splits) > 0
        edge, is_there = placement.edges[0], False
        try:
            for token in request.tokens():
                if token.index % every == 0:
                    before = split
                    if not is_there or split == n_blocks:  # no block of the request is at the edge
                        chosen = _edge(cluster, device, placement.edges, edge if is_there else None)
                        edge, is_there = chosen, is_there and chosen == edge
                    seen = self._seen(request, cluster, edge, split, token, is_there, run)
                    at = Situation(cluster, request, edge, split, splits, seen, _reach(request, token))
                    arm = yield from self._decided(at, placement, run)
                    split, chosen_at_loss = splits[arm], seen["loss"]
                    needed = ((device,) if split or holds_device else ()) + (
                        (edge,) if split < n_blocks else ()
                    )
                    yield from cluster.admit(request, needed)
                    is_there = is_there or edge in needed
                    if token.index and split != before:
                        is_new = yield from run.mover.move(request, cluster, edge, before, split, token)
                        if is_new:
                            losses.recomputed()
                yield from serve_token(request, cluster, edge, split, token, losses, n_blocks)
            is_answered = True
        finally:
            if self.policy == "bandit":
                reward = -self.utility.failure
                if is_answered:
                    reward = self._worth(request, cluster, losses, split, run)
                run.bandit.learn(chosen_at_loss, arm, reward)
        run.last[device] = split

    def _seen(
        self,
        request: LiveRequest,
        cluster: Cluster,
        edge: str,
        split: int,
        token: Token,
        is_there: bool,
        run: Run,
    ) -> dict[str, float]:
        names = self.names if run.policy is None else run.policy.record.observations or self.names
        battery = run.fleet.device(request.source).battery
        return dict(
            look(
                cluster,
                request,
                edge,
                split,
                capacity_j=None if battery is None else battery.capacity_j,
                n_done=token.index,
                is_there=is_there,
                is_published=set(names) <= set(PUBLISHED),
            )
        )

    def _decided(self, at: Situation, placement: Both, run: Run) -> Generator[Any, Any, int]:
        """Take a decision, or have an agent take it; return the index of a split."""
        moves, n_splits = self._moves(placement), len(at.splits)
        here = at.splits.index(at.split)
        is_relative = self.actions == "relative"
        targets = [here + move if is_relative else move for move in moves]
        allowed = [0 <= target < n_splits for target in targets]
        names = self.names if run.policy is None else run.policy.record.observations or self.names
        seen = [at.seen[name] for name in names]

        def choose() -> int:
            if run.policy is not None:
                return run.policy.act(seen, allowed)
            if self.needs_training:
                raise StrategyError(
                    "rl_split: 'policy: trained' must be trained before it can decide; 'edgesim run' does "
                    "so on first use, 'edgesim train' writes a file that 'policy' can name"
                )
            wanted = self._by_rule(at, run)
            near = [
                abs(target - wanted) if ok else np.inf for target, ok in zip(targets, allowed, strict=True)
            ]
            return int(np.argmin(near))

        action = yield from at.cluster.ask(
            "split", seen, choose, n_actions=len(moves), allowed=allowed, request=at.request
        )
        return targets[action]

    def _by_rule(self, at: Situation, run: Run) -> int:
        match self.policy:
            case "greedy":
                return greedy(at, run.estimates)
            case "oracle":
                return oracle(at, run.estimates)
            case "threshold":
                return by_threshold(at, self.threshold)
            case "random":
                return int(at.cluster.random("split", at.request).integers(len(at.splits)))
            case "bandit":
                return run.bandit.choose(at.seen["loss"])
            case _:
                return at.splits.index(self._fixed(at.splits))

    def _worth(self, request: LiveRequest, cluster: Cluster, losses: Losses, split: int, run: Run) -> float:
        """Return a request's utility as its device estimates it: quality by the table, time by its clock.

        Energy is counted as planned.
        """
        weights, n_blocks = self.utility, run.mover.model.n_blocks
        worth = float(run.estimates.greedy(losses.level(split), (split,))[0])
        worth -= weights.latency_per_s * (cluster.now_s - request.arrived_at_s)
        if split and weights.energy_per_j:
            part = Slice(0, split, embedding=True, head=split == n_blocks)
            power = run.fleet.device(request.source).power
            worth -= weights.energy_per_j * run.fleet.request_seconds(request.source, part) * power.active_w
        return worth


def _edge(cluster: Cluster, device: str, edges: tuple[str, ...], reserved: str | None) -> str:
    """Return the edge to run the blocks after the split: the one with a reservation, if it is reachable.

    Otherwise the reachable one with the fewest requests; if none is reachable, the first in that order.
    """
    if len(edges) == 1:
        return edges[0]
    view = cluster.observe()
    ranked = sorted(edges, key=lambda one: (one != reserved, view.n_requests(one), view.work_s(one)))
    return next((one for one in ranked if view.can_reach(device, one)), ranked[0])


def _reach(request: LiveRequest, token: Token) -> Reach:
    """Return the remaining passes of the request."""
    return Reach(token.n_new, token.n_context, request.n_output_tokens - 1 - token.index)
