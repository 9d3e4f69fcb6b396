"""Odd configs: what is measured of them is what their shape says, whatever else they say."""

from __future__ import annotations

import dataclasses
import json
from pathlib import Path
from typing import Any

import pytest
from small_models import LLAMA, SMALL

torch = pytest.importorskip("torch")
transformers = pytest.importorskip("transformers")

from transformers.activations import ACT2FN  # noqa: E402  torch comes first
from transformers.models.auto.configuration_auto import CONFIG_MAPPING  # noqa: E402

from edgesim.errors import InputError  # noqa: E402
from edgesim.measure.modules import build, shortened  # noqa: E402
from edgesim.model.architecture import Architecture, Slice  # noqa: E402
from edgesim.model.families import FAMILIES  # noqa: E402
from edgesim.model.timed_config import ACTIVATIONS  # noqa: E402
from edgesim.scenario import catalogue  # noqa: E402

SU = {"type": "su", "short_factor": [1.0], "long_factor": [1.2]}


def read(config: dict[str, object], dtype: str = "float32") -> Architecture:
    return Architecture.from_config(config, name="odd", dtype=dtype)


def n_parameters(module: Any) -> int:
    return sum(parameter.numel() for parameter in module.parameters())


RUNTIME: dict[str, object] = {
    "_attn_implementation": "flash_attention_2",
    "attn_implementation": "flash_attention_3",
    "return_dict": False,
    "use_cache": "sometimes",
    "output_attentions": True,
    "output_hidden_states": True,
    "torchscript": True,
    "gradient_checkpointing": 5,
    "use_return_dict": False,
    "dtype": "klingon",
    "torch_dtype": 5,
    "auto_map": {"AutoConfig": "evil.Config"},
}


@pytest.mark.parametrize("key", RUNTIME)
def test_keys_that_say_how_to_run_a_model_have_no_say(key: str) -> None:
    """Nor in where its profile is kept: the digest is that of the config without the key."""
    plain, told = read(LLAMA), read(LLAMA | {key: RUNTIME[key]})
    assert told.digest == plain.digest
    with torch.inference_mode():
        answer = build(told, n_blocks=1, device="cpu")(torch.ones((1, 3), dtype=torch.long))
    assert answer.logits.shape == (1, 3, 500)
    assert answer.past_key_values is not None


ODD: list[dict[str, object]] = [
    {"rope_scaling": SU},
    {"rope_scaling": {"type": "nobody knows"}},
    {"rope_scaling": {"rope_type": "longrope"}},
    {"rope_scaling": {}},
    {"rope_parameters": {"rope_type": "llama3"}},
    {"rope_theta": "x"},
    {"rope_theta": -1},
    {"initializer_range": -1},
    {"attention_dropout": "x"},
    {"pad_token_id": 10**6},
    {"pad_token_id": "x"},
    {"bos_token_id": [1]},
    {"eos_token_id": {"a": 1}},
    {"pretraining_tp": "x"},
    {"id2label": 5},
    {"label2id": 5},
    {"problem_type": 7},
    {"is_encoder_decoder": "x"},
    {"pruned_heads": 5},
    {"vocab_file": 5},
    {"quantization_config": None},
    {"tokenizer_class": 5},
    {"name_or_path": 5},
    {"base_model_tp_plan": 5},
]


@pytest.mark.parametrize("odd", ODD, ids=str)
def test_what_has_no_say_in_times_cannot_keep_a_model_from_being_measured(odd: dict[str, object]) -> None:
    architecture = read(LLAMA | odd)
    model = build(architecture, n_blocks=1, device="cpu")
    n_of_slice = architecture.weight_bytes(Slice(0, 1, embedding=True, head=True)) / 4
    assert n_parameters(model) == n_of_slice


REFUSED: list[tuple[dict[str, object], str]] = [
    ({"hidden_act": "evil"}, "hidden_act is 'evil'"),
    ({"hidden_act": 5}, "hidden_act is 5"),
    ({"rms_norm_eps": "x"}, "rms_norm_eps"),
    ({"rms_norm_eps": float("nan")}, "rms_norm_eps"),
    ({"rope_scaling": "x"}, "rope_scaling is 'x'"),
    ({"rope_scaling": {"type": "yarn", "factor": "x"}}, "factor"),
    ({"rope_scaling": {"type": "linear", "factor": float("nan")}}, "factor"),
    ({"partial_rotary_factor": 3}, "partial_rotary_factor"),
    ({"rope_parameters": {"partial_rotary_factor": "x"}}, "rope_parameters"),
    ({"layer_types": 5}, "layer_types"),
    ({"layer_types": ["x"] * 6}, "layer_types"),
    ({"head_dim": 15}, "in pairs"),
    ({"hidden_size": 8}, "in pairs"),
    ({"model_type": ["llama"]}, "model_type"),
    ({"model_type": {"a": 1}}, "model_type"),
    ({"num_hidden_layers": 10**9}, "num_hidden_layers"),
    ({"vocab_size": 10**400}, "vocab_size"),
    ({"num_local_experts": 8}, "mixture of experts"),
    ({"attention_bias": "x"}, "attention_bias"),
]


@pytest.mark.parametrize(("odd", "message"), REFUSED, ids=lambda value: str(value)[:40])
def test_what_no_model_can_be_built_with_is_one_sentence(odd: dict[str, object], message: str) -> None:
    with pytest.raises(InputError, match=message) as found:
        read(LLAMA | odd)
    assert "\n" not in str(found.value)
    assert len(str(found.value)) < 400


