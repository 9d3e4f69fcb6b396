"""Sizes by hand; work against sums written out token by token."""

from __future__ import annotations

import json
from pathlib import Path

import pytest
from small_models import LLAMA, SMALL

from edgesim.errors import InputError
from edgesim.model.architecture import Architecture, Component, Slice

TINYLLAMA = {
    "model_type": "llama",
    "hidden_size": 2048,
    "intermediate_size": 5632,
    "num_hidden_layers": 22,
    "num_attention_heads": 32,
    "num_key_value_heads": 4,
    "vocab_size": 32000,
    "max_position_embeddings": 2048,
}
GPT2_SMALL = {
    "model_type": "gpt2",
    "n_embd": 768,
    "n_layer": 12,
    "n_head": 12,
    "n_positions": 1024,
    "vocab_size": 50257,
}


def test_published_sizes() -> None:
    tinyllama = Architecture.from_config(TINYLLAMA, name="tinyllama", dtype="bfloat16")

    assert tinyllama.n_parameters == 1_100_048_384  # huggingface.co/TinyLlama/TinyLlama-1.1B-Chat-v1.0
    assert tinyllama.weight_bytes(tinyllama.whole) == 2 * 1_100_048_384
    assert tinyllama.activation_bytes(10) == 10 * 2048 * 2


def test_slices_of_an_untied_model_store_what_the_whole_stores(llama: Architecture) -> None:
    parts = [Slice(0, 2, embedding=True), Slice(2, 5), Slice(5, 6, head=True)]

    assert sum(map(llama.weight_bytes, parts)) == llama.weight_bytes(llama.whole)


def test_a_tied_matrix_is_stored_once_together_and_twice_apart(gpt2: Architecture) -> None:
    table_bytes = gpt2.vocab_size * gpt2.hidden_size * 4
    apart = gpt2.weight_bytes(Slice(0, 4, embedding=True)) + gpt2.weight_bytes(Slice(4, 4, head=True))

    assert apart - gpt2.weight_bytes(gpt2.whole) == table_bytes


def test_a_device_holds_a_tied_matrix_once_however_its_parts_are_cut(
    gpt2: Architecture, llama: Architecture
) -> None:
    """As a pipeline's starter does: the embedding with the first blocks, the head as a part of its own."""
    n = gpt2.n_blocks
    first, last = Slice(0, 1, embedding=True), Slice(n, n, head=True)
    table_bytes = gpt2.vocab_size * gpt2.hidden_size * 4
    both = gpt2.weight_bytes(first) + gpt2.weight_bytes(last)

    assert gpt2.parts_bytes((first, last)) == gpt2.parts_bytes((last, first)) == both - table_bytes
    assert gpt2.parts_bytes((first, Slice(1, n), last)) == gpt2.weight_bytes(gpt2.whole)
    assert gpt2.parts_bytes((first,)) == gpt2.weight_bytes(first)  # and the last stage alone its own copy
    assert gpt2.parts_bytes((last,)) == gpt2.weight_bytes(last)
    assert gpt2.parts_bytes(()) == 0
    untied = (Slice(0, 1, embedding=True), Slice(llama.n_blocks, llama.n_blocks, head=True))
    assert llama.parts_bytes(untied) == sum(map(llama.weight_bytes, untied))


def test_attention_flop_are_the_sum_over_what_each_token_sees(llama: Architecture) -> None:
    n_new, n_context, batch = 5, 11, 3
    h, q, kv = 64, 64, 16
    flop = 0
    for token in range(n_new):
        n_seen = n_context + token + 1
        flop += 2 * h * (q + kv + kv) + 2 * q * h  # projections
        flop += 2 * q * n_seen + 2 * q * n_seen  # scores, and the mix of values
    work = llama.work(Component.ATTENTION, batch=batch, n_new=n_new, n_context=n_context)

    assert work.flop == batch * flop


@pytest.mark.parametrize(("n_new", "n_context"), [(5, 0), (5, 6), (20, 0), (1, 30), (9, 8)])
def test_in_a_sliding_window_a_token_sees_no_more_than_the_window_holds(n_new: int, n_context: int) -> None:
    window, q = 8, 64
    plain, windowed, half_windowed = (
        Architecture.from_config(LLAMA | {"head_dim": 8} | more, name="model", dtype="float32")
        for more in (
            {},
            {"model_type": "mistral", "sliding_window": window},
            {"model_type": "gemma2", "sliding_window": window},
        )
    )
    n_out_of_sight = sum(max(0, n_context + i - window) for i in range(1, n_new + 1))
    flop, flop_windowed, flop_half = (
        model.work(Component.ATTENTION, batch=2, n_new=n_new, n_context=n_context).flop
        for model in (plain, windowed, half_windowed)
    )

    assert flop - flop_windowed == 2 * 4 * q * n_out_of_sight
    assert flop_half == (flop + flop_windowed) / 2  # every other block has a window, and a block is the mean
    assert windowed.kv_bytes_per_token(6) == plain.kv_bytes_per_token(6)  # nothing is counted as evicted


