"""Models are loaded from safetensors, without code that lies beside them, or refused with the way out."""

from __future__ import annotations

import json
import pickle
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

import pytest

torch = pytest.importorskip("torch")

from safetensors.torch import load_file, save_file  # noqa: E402
from tiny_language_models import END, save_tiny  # noqa: E402

from edgesim.errors import InputError  # noqa: E402
from edgesim.measure.exit_heads import ExitHeads  # noqa: E402
from edgesim.measure.language_model import load_language_model  # noqa: E402
from edgesim.measure.model_folder import folder_digest, model_folder, model_name  # noqa: E402
from edgesim.measure.text import read_text  # noqa: E402


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    save_tiny(tmp_path / "model")
    return tmp_path / "model"


def rewrite(file: Path, **changes: object) -> None:
    file.write_text(json.dumps(json.loads(file.read_text()) | changes))


@pytest.mark.parametrize("family", ["llama", "gpt2", "opt", "phi"])
def test_what_is_loaded_is_what_was_saved(tmp_path: Path, family: str) -> None:
    saved = save_tiny(tmp_path, family)
    loaded = load_language_model(tmp_path)
    tokens = torch.arange(12)[None]

    assert torch.equal(loaded.model(tokens).logits, saved.model(tokens).logits)
    assert not loaded.model.training
    assert not any(parameter.requires_grad for parameter in loaded.model.parameters())
    assert loaded.tokenizer.encode(END + "Grüße") == saved.tokenizer.encode(END + "Grüße")
    assert (loaded.name, loaded.n_blocks, loaded.exits) == (tmp_path.name, 2, None)
    assert loaded.digest == folder_digest(tmp_path)


def test_half_precision_is_widened(folder: Path) -> None:
    weights = {name: value.half() for name, value in load_file(folder / "model.safetensors").items()}
    save_file(weights, folder / "model.safetensors", metadata={"format": "pt"})
    rewrite(folder / "config.json", dtype="float16")
    loaded = load_language_model(folder).model

    assert {parameter.dtype for parameter in loaded.parameters()} == {torch.float32}


@pytest.mark.parametrize("name", ["pytorch_model.bin", "weights.pt", "model.ckpt"])
def test_a_folder_of_pickles_is_refused_unread_and_told_how_to_convert(folder: Path, name: str) -> None:
    class Trap:
        def __reduce__(self) -> tuple[object, ...]:
            return (Path.touch, (folder / "sprung",))

    (folder / "model.safetensors").unlink()
    (folder / name).write_bytes(pickle.dumps(Trap()))
    with pytest.raises(InputError, match=r"pickles only.*save_pretrained"):
        load_language_model(folder)
    assert not (folder / "sprung").exists()


def test_an_index_that_names_a_pickle_is_refused(folder: Path) -> None:
    (folder / "model.safetensors").rename(folder / "model-1.safetensors")
    for name in ("pytorch_model.bin", "../model-1.safetensors"):
        index = {"metadata": {}, "weight_map": {"lm_head.weight": name}}
        (folder / "model.safetensors.index.json").write_text(json.dumps(index))
        with pytest.raises(InputError, match="expected safetensors files beside it"):
            load_language_model(folder)


def test_weights_in_several_files_are_loaded(tmp_path: Path) -> None:
    saved = save_tiny(tmp_path / "whole")
    saved.model.save_pretrained(tmp_path / "parts", max_shard_size="100KB")
    saved.tokenizer.save_pretrained(tmp_path / "parts")
    loaded = load_language_model(tmp_path / "parts")
    tokens = torch.arange(12)[None]

    assert not (tmp_path / "parts" / "model.safetensors").exists()
    assert torch.equal(loaded.model(tokens).logits, saved.model(tokens).logits)


def test_code_beside_a_model_is_not_run(folder: Path) -> None:
    code = f"import pathlib\npathlib.Path({str(folder / 'sprung')!r}).touch()\n"
    (folder / "trap.py").write_text(code)
    autos = {"AutoConfig": "trap.Config", "AutoModelForCausalLM": "trap.Model"}
    rewrite(folder / "config.json", auto_map=autos)
    rewrite(folder / "tokenizer_config.json", auto_map={"AutoTokenizer": ["trap.Tokens", None]})
    assert load_language_model(folder).n_blocks == 2  # a known family: its own classes serve
    rewrite(folder / "config.json", model_type="of-my-own")
    with pytest.raises(InputError, match="model 'model'"):
        load_language_model(folder)
    assert not (folder / "sprung").exists()


