"""State of a worker process, and the execution of its orders."""

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
from edgesim.measure.real.generation_loops import alone, follow, generated, lead, rested
from edgesim.measure.real.interleaved_profile import Gauge
from edgesim.measure.real.part import Part
from edgesim.measure.real.ring_socket import LinkShaping, Receiver, Sender, accepted, connected, listening
from edgesim.measure.real.sums import Sums, barrier, join, leave
from edgesim.measure.real.weights import cut_to_shard, trained_model, untrained_model
from edgesim.model.architecture import Architecture

__all__ = ["Workshop"]

_TOKENS_BEFORE = 2  # tokens of the short answer that a single device gives before the timed one
_DTYPE = "float32"  # in which the shards' sums agree within 1e-4 and the tokens exactly


@dataclass(frozen=True, slots=True)
class _Loaded:
    """A model, whole or a part of it."""

    model: Any
    part: Part | None
    sums: Sums | None


class Workshop:
    """Stores models, gauges of their profiles, and connections to a ring and a group."""

    def __init__(self) -> None:
        torch.set_num_threads(1)
        torch.set_num_interop_threads(1)
        self._loaded: dict[str, _Loaded] = {}
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
            "rest": self._rest,
            "logits": self._logits,
            "gauge": self._gauge,
            "prompt": self._prompt,
            "round": self._round,
            "profile": self._profile,
        }

    def obey(self, order: dict[str, Any]) -> dict[str, Any]:
        """Execute an order and return its answer."""
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
        self._loaded[order["as"]] = _Loaded(model, part, sums)
        return {}

    def _part(self, order: dict[str, Any]) -> Part:
        part = self._loaded[order["model"]].part
        assert part is not None, "the order does not fit this kind of model"
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
        """Generate after another, short answer; with a gauge's visits between the tokens if requested."""
        gauge = self._gauges[order["gauge"]] if order.get("gauge") else None
        between = None if gauge is None else gauge.after_token
        model, prompt = self._loaded[order["model"]].model, order["prompt"]
        generated(model, prompt, _TOKENS_BEFORE)
        return generated(model, prompt, order["n_out"], between)

    def _alone(self, order: dict[str, Any]) -> dict[str, Any]:
        return alone(self._part(order), order["prompt"], order["n_out"])

    def _lead(self, order: dict[str, Any]) -> dict[str, Any]:
        return lead(self._part(order), order["prompts"], order["n_out"], *self._ends(order))

    def _follow(self, order: dict[str, Any]) -> dict[str, Any]:
        return follow(self._part(order), *self._ends(order))

    def _together(self, order: dict[str, Any]) -> dict[str, Any]:
        """Generate as a member of a group: with sums, or each member with its own part only."""
        sums = self._loaded[order["model"]].sums
        assert sums is not None, "the order does not fit this kind of model"
        sums.is_on, sums.rests_s, sums.instants_s = order["sums"], order.get("rests_s", ()), []
        barrier()
        found = alone(self._part(order), order["prompt"], order["n_out"])
        return {**found, "sums_s": sums.instants_s}

    def _rest(self, order: dict[str, Any]) -> dict[str, Any]:
        """Time passes of a part after sleeps, and without."""
        return rested(self._part(order), order["n_prompt"], order["rests_s"], order["head_rests_s"])

    @torch.inference_mode()
    def _logits(self, order: dict[str, Any]) -> dict[str, Any]:
        """Write the logits after a prompt into a file."""
        loaded, ids = self._loaded[order["model"]], torch.tensor([order["prompt"]])
        if loaded.sums is not None:
            loaded.sums.is_on = True
        if loaded.part is None:
            found = loaded.model(ids).logits[:, -1]
        else:
            found = loaded.part.logits(loaded.part.run(loaded.part.cache(), ids, 0))
        np.save(Path(order["file"]), found.numpy(), allow_pickle=False)
        return {}

    def _gauge(self, order: dict[str, Any]) -> dict[str, Any]:
        """Start measuring a profile."""
        self._gauges[order["as"]] = Gauge(
            _architecture(order),
            Grid(**{key: tuple(values) for key, values in order["grid"].items()}),
            fastest=order["fastest"],
            seed=order["seed"],
            most_blocks=order.get("most_blocks"),
        )
        return {}

    def _prompt(self, order: dict[str, Any]) -> dict[str, Any]:
        """Measure a prompt of a profile once more."""
        self._gauges[order["gauge"]].prompt()
        return {}

    def _round(self, order: dict[str, Any]) -> dict[str, Any]:
        """Measure every point of a profile once more."""
        self._gauges[order["gauge"]].round(order["rest_s"])
        return {}

    def _profile(self, order: dict[str, Any]) -> dict[str, Any]:
        """Write a profile into a file and discard its gauge."""
        self._gauges.pop(order["gauge"]).profile().save(Path(order["file"]))
        return {}


def _architecture(order: dict[str, Any]) -> Architecture:
    return Architecture.from_config(json.loads(order["config"]), name=order["name"], dtype=_DTYPE)