def test_in_an_encoder_every_token_sees_all() -> None:
    bert = Architecture.from_config(SMALL["bert"], name="bert", dtype="float32")
    by_token = sum(2 * 64 * 64 * 4 + 4 * 64 * 7 for _ in range(7))  # projections; pairs with all seven

    assert bert.work(Component.ATTENTION, batch=3, n_new=7, n_context=0).flop == 3 * by_token
    # The head works on the first token: a square matrix and two labels.
    assert bert.work(Component.HEAD, batch=3, n_new=7, n_context=0).flop == 3 * 2 * 64 * (64 + 2)


def test_requests_that_a_model_cannot_serve_are_refused_with_the_reason() -> None:
    llama = Architecture.from_config(LLAMA, name="small-llama", dtype="float32")
    bert = Architecture.from_config(SMALL["bert"], name="small-bert", dtype="float32")
    fits = {"n_prompt_tokens": 256, "n_output_tokens": 1, "n_tokens": 257}

    assert bert.refusal(**fits) is None  # the answer is no part of the text
    assert "257 tokens is drawn, more than the context of small-llama, 256" in str(llama.refusal(**fits))
    assert llama.refusal(n_prompt_tokens=250, n_output_tokens=6, n_tokens=256) is None
    refused = bert.refusal(n_prompt_tokens=8, n_output_tokens=3, n_tokens=11)
    assert "3 output tokens is drawn, but small-bert is an encoder" in str(refused)


def test_decoding_in_steps_computes_what_one_prefill_computes(llama: Architecture) -> None:
    at_once = llama.work(Component.BLOCK, batch=1, n_new=12, n_context=0).flop
    in_steps = sum(llama.work(Component.BLOCK, batch=1, n_new=1, n_context=n).flop for n in range(12))

    assert at_once == in_steps


def test_a_decoding_step_moves_the_weights_and_the_cache(llama: Architecture) -> None:
    near, far = (llama.work(Component.BLOCK, batch=1, n_new=1, n_context=n).moved_bytes for n in (0, 1000))

    assert near > llama.weight_bytes(Slice(0, 1))
    assert far - near == 1000 * llama.kv_bytes_per_token()


def test_the_head_works_on_the_last_position_only(llama: Architecture) -> None:
    assert {llama.work(Component.HEAD, batch=1, n_new=n, n_context=0).flop for n in (1, 50)} == {2 * 64 * 500}


def test_digest_depends_on_shape_and_number_format_but_not_on_provenance() -> None:
    def digest(config: dict[str, object], *, name: str = "a", dtype: str = "float32") -> str:
        return Architecture.from_config(config, name=name, dtype=dtype).digest

    same = digest(TINYLLAMA)
    assert same == digest(TINYLLAMA | {"transformers_version": "5.0"}, name="b")
    assert same == digest(dict(reversed(TINYLLAMA.items())))
    assert len({same, digest(TINYLLAMA, dtype="float16"), digest(TINYLLAMA | {"vocab_size": 32001})}) == 3


def test_slices_name_what_they_hold() -> None:
    named = [Slice(0, 5, embedding=True), Slice(5, 12), Slice(3, 4), Slice(9, 9, head=True), Slice(0, 0)]

    assert list(map(str, named)) == ["embedding+0-4", "5-11", "3", "head", "nothing"]


@pytest.mark.parametrize(("first", "last"), [(-1, 2), (3, 2)])
def test_a_slice_that_runs_backwards_is_refused(first: int, last: int) -> None:
    with pytest.raises(ValueError, match="first"):
        Slice(first, last)


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"model_type": "mamba"}, "supports llama, mistral"),
        ({"hidden_size": None}, "has no hidden_size"),
        ({"hidden_size": 0}, "hidden_size is 0"),
        ({"vocab_size": "32000"}, "vocab_size is '32000'"),
        ({"tie_word_embeddings": "yes"}, "expected true or false"),
        ({"num_key_value_heads": 5}, "num_key_value_heads 5"),
    ],
)
def test_a_config_that_cannot_be_used_says_why(change: dict[str, object], message: str) -> None:
    with pytest.raises(InputError, match=message):
        Architecture.from_config(TINYLLAMA | change, name="broken", dtype="float32")


def test_an_unknown_dtype_is_refused() -> None:
    with pytest.raises(InputError, match="float32, float16, bfloat16"):
        Architecture.from_config(TINYLLAMA, name="model", dtype="int4")


def test_a_folder_is_read_by_its_config_json(tmp_path: Path) -> None:
    (tmp_path / "config.json").write_text(json.dumps(TINYLLAMA))

    read = Architecture.from_path(tmp_path, dtype="float16")
    assert (read.name, read.n_blocks) == (tmp_path.name, 22)
    assert read == Architecture.from_path(tmp_path / "config.json", dtype="float16")


@pytest.mark.parametrize(("content", "message"), [("{", "not JSON"), ("[]", "a list; expected the JSON")])
def test_a_file_that_is_no_config_is_refused(tmp_path: Path, content: str, message: str) -> None:
    file = tmp_path / "config.json"
    file.write_text(content)
    with pytest.raises(InputError, match=message):
        Architecture.from_path(file, dtype="float16")


def test_a_missing_folder_is_refused(tmp_path: Path) -> None:
    with pytest.raises(InputError, match="no model config at"):
        Architecture.from_path(tmp_path / "absent", dtype="float16")
