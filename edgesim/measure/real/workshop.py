"""What a worker process has at hand, and what each order makes it do."""

from __future__ import annotations

import json
import socket
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import torch

from edgesim.errors import InputError
from edgesim.measure.grid import Grid
from edgesim.measure.real.gauge import Gauge
from edgesim.measure.real.loops import alone, follow, generated, lead
from edgesim.measure.real.part import Part
from edgesim.measure.real.ring_socket import LinkShaping, Receiver, Sender, accepted, connected, listening
from edgesim.measure.real.sums import Sums, in_step, join, leave
from edgesim.measure.real.weights import cut_to_shard, trained_model, untrained_model
from edgesim.model.architecture import Architecture

__all__ = ["Workshop"]

_DTYPE = "float32"  # in which shards' sums are equal to 1e-4, and tokens the same


@dataclass(frozen=True, slots=True)
class _Held:
    """A model, whole or a part of it."""

    model: Any
    part: Part | None
    sums: Sums | None


class Workshop:
    """Holds models, gauges of their profiles, a place in a ring and one in a group."""

    def __init__(self) -> None:
        torch.set_num_threads(1)
        torch.set_num_interop_threads(1)
        self._held: dict[str, _Held] = {}
        self._gauges: dict[str, Gauge] = {}
        self._listener: socket.socket | None = None
        self._sender: Sender | None = None
        self._receiver: Receiver | None = None
        self._orders: dict[str, Callable[[dict[str, Any]], dict[str, Any]]] = {
            "hold": self._hold,
            "listen": self._listen,
            "connect": self._connect,
            "accept": self._accept,
            "join": self._join,
            "generate": self._generate,
            "alone": self._alone,
            "lead": self._lead,
            "follow": self._follow,
            "together": self._together,
            "logits": self._logits,
            "gauge": self._gauge,
            "round": self._round,
            "profile": self._profile,
        }

    def obey(self, order: dict[str, Any]) -> dict[str, Any]:
        """Do what is ordered, and give what it came to."""
        if order.get("do") not in self._orders:
            raise InputError(f"order {order.get('do')!r}; expected one of {', '.join(self._orders)}")
        return self._orders[order["do"]](order)

    # --- models -------------------------------------------------------------------------------------------

    def _hold(self, order: dict[str, Any]) -> dict[str, Any]:
        """Build a model; keep it whole, or some of its blocks, or a shard of each."""
        architecture = _architecture(order)
        if trained := order.get("trained"):
            model = trained_model(trained)
        else:
            model = untrained_model(architecture, order["seed"])
        part, sums = None, None
        if shard := order.get("shard"):
            cut_to_shard(model, architecture, *shard)
            sums = Sums(model, architecture.family)
        if blocks := order.get("blocks"):
            part = Part(model, architecture.family, *blocks)
        self._held[order["as"]] = _Held(model, part, sums)
        return {}

    def _part(self, order: dict[str, Any]) -> Part:
        part = self._held[order["model"]].part
        assert part is not None, "an order of another kind of model"
        return part

    # --- the ring and the group ---------------------------------------------------------------------------

    def _listen(self, order: dict[str, Any]) -> dict[str, Any]:
        self._listener = listening()
        return {"port": self._listener.getsockname()[1]}

    def _connect(self, order: dict[str, Any]) -> dict[str, Any]:
        if self._sender is not None:
            self._sender.close()
        self._sender = connected(order["port"], order["secret"])
        return {}

    def _accept(self, order: dict[str, Any]) -> dict[str, Any]:
        assert self._listener is not None
        if self._receiver is not None:
            self._receiver.close()
        self._receiver = accepted(self._listener, order["secret"])
        return {}

    def _join(self, order: dict[str, Any]) -> dict[str, Any]:
        leave()
        join(order["file"], order["rank"], order["n_members"])
        return {}

    def _ends(self, order: dict[str, Any]) -> tuple[Sender, Receiver]:
        assert self._sender is not None
        assert self._receiver is not None
        rate_bps, latency_s = order.get("shape") or (float("inf"), 0.0)
        self._sender.reshape(LinkShaping(rate_bps, latency_s))
        return self._sender, self._receiver

    # --- work ---------------------------------------------------------------------------------------------

    def _generate(self, order: dict[str, Any]) -> dict[str, Any]:
        """Generate, if so ordered with a gauge's visits between the tokens."""
        model, between = self._held[order["model"]].model, None
        if name := order.get("gauge"):
            gauge = self._gauges[name]

            def between(n_tokens: int) -> None:
                if n_tokens == 1:
                    gauge.after_prompt()
                else:
                    gauge.after_token()

        return generated(model, order["prompt"], order["n_out"], between)

    def _alone(self, order: dict[str, Any]) -> dict[str, Any]:
        return alone(self._part(order), order["prompt"], order["n_out"])

    def _lead(self, order: dict[str, Any]) -> dict[str, Any]:
        return lead(self._part(order), order["prompts"], order["n_out"], *self._ends(order))

    def _follow(self, order: dict[str, Any]) -> dict[str, Any]:
        return follow(self._part(order), *self._ends(order))

    def _together(self, order: dict[str, Any]) -> dict[str, Any]:
        """Generate as a member of a group: with sums, or each member its own part without them."""
        sums = self._held[order["model"]].sums
        assert sums is not None, "an order of another kind of model"
        sums.is_on, sums.instants_s = order["sums"], []
        in_step()
        found = alone(self._part(order), order["prompt"], order["n_out"])
        return {**found, "sums_s": sums.instants_s}

    @torch.inference_mode()
    def _logits(self, order: dict[str, Any]) -> dict[str, Any]:
        """Write the logits behind a prompt into a file."""
        held, ids = self._held[order["model"]], torch.tensor([order["prompt"]])
        if held.sums is not None:
            held.sums.is_on = True
        if held.part is None:
            found = held.model(ids).logits[:, -1]
        else:
            found = held.part.logits(held.part.run(held.part.cache(), ids, 0))
        np.save(Path(order["file"]), found.numpy(), allow_pickle=False)
        return {}

    def _gauge(self, order: dict[str, Any]) -> dict[str, Any]:
        """Begin to measure a profile."""
        self._gauges[order["as"]] = Gauge(
            _architecture(order),
            Grid(**{key: tuple(values) for key, values in order["grid"].items()}),
            fastest=order["fastest"],
            seed=order["seed"],
        )
        return {}

    def _round(self, order: dict[str, Any]) -> dict[str, Any]:
        """Measure every point of a profile once more."""
        self._gauges[order["gauge"]].round()
        return {}

    def _profile(self, order: dict[str, Any]) -> dict[str, Any]:
        """Write a profile into a file; its gauge has served."""
        self._gauges.pop(order["gauge"]).profile().save(Path(order["file"]))
        return {}


def _architecture(order: dict[str, Any]) -> Architecture:
    return Architecture.from_config(json.loads(order["config"]), name=order["name"], dtype=_DTYPE)
