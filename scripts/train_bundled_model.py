#!/usr/bin/env python3
"""Train the small language model that ships with edgesim, its tokenizer and its early exits.

    scripts/train_bundled_model.py [--out FOLDER] [--steps 1800] [--device cpu]
    scripts/train_bundled_model.py --judge    (fit temperatures and measure exits)
    scripts/train_bundled_model.py --plot docs/images/bundled_model.png    (of the training that was)

Forty minutes to an hour on two cores. The text is that of the Python that runs
(:mod:`edgesim.measure.corpus`), so the same Python, torch and seed give the same model; another Python's text
differs a little, and so does what is learned from it. Trunk and exits learn jointly: the loss is the last
head's cross-entropy plus 0.3 times that of each exit (weighted losses, as in BranchyNet, Teerapittayanon et
al. 2016, arXiv 1709.01686).
"""

from __future__ import annotations

import argparse
import json
import math
import platform
import time
from collections.abc import Callable, Mapping
from dataclasses import asdict
from pathlib import Path
from typing import Any

import torch
from safetensors.torch import save_file
from tokenizers import Tokenizer, decoders, models, pre_tokenizers, trainers
from torch import nn
from torch.nn.functional import cross_entropy, dropout
from transformers import LlamaConfig, LlamaForCausalLM, PreTrainedTokenizerFast

from edgesim.measure.corpus import digest, python_corpus
from edgesim.measure.exit_heads import ExitHeads
from edgesim.measure.exits import calibrated, exit_quality, save_exits
from edgesim.measure.language_model import load_language_model
from edgesim.measure.text import Text

HIDDEN, WIDTH, BLOCKS, HEADS, KV_HEADS, VOCABULARY = 208, 576, 8, 8, 4, 2048
EXITS = (2, 4, 6)
EXIT_WEIGHT = 0.3
LENGTH = 256  # tokens of a training sequence
END = "<|endoftext|>"  # before every document


def main() -> None:
    options = _options()
    if options.judge:
        _judge(options.out)
        return
    if options.plot is not None:
        _plot(options.out, options.plot)
        return
    torch.manual_seed(options.seed)
    corpus = python_corpus()
    tokenizer = _train_tokenizer(corpus.train)
    stream = _tokens(tokenizer, corpus.train).to(options.device)
    held_out = _tokens(tokenizer, corpus.calibration).to(options.device)
    n_bytes = sum(len(text.encode()) for text in corpus.calibration.values())

    model = LlamaForCausalLM(
        LlamaConfig(
            vocab_size=VOCABULARY,
            hidden_size=HIDDEN,
            intermediate_size=WIDTH,
            num_hidden_layers=BLOCKS,
            num_attention_heads=HEADS,
            num_key_value_heads=KV_HEADS,
            max_position_embeddings=LENGTH,  # rotary positions beyond those that were learned are useless
            rms_norm_eps=1e-5,
            tie_word_embeddings=True,
            bos_token_id=0,
            eos_token_id=0,
        )
    ).to(options.device)
    exits = ExitHeads(EXITS, hidden_size=HIDDEN).to(options.device)
    _drop(model, options.dropout)
    n_parameters = sum(p.numel() for p in model.parameters())
    print(f"{len(stream):,} tokens to learn from, {len(held_out):,} held out; {n_parameters:,} parameters")

    curve = _train(model, exits, stream, held_out, n_bytes, options)
    record = {
        "text": "pydoc_data.topics, docstrings and comments of the standard library",
        "train_sha256": digest(corpus.train),
        "calibration_sha256": digest(corpus.calibration),
        "test_sha256": digest(corpus.test),
        "n_train_tokens": len(stream),
        "python": platform.python_version(),
        "torch": torch.__version__,
        "options": {k: v for k, v in vars(options).items() if k not in ("out", "plot", "judge")},
        "curve": curve,
    }
    _save(options.out, model, exits, tokenizer, record)
    _judge(options.out)