def test_heads_need_not_divide_the_hidden_size_where_theirs_is_stated() -> None:
    """2,086,984,704 parameters: by hand, 128,259 x 1,792 + 32 blocks + one normalisation, tied."""
    said = {
        "model_type": "llama", "hidden_size": 1792, "num_attention_heads": 24, "num_key_value_heads": 8,
        "head_dim": 128, "num_hidden_layers": 32, "intermediate_size": 8064, "vocab_size": 128_259,
        "max_position_embeddings": 32_768, "tie_word_embeddings": True,
    }  # fmt: skip
    architecture = read(said, "float16")
    assert architecture.n_parameters == 2_086_984_704
    assert architecture.kv_bytes_per_token(32) == 32 * 2 * 8 * 128 * 2 == 131_072
    tiny = read(LLAMA | {"hidden_size": 60, "head_dim": 16})
    model = build(tiny, n_blocks=1, device="cpu")
    with torch.inference_mode():
        cache = model(torch.ones((1, 7), dtype=torch.long), use_cache=True).past_key_values
    assert n_parameters(model.model.layers[0]) == tiny.component_parameters("block")  # type: ignore[arg-type]
    assert (
        sum(layer.keys.nbytes + layer.values.nbytes for layer in cache.layers)
        == 7 * tiny.kv_bytes_per_token()
    )


@pytest.mark.parametrize("family", FAMILIES)
def test_what_a_config_leaves_out_is_what_transformers_class_takes(family: str) -> None:
    """Down to a config of nothing but its family, as LLaVA's text part leaves the sizes of Llama 7B."""
    traits, fields = FAMILIES[family], {f.name: f.default for f in dataclasses.fields(CONFIG_MAPPING[family])}
    for key, value in traits.defaults.items():
        if key in fields:
            assert fields[key] == value, key
    with torch.device("meta"):
        auto = transformers.AutoModelForCausalLM if traits.is_causal else None
        auto = auto or transformers.AutoModelForSequenceClassification
        model = auto.from_config(CONFIG_MAPPING[family]())
    assert read({"model_type": family}).n_parameters == n_parameters(model)


def test_activations_are_those_that_transformers_has_names_for() -> None:
    assert set(ACTIVATIONS) == set(ACT2FN)


@pytest.mark.parametrize("name", catalogue.models())
def test_a_model_is_measured_as_transformers_reads_its_whole_config(name: str) -> None:
    """Every field of its config but special tokens, the number of blocks and what depends on it."""
    said = catalogue.models()[name].config
    architecture = read(said)
    whole = CONFIG_MAPPING[architecture.family].from_dict(said).to_dict()
    mine = (
        CONFIG_MAPPING[architecture.family]
        .from_dict(shortened(architecture, architecture.n_blocks))
        .to_dict()
    )
    others = {"bos_token_id", "eos_token_id", "pad_token_id", "rope_parameters", "head_dim", "num_labels",
              "id2label", "label2id", "max_window_layers", "layer_types"}  # fmt: skip
    told = {key: value for key, value in whole.items() if key not in others and value is not None}
    assert told.items() <= mine.items(), {k: (v, mine.get(k)) for k, v in told.items() if mine.get(k) != v}
    share = (whole.get("rope_parameters") or {}).get("partial_rotary_factor")
    assert share == (mine.get("rope_parameters") or {}).get("partial_rotary_factor")


def test_a_context_stretched_by_yarn_is_as_long_as_servers_allow() -> None:
    yarn = {"type": "yarn", "factor": 4.0, "original_max_position_embeddings": 32_768}
    base = SMALL["qwen2"] | {"max_position_embeddings": 32_768}
    assert read(base | {"rope_scaling": yarn}).max_context == 131_072
    assert read(base | {"rope_parameters": yarn | {"rope_type": "yarn"}}).max_context == 131_072
    assert read(base | {"rope_scaling": {"type": "linear", "factor": 2}}).max_context == 65_536
    # Llama 3.1 and Phi 3 state what they reach; so does Gemma 3, whose factor says how.
    for stated in ({"rope_type": "llama3", "factor": 8.0}, SU):
        assert read(base | {"rope_scaling": stated}).max_context == 32_768
    gemma = SMALL["gemma3_text"] | {"rope_scaling": {"rope_type": "linear", "factor": 8.0}}
    assert read(gemma).max_context == 256


def test_a_model_larger_than_this_machines_memory_is_refused_before_it_is_tried() -> None:
    huge = read(LLAMA | {"vocab_size": 1 << 26, "hidden_size": 1 << 19, "num_attention_heads": 1 << 12})
    with pytest.raises(InputError, match="GB are free here"):
        build(huge, n_blocks=1, device="cpu")


@pytest.mark.parametrize("content", ["[" * 100_000, "{" + '"a":[' * 5000, "9" * 9999, "", "\x00", '{"a": '])
def test_a_file_that_is_no_config_is_one_sentence(tmp_path: Path, content: str) -> None:
    file = tmp_path / "config.json"
    file.write_text(content)
    with pytest.raises(InputError, match="expected the JSON object"):
        Architecture.from_path(file, dtype="float32")


def test_a_config_may_begin_with_a_byte_order_mark(tmp_path: Path) -> None:
    (tmp_path / "config.json").write_bytes(b"\xef\xbb\xbf" + json.dumps(LLAMA).encode())
    assert Architecture.from_path(tmp_path, dtype="float32").n_blocks == 6


@pytest.mark.parametrize("target", ["/dev/zero", "config.json", "/"])
def test_a_link_to_what_is_no_file_is_refused(tmp_path: Path, target: str) -> None:
    (tmp_path / "config.json").symlink_to(target)
    with pytest.raises(InputError, match="config"):
        Architecture.from_path(tmp_path, dtype="float32")