@pytest.mark.parametrize(
    ("spoil", "says"),
    [
        (lambda folder: (folder / "config.json").unlink(), "no config.json"),
        (lambda folder: (folder / "model.safetensors").unlink(), "no model.safetensors"),
        (lambda folder: (folder / "model.safetensors").write_bytes(b"12"), "cannot load"),
        (lambda folder: (folder / "exits.safetensors").write_bytes(b"12"), "not a safetensors file"),
        (lambda folder: rewrite(folder / "config.json", model_type="bert"), "family 'bert'"),
        (lambda folder: (folder / "exits.json").write_text("{"), "not valid JSON"),
        (lambda folder: (folder / "exits.json").write_text('{"blocks": [2]}'), "inner blocks"),
        (lambda folder: (folder / "exits.json").write_text('{"temperatures": [1]}'), "temperatures"),
        (lambda folder: (folder / "exits.json").write_text('{"temperatures": [1, 0]}'), "positive"),
        (
            lambda folder: save_file(
                ExitHeads([1], hidden_size=8).state_dict(), folder / "exits.safetensors"
            ),
            "do not fit",
        ),
        (lambda folder: save_file({"a": torch.ones(1)}, folder / "exits.safetensors"), "no exit heads"),
        (lambda folder: (folder / "exits.json").write_text('{"blocks": null}'), "no numbers"),
        (lambda folder: (folder / "exits.json").write_text('{"blocks": [1.5]}'), "no numbers"),
        (lambda folder: (folder / "exits.json").write_text('{"temperatures": ["a"]}'), "no numbers"),
        (lambda folder: (folder / "config.json").write_text("[]"), "is no object"),
        (lambda folder: rewrite(folder / "config.json", hidden_size="a"), "cannot read its config"),
        (lambda folder: rewrite(folder / "config.json", hidden_act="nope"), "cannot load"),
        (lambda folder: (folder / "tokenizer.json").write_text("{}"), "cannot load"),
        (lambda folder: (folder / "adapter_config.json").write_text("{}"), "adapter"),
        (
            lambda folder: rewrite(
                folder / "config.json", quantization_config={"quant_method": "awq", "bits": 4}
            ),
            r"weights are quantised \(quantization_config\).* in 16 or 32 bits",
        ),
        (
            lambda folder: rewrite(folder / "config.json", num_hidden_layers=3),
            "its weights lack model.layers.2",
        ),
        (lambda folder: rewrite(folder / "config.json", num_hidden_layers=1), "no place for model.layers.1"),
    ],
)
def test_a_folder_that_holds_no_whole_model_is_refused(
    folder: Path, spoil: Callable[[Path], object], says: str
) -> None:
    spoil(folder)
    with pytest.raises(InputError, match=says):
        load_language_model(folder)


def test_weights_of_another_name_than_those_that_are_checked_are_refused(folder: Path) -> None:
    """Transformers would follow the entry, to a pickle if it names one."""
    (folder / "model.safetensors").rename(folder / "other.safetensors")
    save_file({"lm_head.weight": torch.ones(1)}, folder / "model.safetensors")
    for name in ("other.safetensors", "other.safetensors.index.json"):
        rewrite(folder / "config.json", transformers_weights=name)
        with pytest.raises(InputError, match="transformers_weights"):
            model_folder(folder)


def test_a_weight_that_is_missing_is_no_random_one(folder: Path) -> None:
    weights = load_file(folder / "model.safetensors")
    del weights["model.layers.1.self_attn.q_proj.weight"]
    save_file(weights, folder / "model.safetensors", metadata={"format": "pt"})
    with pytest.raises(
        InputError, match=r"its weights lack model\.layers\.1\.self_attn\.q_proj\.weight \(1 "
    ):
        load_language_model(folder)


