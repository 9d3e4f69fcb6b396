"""A model in parts and in shards computes what the whole model does."""

from __future__ import annotations

import copy
from typing import Any

import numpy as np
import pytest
from small_models import GPT2, LLAMA

torch = pytest.importorskip("torch")

from edgesim.errors import InputError  # noqa: E402
from edgesim.measure.places import MODULE_PATHS  # noqa: E402
from edgesim.measure.real.generation_loops import alone, generated  # noqa: E402
from edgesim.measure.real.part import Part  # noqa: E402
from edgesim.measure.real.weights import cut_to_shard, untrained_model  # noqa: E402
from edgesim.model.architecture import Architecture  # noqa: E402

PROMPT = [7, 200, 31, 4, 99, 250, 18]
QWEN2 = LLAMA | {"model_type": "qwen2"}  # its projections to queries, keys and values have biases
CONFIGS = [LLAMA, GPT2, QWEN2]


def architecture(config: dict[str, object]) -> Architecture:
    return Architecture.from_config(config, name="small", dtype="float32")


def drawn(config: dict[str, object]) -> Any:
    """A model whose biases are drawn as well: those of a fresh one are zero, and would hide mistakes."""
    model = untrained_model(architecture(config), seed=3)
    generator = torch.Generator().manual_seed(4)
    with torch.no_grad():
        for name, weight in model.named_parameters():
            if name.endswith("bias"):
                weight.normal_(0.0, 0.1, generator=generator)
    return model


def test_weights_are_the_same_wherever_they_are_drawn_and_no_two_rows_alike() -> None:
    torch.manual_seed(1)
    one = drawn(LLAMA)
    torch.manual_seed(2)
    other = drawn(LLAMA)
    for name, weight in one.named_parameters():
        assert torch.equal(weight, other.get_parameter(name))
    table = one.get_input_embeddings().weight
    assert len(torch.unique(table, dim=0)) == len(table)


@torch.inference_mode()
@pytest.mark.parametrize("config", CONFIGS, ids=lambda config: str(config["model_type"]))
@pytest.mark.parametrize("cut", [1, 2, 3])
def test_two_stages_with_caches_of_their_own_are_the_model(config: dict[str, object], cut: int) -> None:
    family, n_blocks = str(config["model_type"]), architecture(config).n_blocks
    model = drawn(config)
    first, second = (Part(copy.deepcopy(model), family, *blocks) for blocks in ((0, cut), (cut, n_blocks)))
    ids = torch.tensor([[*PROMPT, 5, 6]])
    caches, n_context = (first.cache(), second.cache()), 0
    for given in (ids[:, :-2], ids[:, -2:-1], ids[:, -1:]):
        states = second.run(caches[1], first.run(caches[0], given, n_context), n_context)
        n_context += given.shape[1]

    expected = model(ids).logits[:, -1]
    np.testing.assert_allclose(first.logits(states), expected, atol=1e-5)
    assert first.ready_at_s >= first.embedding_at_s > 0.0


@pytest.mark.parametrize("config", CONFIGS, ids=lambda config: str(config["model_type"]))
def test_the_loop_of_rings_gives_the_tokens_of_generate(config: dict[str, object]) -> None:
    model, n_blocks = drawn(config), architecture(config).n_blocks
    part = Part(copy.deepcopy(model), str(config["model_type"]), 0, n_blocks)
    model.generation_config.eos_token_id = None

    looped, told = alone(part, PROMPT, 8), generated(model, PROMPT, 8)
    assert looped["ids"] == told["ids"]
    assert len(set(told["ids"][0])) > 1  # a model that only repeats itself would not tell
    for run in (looped, told):
        (instants,) = run["emitted_at_s"]
        assert len(instants) == 8
        assert [run["began_at_s"], *instants] == sorted([run["began_at_s"], *instants])


@torch.inference_mode()
@pytest.mark.parametrize("config", CONFIGS, ids=lambda config: str(config["model_type"]))
def test_the_sum_of_shards_is_each_half_of_a_block(config: dict[str, object]) -> None:
    """Both halves of a block, given the same states: the shards' results add up to the whole's."""
    wanted, places = architecture(config), MODULE_PATHS[str(config["model_type"])]
    whole = drawn(config)
    shards = []
    for rank in range(2):
        shards.append(copy.deepcopy(whole))
        cut_to_shard(shards[-1], wanted, rank, 2)
    found: dict[tuple[int, str], Any] = {}

    def keep(number: int, path: str, result: Any) -> Any:
        """Note what a projection gave; shards go on with the whole model's result, as if they had summed."""
        found[number, path] = result
        return None if number == 0 else found[0, path]

    for number, model in enumerate((whole, *shards)):
        for index, block in enumerate(model.get_submodule(places.blocks)):
            for path in places.summed:
                block.get_submodule(path).register_forward_hook(
                    lambda _, __, result, number=number, path=f"{index}.{path}": keep(number, path, result)
                )
        logits = model(torch.tensor([PROMPT])).logits[:, -1]
        if number == 0:
            expected = logits
    paths = {path for _, path in found}
    assert len(paths) == 2 * wanted.n_blocks
    for path in paths:
        np.testing.assert_allclose(found[1, path] + found[2, path], found[0, path], atol=1e-5)
        assert (found[1, path] - found[0, path]).abs().max() > 1e-3
    np.testing.assert_allclose(logits, expected, atol=1e-5)


def test_kv_heads_are_not_held_twice_and_unknown_families_not_run_in_parts() -> None:
    with pytest.raises(InputError, match="4 members for 2 KV heads"):
        cut_to_shard(drawn(LLAMA), architecture(LLAMA), 0, 4)
    with pytest.raises(InputError, match="family 'opt' cannot be run in parts"):
        Part(None, "opt", 0, 1)