def _judge(folder: Path) -> None:
    """Fit temperatures on the calibration text, and measure every exit on the test text."""
    corpus = python_corpus()
    texts = [Text(name, digest(part), part) for name, part in
             (("calibration", corpus.calibration), ("test", corpus.test))]  # fmt: skip
    model = calibrated(load_language_model(folder), texts[0])
    measured = [asdict(exit_) for exit_ in exit_quality(model, texts[1])]
    save_exits(model, folder, measured_on_sha256=texts[1].digest, measured=measured)
    for row in measured:
        print("  ".join(f"{name} {value:.4g}" for name, value in row.items()))


def _options() -> argparse.Namespace:
    parser = argparse.ArgumentParser(description=(__doc__ or "").partition("\n")[0])
    parser.add_argument("--out", type=Path, default=Path("edgesim/data/bundled"))
    parser.add_argument("--steps", type=int, default=1800)
    parser.add_argument("--batch", type=int, default=12, help="sequences in a step")
    parser.add_argument("--rate", type=float, default=3e-3, help="largest learning rate")
    parser.add_argument("--dropout", type=float, default=0.1)
    parser.add_argument("--seed", type=int, default=1)
    parser.add_argument("--device", default="cpu")
    parser.add_argument("--judge", action="store_true", help="calibrate the model in --out, and stop")
    parser.add_argument("--plot", type=Path, help="draw the loss curve of the model in --out, and stop")
    return parser.parse_args()


def _train_tokenizer(documents: Mapping[str, str]) -> Tokenizer:
    """Byte-level BPE: nothing is unknown to it."""
    tokenizer = Tokenizer(models.BPE())
    tokenizer.pre_tokenizer = pre_tokenizers.ByteLevel(add_prefix_space=False)
    tokenizer.decoder = decoders.ByteLevel()
    trainer = trainers.BpeTrainer(
        vocab_size=VOCABULARY,
        special_tokens=[END],
        initial_alphabet=pre_tokenizers.ByteLevel.alphabet(),
        show_progress=False,
    )
    tokenizer.train_from_iterator(documents.values(), trainer)
    return tokenizer


def _tokens(tokenizer: Tokenizer, documents: Mapping[str, str]) -> torch.Tensor:
    end = tokenizer.token_to_id(END)
    return torch.tensor([i for text in documents.values() for i in (end, *tokenizer.encode(text).ids)])


def _drop(model: LlamaForCausalLM, share: float) -> None:
    """Dropout on what attention and MLP add to the residual stream, while training only."""

    def hook(module: nn.Module, _: object, output: torch.Tensor) -> torch.Tensor:
        return dropout(output, share, training=module.training)

    for block in model.model.layers:
        block.self_attn.o_proj.register_forward_hook(hook)
        block.mlp.down_proj.register_forward_hook(hook)
    model.model.embed_tokens.register_forward_hook(hook)


def _train(
    model: LlamaForCausalLM,
    exits: ExitHeads,
    stream: torch.Tensor,
    held_out: torch.Tensor,
    n_bytes: int,
    options: argparse.Namespace,
) -> list[dict[str, object]]:
    matrices = [p for p in (*model.parameters(), *exits.parameters()) if p.ndim > 1]
    vectors = [p for p in (*model.parameters(), *exits.parameters()) if p.ndim == 1]
    groups = [{"params": matrices, "weight_decay": 0.1}, {"params": vectors, "weight_decay": 0.0}]
    optimizer = torch.optim.AdamW(groups, lr=options.rate, betas=(0.9, 0.95))
    schedule = torch.optim.lr_scheduler.LambdaLR(optimizer, _schedule(options.steps))
    draws = torch.Generator().manual_seed(options.seed)
    curve: list[dict[str, object]] = []
    started_s, lately = time.monotonic(), []
    for step in range(1, options.steps + 1):
        model.train()
        starts = torch.randint(len(stream) - LENGTH - 1, (options.batch,), generator=draws).tolist()
        batch = torch.stack([stream[start : start + LENGTH + 1] for start in starts])
        *early, last = _losses(model, exits, batch)
        loss = last + EXIT_WEIGHT * sum(early)
        optimizer.zero_grad(set_to_none=True)
        loss.backward()
        nn.utils.clip_grad_norm_([*model.parameters(), *exits.parameters()], 1.0)
        optimizer.step()
        schedule.step()
        lately.append([each.item() for each in (*early, last)])
        if step % 100 == 0 or step == options.steps:
            train = torch.tensor(lately).mean(dim=0).tolist()
            bits = [nats / math.log(2) / n_bytes for nats in _held_out_nats(model, exits, held_out)]
            curve.append({"step": step, "train_nats_per_token": train, "held_out_bits_per_byte": bits})
            lately = []
            shown = " ".join(f"{each:.3f}" for each in bits)
            print(f"{step:6} {time.monotonic() - started_s:7.0f} s  train {train[-1]:.3f} nats/token  "
                  f"held out {shown} bits/byte", flush=True)  # fmt: skip
    return curve


