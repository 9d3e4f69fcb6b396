from __future__ import annotations

import pytest
from asking import Asking

from edgesim import plugins


@pytest.fixture(autouse=True)
def installed(monkeypatch: pytest.MonkeyPatch) -> None:
    """`asking` counts as an installed strategy."""
    load, found = plugins.load, plugins.discover
    monkeypatch.setattr(
        plugins, "load", lambda group, name: Asking if name == "asking" else load(group, name)
    )
    monkeypatch.setattr(plugins, "discover", lambda group: found(group) | {"asking": Asking})
