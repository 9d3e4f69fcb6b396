"""What an iteration of continuous batching that mixes decode steps and a prompt really takes.

A stack of Llama blocks passes a prompt and several decode steps together: all tokens through the same matrix
products, so that the weights are read once, and attention apart for each. That is compared with what edgesim
charges (decode steps ride along for the slope of the batch axis over its upper half, see
:meth:`edgesim.engine.device.price.Price.rider`) and with the sum of the two passes. Times are the least
processor time of several repeats, on one thread.

    python benchmarks/mixed_iteration.py [--hidden 1024] [--blocks 12] [--repeats 7]
"""

from __future__ import annotations

import argparse
import time
from collections.abc import Callable
from dataclasses import dataclass

import torch
from rich.console import Console
from rich.table import Table
from torch import Tensor
from torch.nn.functional import rms_norm, scaled_dot_product_attention, silu

HEAD_DIM, N_CONTEXT, MAX_BATCH = 64, 256, 16
MIXES = ((1, 16), (4, 16), (8, 16), (4, 64), (8, 64), (15, 64), (8, 256), (15, 256))


@dataclass(frozen=True)
class Block:
    """Weights of one block, and the keys and values of the decoding requests."""

    qkv: Tensor
    out: Tensor
    gate_up: Tensor
    down: Tensor
    keys: Tensor  # [batch, head, context, dim]
    values: Tensor

    @classmethod
    def drawn(cls, hidden: int) -> Block:
        mlp = hidden * 11 // 4
        shapes = ((hidden, 3 * hidden), (hidden, hidden), (hidden, 2 * mlp), (mlp, hidden))
        cache = (MAX_BATCH, hidden // HEAD_DIM, N_CONTEXT, HEAD_DIM)
        return cls(*(0.02 * torch.randn(shape) for shape in shapes), torch.randn(cache), torch.randn(cache))

    def __call__(self, x: Tensor, n_prompt: int) -> Tensor:
        """Pass ``[token, hidden]``: a prompt of so many tokens, and one token each of decoding requests."""
        qkv = rms_norm(x, x.shape[1:]) @ self.qkv
        seen = [self._prefill(qkv[:n_prompt])] if n_prompt else []
        seen += [self._decode(qkv[n_prompt:])] if n_prompt < len(x) else []
        x = x + torch.cat(seen) @ self.out
        gate, up = (rms_norm(x, x.shape[1:]) @ self.gate_up).chunk(2, -1)
        return x + (silu(gate) * up) @ self.down

    def _prefill(self, qkv: Tensor) -> Tensor:
        query, key, value = (t.view(1, len(qkv), -1, HEAD_DIM).transpose(1, 2) for t in qkv.chunk(3, -1))
        attended = scaled_dot_product_attention(query, key, value, is_causal=True)
        return attended.transpose(1, 2).reshape(len(qkv), -1)

    def _decode(self, qkv: Tensor) -> Tensor:
        n = len(qkv)
        query, key, value = (t.view(n, 1, -1, HEAD_DIM).transpose(1, 2) for t in qkv.chunk(3, -1))
        keys, values = torch.cat([self.keys[:n], key], 2), torch.cat([self.values[:n], value], 2)
        return scaled_dot_product_attention(query, keys, values).transpose(1, 2).reshape(n, -1)


def least_s(work: Callable[[], object], repeats: int) -> float:
    work()
    times_s = []
    for _ in range(repeats):
        began_s = time.process_time()
        work()
        times_s.append(time.process_time() - began_s)
    return min(times_s)


def main() -> None:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--hidden", type=int, default=1024)
    parser.add_argument("--blocks", type=int, default=12)
    parser.add_argument("--repeats", type=int, default=7)
    asked = parser.parse_args()
    torch.manual_seed(0)
    torch.set_num_threads(1)
    blocks = [Block.drawn(asked.hidden) for _ in range(asked.blocks)]

    def seconds(n_prompt: int, n_decodes: int) -> float:
        def run() -> None:
            x = torch.randn(n_prompt + n_decodes, asked.hidden)
            for block in blocks:
                x = block(x, n_prompt)

        return least_s(run, asked.repeats)

    table = Table(title=f"{asked.blocks} blocks of hidden size {asked.hidden}, decodes at {N_CONTEXT}")
    for heading in ("decodes", "prompt", "together ms", "charged ms", "error", "two passes ms", "error"):
        table.add_column(heading, justify="right")
    with torch.inference_mode():
        steps_s = {n: seconds(0, n) for n in sorted({MAX_BATCH // 2, MAX_BATCH, *(n for n, _ in MIXES)})}
        rider_s = max(0.0, (steps_s[MAX_BATCH] - steps_s[MAX_BATCH // 2]) / (MAX_BATCH - MAX_BATCH // 2))
        prompts_s = {p: seconds(p, 0) for p in sorted({p for _, p in MIXES})}
        for n, p in MIXES:
            together_s, both_s = seconds(p, n), prompts_s[p] + steps_s[n]
            charged_s = min(max(prompts_s[p] + n * rider_s, steps_s[n]), both_s)
            row = [f"{n}", f"{p}", f"{1e3 * together_s:.1f}"]
            for compared_s in (charged_s, both_s):
                row += [f"{1e3 * compared_s:.1f}", f"{compared_s / together_s - 1:+.1%}"]
            table.add_row(*row)
    Console().print(table)


if __name__ == "__main__":
    main()
