"""Do the parts add up? Measured components against a real end-to-end `generate`, in one process.

For two small models, one of the Llama and one of the GPT-2 family, a profile is measured as always, and
between its rounds the full model (random weights) generates from a prompt, greedily: one prefill and 32
decoding steps. The profile's sum of embedding, blocks, head and generation step over these 33 passes is
printed beside the measured time.

Both sides use the statistic of the profile, the median of the fastest quarter of the repeats: for each
component there, for each of the 33 passes here. The plain median over whole generations is printed too; on
a quiet machine the two agree.

    python benchmarks/sum_of_parts.py [--budget 30] [--threads 2]

The exit status is 1 if a sum is off by more than seven per cent.
"""

from __future__ import annotations

import argparse
import json
import sys
from dataclasses import dataclass, field
from math import ceil
from time import perf_counter
from typing import Any

import numpy as np
import torch
from transformers import AutoModelForCausalLM
from transformers.models.auto.configuration_auto import CONFIG_MAPPING

from edgesim.measure.grid import Grid
from edgesim.measure.host import default_threads
from edgesim.measure.timing import measure_profile
from edgesim.model.architecture import Architecture
from edgesim.model.profile import Profile

N_PROMPT, N_DECODE = 64, 32
TOLERANCE = 0.07

MODELS: dict[str, dict[str, object]] = {
    "llama-56m": {
        "model_type": "llama",
        "hidden_size": 512,
        "intermediate_size": 1376,
        "num_hidden_layers": 8,
        "num_attention_heads": 8,
        "num_key_value_heads": 4,
        "vocab_size": 32000,
        "max_position_embeddings": 2048,
    },
    "gpt2-30m": {
        "model_type": "gpt2",
        "n_embd": 512,
        "n_layer": 6,
        "n_head": 8,
        "n_positions": 1024,
        "vocab_size": 20000,
        "bos_token_id": 1,
        "eos_token_id": 2,
    },
}


@dataclass
class EndToEnd:
    """A whole real model that generates when called, and remembers when each token came."""

    architecture: Architecture
    model: Any = field(init=False)
    prompt: torch.Tensor = field(init=False)
    runs_s: list[list[float]] = field(default_factory=list)
    """``[run][pass]``"""

    def __post_init__(self) -> None:
        config = CONFIG_MAPPING[self.architecture.family].from_dict(json.loads(self.architecture.config))
        self.model = AutoModelForCausalLM.from_config(config, dtype=torch.float32).eval()
        self.prompt = torch.randint(3, self.architecture.vocab_size, (1, N_PROMPT))
        self()
        self.runs_s.clear()

    def __call__(self) -> None:
        streamer = _Instants()
        began = perf_counter()
        self.model.generate(
            self.prompt,
            attention_mask=torch.ones_like(self.prompt),
            do_sample=False,
            min_new_tokens=1 + N_DECODE,
            max_new_tokens=1 + N_DECODE,
            pad_token_id=0,
            streamer=streamer,
        )
        instants = [began, *streamer.instants[1:-1], perf_counter()]  # the prompt comes first, unasked
        self.runs_s.append(list(np.diff(instants)))

    @property
    def undisturbed_s(self) -> float:
        """Sum over the passes of each pass's median over the fastest quarter of the runs."""
        runs_s = np.sort(np.array(self.runs_s), axis=0)  # [run, pass], each pass on its own
        return float(np.median(runs_s[: ceil(len(runs_s) / 4)], axis=0).sum())

    @property
    def median_s(self) -> float:
        """Median over whole runs."""
        return float(np.median([sum(run) for run in self.runs_s]))


class _Instants:
    """A streamer that keeps nothing of a token but when it came."""

    def __init__(self) -> None:
        self.instants: list[float] = []

    def put(self, _: torch.Tensor) -> None:
        self.instants.append(perf_counter())

    def end(self) -> None:
        pass


def predicted_s(profile: Profile) -> float:
    """Sum the parts over one prefill and the decoding steps behind it."""
    timing, whole = profile.timing(), profile.architecture.whole
    contexts = N_PROMPT + np.arange(N_DECODE)
    prefill_s = timing.seconds(whole, batch=1, n_new=N_PROMPT, n_context=0)
    return float(prefill_s) + float(timing.seconds(whole, batch=1, n_new=1, n_context=contexts).sum())


def compare(name: str, *, budget_s: float, threads: int) -> tuple[EndToEnd, Profile]:
    """Measure the parts and the whole of one model, in turns."""
    architecture = Architecture.from_config(MODELS[name], name=name, dtype="float32")
    torch.set_num_threads(threads)
    whole = EndToEnd(architecture)
    profile = measure_profile(
        architecture,
        threads=threads,
        device="cpu",
        grid=Grid.covering(N_PROMPT, N_PROMPT + N_DECODE).within(architecture),
        budget_s=budget_s,
        between_rounds=lambda: (whole(), whole()),
    )
    return whole, profile


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__.partition("\n")[0])
    parser.add_argument("--budget", type=float, default=30.0, help="seconds for the parts of each model")
    parser.add_argument("--threads", type=int, default=default_threads())
    arguments = parser.parse_args()
    worst = 0.0
    print("model      parameters  sum of parts  end to end   error  (plain median of the runs)")
    for name in MODELS:
        whole, profile = compare(name, budget_s=arguments.budget, threads=arguments.threads)
        error = predicted_s(profile) / whole.undisturbed_s - 1
        worst = max(worst, abs(error))
        n_millions = profile.architecture.n_parameters / 1e6
        print(
            f"{name:<10} {n_millions:>7.1f} M  {predicted_s(profile) * 1e3:>9.1f} ms"
            f"  {whole.undisturbed_s * 1e3:>7.1f} ms  {error:>+6.1%}  ({whole.median_s * 1e3:.1f} ms of"
            f" {len(whole.runs_s)}; other programs used {profile.host['other_load_cores']} cores)"
        )
    return int(worst > TOLERANCE)


if __name__ == "__main__":
    sys.exit(main())
