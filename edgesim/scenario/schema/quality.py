"""On which model and text a scenario's answers were measured, as it says it."""

from __future__ import annotations

from pydantic import GetJsonSchemaHandler, model_validator
from pydantic.json_schema import JsonSchemaValue
from pydantic_core import CoreSchema

from edgesim.fields import refuse
from edgesim.scenario.text.section import Section

__all__ = ["QualityEntry"]


class QualityEntry(Section):
    """Whose answers tell what noise, losses and early exits do; a model's name alone will do.

    Answers are measured with real forward passes (`edgesim quality MODEL`) and only looked up in a run. The
    model may be another one than `model`, whose time is simulated: results say which.
    """

    model: str | None = None
    """`bundled`, the small trained model that comes with edgesim; a folder in the Hugging Face format; or a
    model's name on the Hugging Face Hub."""
    text: str = "bundled"
    """Text that answers were measured on: `bundled`, the held-out part of Python's own documentation, or a
    file."""
    table: str | None = None
    """A table of one's own in the model's place: CSV or Parquet (docs/how-to/measure-answers.md)."""
    exits: str | None = None
    """Exit records of one's own, as `edgesim quality MODEL -o FOLDER` writes them."""

    @model_validator(mode="before")
    @classmethod
    def _from_word(cls, data: object) -> object:
        return {"model": data} if isinstance(data, str) else data

    @model_validator(mode="after")
    def _says_something(self) -> QualityEntry:
        if self.model is None and self.table is None and self.exits is None:
            refuse("expected a 'model' such as bundled, a 'table' of one's own, or 'exits'")
        return self

    @classmethod
    def __get_pydantic_json_schema__(
        cls, core_schema: CoreSchema, handler: GetJsonSchemaHandler
    ) -> JsonSchemaValue:
        """Allow the model's name alone, too."""
        return {"anyOf": [{"type": "string", "examples": ["bundled"]}, handler(core_schema)]}