def _schedule(steps: int) -> Callable[[int], float]:
    """A hundred steps of warm-up, then half a cosine down to a hundredth."""
    return lambda step: min((step + 1) / 100, 0.01 + 0.99 * (1 + math.cos(math.pi * step / steps)) / 2)


def _losses(model: LlamaForCausalLM, exits: ExitHeads, batch: torch.Tensor, **how: str) -> list[torch.Tensor]:
    """Cross-entropy at every exit, the model's own head last [nats]."""
    out = model.model(batch[:, :-1], output_hidden_states=True, use_cache=False)
    targets = batch[:, 1:].flatten()
    every = [exits.logits(out.hidden_states[block], block, model.lm_head) for block in exits.blocks]
    every.append(model.lm_head(out.last_hidden_state))
    return [cross_entropy(logits.flatten(0, 1).float(), targets, **how) for logits in every]


@torch.inference_mode()
def _held_out_nats(model: LlamaForCausalLM, exits: ExitHeads, tokens: torch.Tensor) -> list[float]:
    """Nats of the whole held-out text by exit, in windows that overlap by nothing."""
    model.eval()
    totals = torch.zeros(len(exits) + 1)
    for start in range(0, len(tokens) - 1, LENGTH):
        window = tokens[start : start + LENGTH + 1][None]
        totals += torch.stack(_losses(model, exits, window, reduction="sum")).cpu()
    return totals.tolist()


def _save(
    folder: Path, model: LlamaForCausalLM, exits: ExitHeads, tokenizer: Tokenizer, record: dict[str, object]
) -> None:
    folder.mkdir(parents=True, exist_ok=True)
    model.half().cpu().save_pretrained(folder, safe_serialization=True)
    save_file({name: p.half().cpu().contiguous() for name, p in exits.state_dict().items()},
              folder / "exits.safetensors")  # fmt: skip
    fast = PreTrainedTokenizerFast(tokenizer_object=tokenizer, bos_token=END, eos_token=END)
    fast.save_pretrained(folder)
    (folder / "training.json").write_text(json.dumps(record, indent=1) + "\n", encoding="utf-8")


def _plot(folder: Path, file: Path) -> None:
    """Draw the training loss of every exit over the steps, and what it needs for held-out text at the end."""
    import matplotlib as mpl

    mpl.use("Agg")
    from matplotlib import pyplot as plt

    record: dict[str, Any] = json.loads((folder / "training.json").read_text(encoding="utf-8"))
    exits: dict[str, Any] = json.loads((folder / "exits.json").read_text(encoding="utf-8"))
    n_bytes = sum(len(text.encode()) for text in python_corpus().train.values())
    bits_per_nat = record["n_train_tokens"] / n_bytes / math.log(2)
    steps = [point["step"] for point in record["curve"]]
    figure, axes = plt.subplots(figsize=(5.0, 3.0), layout="constrained")
    for column, judged in enumerate(exits["measured"]):
        bits = [point["train_nats_per_token"][column] * bits_per_nat for point in record["curve"]]
        label = f"after {judged['block']} blocks; held out {judged['bits_per_byte']:.2f}"
        (line,) = axes.plot(steps, bits, label=label)
        axes.plot(steps[-1], judged["bits_per_byte"], "o", color=line.get_color(), clip_on=False)
    axes.set(xlabel="training step", ylabel="bits per byte", xlim=(0, steps[-1]), ylim=(1.4, 3.0))
    axes.legend(frameon=False, fontsize="small")
    axes.spines[["top", "right"]].set_visible(False)
    figure.savefig(file, dpi=120, metadata={"Software": None})


if __name__ == "__main__":
    main()
