"""What counts as a name on the Hub, and what a user hears who is offline."""

from __future__ import annotations

import json
from pathlib import Path

import pytest
from small_models import LLAMA

from edgesim.errors import InputError
from edgesim.measure import hub


@pytest.mark.parametrize(
    ("name", "expected"),
    [
        ("Qwen/Qwen2.5-0.5B", True),
        ("TinyLlama/TinyLlama-1.1B-Chat-v1.0", True),
        ("gpt2", False),
        ("./models/mine", False),
        ("models/mine/config", False),
        ("~/mine", False),
        ("/tmp/mine", False),
        ("../mine", False),
    ],
)
def test_names_on_the_hub_have_an_organisation_and_a_model(name: str, expected: bool) -> None:
    assert hub.is_hub_id(name) == expected


def test_offline_there_is_one_clear_error(monkeypatch: pytest.MonkeyPatch) -> None:
    pytest.importorskip("transformers")
    from transformers.utils import hub as client

    def unreachable(*_: object, **__: object) -> str:
        raise OSError("We could not connect\nand here is a long story")

    monkeypatch.setattr(client, "cached_file", unreachable)
    with pytest.raises(InputError, match=r"no model 'org/absent'.*\(We could not connect\); check"):
        hub.hub_architecture("org/absent", dtype="float16")


def test_a_config_from_the_hub_is_read_like_a_file(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    pytest.importorskip("transformers")
    from transformers.utils import hub as client

    file = tmp_path / "config.json"
    file.write_text(json.dumps(LLAMA | {"auto_map": {"AutoConfig": "their_code.Config"}}))
    monkeypatch.setattr(client, "cached_file", lambda *_: str(file))
    read = hub.hub_architecture("org/small-llama", dtype="float16")

    assert (read.name, read.n_blocks) == ("org/small-llama", 6)
    assert "their_code" not in read.config
