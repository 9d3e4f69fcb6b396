"""The JSON Schema of scenario files as text."""

from __future__ import annotations

import json

from edgesim.cli.terminal import Console
from edgesim.errors import InputError

__all__ = ["schema_text"]


def schema_text() -> str:
    """Return the JSON Schema of scenario files, with the strategies that can be loaded."""
    from edgesim.scenario.schema.json_schema import json_schema
    from edgesim.strategy import discover_all

    found = discover_all()
    for broken in found.values():
        if isinstance(broken, InputError):
            Console(stderr=True, soft_wrap=True).print(f"left out: {broken}", style="yellow")
    sound = {name: one for name, one in found.items() if not isinstance(one, InputError)}
    return json.dumps(json_schema(sound), indent=2) + "\n"