def test_a_tokenizer_of_another_model_is_refused(folder: Path) -> None:
    loaded = load_language_model(folder)
    loaded.model.config.vocab_size = 100
    with pytest.raises(InputError, match=r"its tokenizer returns token \d+, but its vocabulary has 100"):
        loaded.tokens(read_text("bundled"))


def test_a_name_that_is_nothing_is_refused() -> None:
    with pytest.raises(InputError, match="no such folder; give 'bundled'"):
        load_language_model("no-such-model")


def test_exits_are_read_where_they_lie(folder: Path) -> None:
    assert load_language_model(folder).exit_blocks == (1,)
    heads = ExitHeads([1], hidden_size=64)
    heads["1"].projection.weight.data.normal_()
    plain = folder_digest(folder)
    save_file(
        {name: value.half() for name, value in heads.state_dict().items()}, folder / "exits.safetensors"
    )
    (folder / "exits.json").write_text(json.dumps({"blocks": [1], "temperatures": [1.5, 1.25]}))
    loaded = load_language_model(folder)

    assert loaded.exits is not None
    assert loaded.exits.blocks == loaded.exit_blocks == (1,)
    assert loaded.temperatures == (1.5, 1.25)
    read, written = loaded.exits["1"].projection.weight, heads["1"].projection.weight
    assert torch.equal(read, written.half().float())
    assert folder_digest(folder) != plain


@pytest.mark.parametrize(
    "file", ["config.json", "model.safetensors", "tokenizer.json", "tokenizer_config.json"]
)
def test_the_digest_changes_with_what_decides_answers(folder: Path, file: str) -> None:
    before = folder_digest(folder)
    (folder / "README.md").write_text("about")
    assert folder_digest(folder) == before
    content = (folder / file).read_bytes()
    (folder / file).write_bytes(content[:-1] + bytes([content[-1] ^ 1]))
    assert folder_digest(folder) != before


def test_names_are_told_from_folders(folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    assert model_name("bundled") == "bundled"
    assert model_name("some/model") == "some/model"
    monkeypatch.chdir(folder.parent.parent)
    local = f"{folder.parent.name}/{folder.name}"  # looks like a name on the Hub, but lies here
    assert model_name(local) == "model"
    assert model_folder(local) == Path(local)


def test_folders_are_found_and_told_apart_without_importing_torch(folder: Path) -> None:
    program = (
        "import sys\n"
        "from edgesim.measure.model_folder import folder_digest, model_folder\n"
        "import edgesim.measure.text\n"
        f"folder_digest(model_folder({str(folder)!r}))\n"
        "assert not {'torch', 'transformers'} & set(sys.modules)\n"
    )
    subprocess.run([sys.executable, "-c", program], check=True)


def test_no_pickle_and_no_code_is_fetched_from_the_hub(folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    from fnmatch import fnmatch

    asked: dict[str, list[str]] = {}

    def fetch(name: str, *, allow_patterns: list[str], ignore_patterns: list[str]) -> str:
        asked.update(name=[name], allow=allow_patterns, ignore=ignore_patterns)
        return str(folder)

    monkeypatch.setattr("huggingface_hub.snapshot_download", fetch)
    loaded = load_language_model("some/model")

    def is_fetched(file: str) -> bool:
        return any(fnmatch(file, each) for each in asked["allow"]) and not any(
            fnmatch(file, each) for each in asked["ignore"]
        )

    assert (loaded.name, asked["name"]) == ("some/model", ["some/model"])
    assert all(is_fetched(file.name) for file in folder.iterdir())
    assert is_fetched("model-00001-of-00002.safetensors")
    assert not any(map(is_fetched, ("pytorch_model.bin", "model.pt", "modeling_some.py", "original/a.json")))


def test_a_model_that_the_hub_does_not_give_is_refused(monkeypatch: pytest.MonkeyPatch) -> None:
    def fail(*_: object, **__: object) -> str:
        raise OSError("no connection\nand more")

    monkeypatch.setattr("huggingface_hub.snapshot_download", fail)
    with pytest.raises(InputError, match=r"did not return it \(no connection\)"):
        load_language_model("some/model")
