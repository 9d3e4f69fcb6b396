"""Locate, check and digest a language model's files, without torch."""

from __future__ import annotations

import hashlib
import json
from importlib.resources import files
from pathlib import Path

from edgesim.errors import InputError
from edgesim.files import absolute, is_there, user_path
from edgesim.measure.hub import is_hub_id
from edgesim.model.quantisation.quantisation import quantisation_entry

__all__ = [
    "BUNDLED",
    "EXITS_RECORD",
    "EXITS_WEIGHTS",
    "folder_digest",
    "model_files",
    "model_folder",
    "model_name",
]

BUNDLED = "bundled"
"""Name of the model shipped with edgesim."""

EXITS_WEIGHTS = "exits.safetensors"
EXITS_RECORD = "exits.json"

_WEIGHTS, _INDEX = "model.safetensors", "model.safetensors.index.json"
_PICKLES = ("*.bin", "*.pt", "*.pth", "*.ckpt", "*.pkl")
_NEVER_WEIGHTS = ("training_args.bin", "optimizer.bin", "optimizer.pt", "scheduler.pt")
_FROM_HUB = ("*.safetensors", _INDEX, "*.json", "*.txt", "*.model")
_TOKENIZER = ("tokenizer*", "vocab.*", "merges.txt", "special_tokens_map.json", "added_tokens.json")


def model_name(model: str | Path) -> str:
    """Return a model's name in tables: ``bundled``, its folder's name, or its name on the Hub."""
    text = str(model)
    return text if text == BUNDLED or _is_on_hub(text) else absolute(user_path(Path(), text)).name


def model_folder(model: str | Path) -> Path:
    """Return the folder of a model whose weights are safetensors.

    Parameters
    ----------
    model
        ``bundled``; a folder in the Hugging Face format; or a model's name on the Hugging Face Hub, of which
        configs, tokenizer and safetensors are fetched, never a pickle or code. Files fetched earlier are also
        found offline.

    Raises
    ------
    InputError
        If there is no such folder or model, or its weights are pickles only.
    """
    text = str(model)
    if text == BUNDLED:
        return _checked(Path(str(files("edgesim").joinpath("data", "bundled"))), text)
    if _is_on_hub(text):
        return _checked(_fetched(text), text)
    return _checked(user_path(Path(), text), text)


def folder_digest(folder: Path) -> str:
    """Return the SHA-256 over the files that determine a model's answers."""
    sha = hashlib.sha256()
    for file in model_files(folder):
        with file.open("rb") as opened:
            sha.update(f"{file.name}\n{hashlib.file_digest(opened, 'sha256').hexdigest()}\n".encode())
    return sha.hexdigest()


def model_files(folder: Path) -> list[Path]:
    """Return the files that determine a model's answers, by name: config, weights, tokenizer and exits."""
    found = {folder / "config.json", *_weights(folder), folder / EXITS_WEIGHTS, folder / EXITS_RECORD}
    for pattern in _TOKENIZER:
        found.update(folder.glob(pattern))
    return sorted(file for file in found if file.is_file())


def _is_on_hub(text: str) -> bool:
    return is_hub_id(text) and not is_there(Path(text))


def _checked(folder: Path, name: str) -> Path:
    if not (is_there(folder) and folder.is_dir()):
        raise InputError(
            f"model '{name}': no such folder; give '{BUNDLED}', a folder in the Hugging Face format, or a "
            "model's name on the Hugging Face Hub (organisation/model)"
        )
    if not (folder / "config.json").is_file():
        raise InputError(
            f"model '{name}': {folder} has no config.json; give the folder that save_pretrained wrote"
        )
    _refuse_redirection(folder, name)
    if _weights(folder):
        return folder
    pickles = sorted(
        file.name for pattern in _PICKLES for file in folder.glob(pattern) if file.name not in _NEVER_WEIGHTS
    )
    if pickles:
        raise InputError(
            f"model '{name}': {folder} has its weights as pickles only ({', '.join(pickles[:3])}), which can "
            "run any code when they are read; expected safetensors. If you trust their source, convert "
            "them once, in Python: from transformers import AutoModelForCausalLM; "
            "AutoModelForCausalLM.from_pretrained(OLD, use_safetensors=False).save_pretrained(NEW); copy the "
            "tokenizer's files to NEW, and give NEW"
        )
    raise InputError(f"model '{name}': {folder} has no {_WEIGHTS}; expected weights as safetensors")


def _refuse_redirection(folder: Path, name: str) -> None:
    """Refuse configs that make transformers read other weights than those that are checked and digested."""
    try:
        config = json.loads((folder / "config.json").read_text(encoding="utf-8"))
    except (OSError, ValueError, RecursionError) as error:
        raise InputError(f"model '{name}': {folder / 'config.json'} is not valid JSON ({error})") from error
    if not isinstance(config, dict) or config.get("transformers_weights") is not None:
        raise InputError(
            f"model '{name}': {folder / 'config.json'} names other weights ('transformers_weights'), or "
            f"is no object; expected {_WEIGHTS} or its index to be the only weights: remove that entry"
        )
    if quantisation_entry(config) is not None:
        raise InputError(
            f"model '{name}': its config.json says that its weights are quantised (quantization_config), but "
            "answers are measured in float32, without the libraries that unpack them; give the unquantised "
            "model, in 16 or 32 bits"
        )
    if (folder / "adapter_config.json").is_file():
        raise InputError(
            f"model '{name}': {folder} contains an adapter, whose base model lies elsewhere; merge the two "
            "(merge_and_unload of the package peft), and give the folder of the result"
        )


def _weights(folder: Path) -> list[Path]:
    """Return the files of the weights; empty if there is no complete model in safetensors."""
    if (folder / _WEIGHTS).is_file():
        return [folder / _WEIGHTS]
    index = folder / _INDEX
    if not index.is_file():
        return []
    try:
        names = sorted(set(json.loads(index.read_text(encoding="utf-8"))["weight_map"].values()))
        missing = [name for name in names if isinstance(name, str) and not (folder / name).is_file()]
    except (OSError, ValueError, KeyError, AttributeError, TypeError, RecursionError) as error:
        raise InputError(f"{index}: not an index of weights ({error!r}); fetch the model again") from error
    for name in names:
        # An index may name any file; transformers would unpickle one that is no safetensors.
        if not isinstance(name, str) or Path(name).name != name or not name.endswith(".safetensors"):
            raise InputError(f"{index}: names {name!r}; expected safetensors files beside it")
    if missing or not names:
        raise InputError(
            f"{index}: {missing[0] if missing else 'every file'} is missing; fetch the model again"
        )
    return [index, *(folder / name for name in names)]


def _fetched(name: str) -> Path:
    from huggingface_hub import snapshot_download  # takes a while to import

    try:
        return Path(snapshot_download(name, allow_patterns=list(_FROM_HUB), ignore_patterns=["*/*"]))
    except (OSError, ValueError) as error:
        reason = str(error).strip().partition("\n")[0]
        raise InputError(
            f"model '{name}': no such folder, and the Hugging Face Hub did not return it ({reason}); check "
            "the name and the connection, or download the model and give its folder"
        ) from error
