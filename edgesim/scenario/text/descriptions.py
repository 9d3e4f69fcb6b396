"""Docstrings of the fields of a section, read from its source on demand.

pydantic can also read them (``use_attribute_docstrings``), but does so when a class is created: for a hundred
sections that takes a fifth of the time of running a small scenario, and only messages and the exported schema
need them.
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
    """Return the description of each field by its Python name; fields without one are left out."""
    found: dict[str, str] = {}
    for kind in reversed(model.__mro__):
        if issubclass(kind, BaseModel) and kind is not BaseModel:
            found |= own_descriptions(kind.__pydantic_generic_metadata__["origin"] or kind)
    for name, field in model.model_fields.items():
        if field.description is not None:
            found[name] = field.description
    return MappingProxyType(found)


def add_descriptions(schema: dict[str, Any], model: type[BaseModel]) -> None:
    """Add the descriptions to a model's JSON Schema, whose properties have the YAML names."""
    texts, properties = descriptions(model), schema.get("properties", {})
    for name, field in model.model_fields.items():
        key = field.alias or name
        if name in texts and key in properties:
            properties[key].setdefault("description", texts[name])


@cache
def own_descriptions(kind: type) -> dict[str, str]:
    """Return the field docstrings of one class, without those of its bases."""
    try:
        body = ast.parse(textwrap.dedent(inspect.getsource(kind))).body[0]
    except (OSError, TypeError, SyntaxError):  # a class defined in an interactive session
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
