"""The texts below the fields of a section, read from its source when they are asked for.

pydantic can do so by itself (``use_attribute_docstrings``), as it makes a class: for a hundred sections that
is a fifth of what it takes to run a small scenario, and only messages and the exported schema want them.
"""

from __future__ import annotations

import ast
import inspect
import textwrap
from collections.abc import Mapping
from functools import cache
from types import MappingProxyType
from typing import Any

from pydantic import BaseModel

__all__ = ["add_descriptions", "descriptions", "own_descriptions"]


@cache
def descriptions(model: type[BaseModel]) -> Mapping[str, str]:
    """Say what each field means, by its name in Python; what has no text is left out."""
    found: dict[str, str] = {}
    for kind in reversed(model.__mro__):
        if issubclass(kind, BaseModel) and kind is not BaseModel:
            found |= own_descriptions(kind.__pydantic_generic_metadata__["origin"] or kind)
    for name, field in model.model_fields.items():
        if field.description is not None:
            found[name] = field.description
    return MappingProxyType(found)


def add_descriptions(schema: dict[str, Any], model: type[BaseModel]) -> None:
    """Write them into a model's JSON Schema, whose properties go by their names in YAML."""
    told, properties = descriptions(model), schema.get("properties", {})
    for name, field in model.model_fields.items():
        key = field.alias or name
        if name in told and key in properties:
            properties[key].setdefault("description", told[name])


@cache
def own_descriptions(kind: type) -> dict[str, str]:
    """Texts below the fields of one class, without those of its bases."""
    try:
        body = ast.parse(textwrap.dedent(inspect.getsource(kind))).body[0]
    except (OSError, TypeError, SyntaxError):  # a class without a file, as of a session
        return {}
    assert isinstance(body, ast.ClassDef)
    found = {}
    for field, text in zip(body.body, body.body[1:], strict=False):
        if (
            isinstance(field, ast.AnnAssign)
            and isinstance(field.target, ast.Name)
            and isinstance(text, ast.Expr)
            and isinstance(text.value, ast.Constant)
            and isinstance(text.value.value, str)
        ):
            found[field.target.id] = inspect.cleandoc(text.value.value)
    return found
