"""Scenario section of answer quality: the measurements that answers are looked up in."""

from __future__ import annotations

from typing import ClassVar, Literal

from pydantic import model_validator

from edgesim.fields import refuse
from edgesim.scenario.text.section import Section
from edgesim.scenario.text.shorthand import Shorthand, value_of

__all__ = ["QualityEntry"]


class QualityEntry(Section):
    """Measured answers that give the effect of noise, losses and early exits, or only a model's name.

    Answers are measured with real forward passes (`edgesim quality MODEL`) and only looked up in a run. The
    measured model may differ from `model`, whose times are simulated; results name it.
    """

    shorthand: ClassVar[Shorthand | None] = value_of(
        "model", str, schema={"type": "string", "examples": ["bundled"]}
    )

    model: str | None = None
    """Measured model: `bundled`, the small trained model shipped with edgesim; a folder in the Hugging Face
    format; or a model's name on the Hugging Face Hub."""
    text: str = "bundled"
    """Text on which answers were measured: `bundled`, the part of Python's own documentation that is not
    trained on, or a file."""
    table: str | None = None
    """Your own table instead of a model: CSV or Parquet (docs/how-to/measure-answers.md)."""
    exits: str | None = None
    """Your own exit records, as written by `edgesim quality MODEL -o FOLDER`."""
    tune_on: Literal["all", "first-half"] = "all"
    """Exit records on which strategies tune thresholds before time zero. `first-half`: tune on the first half
    of the text and replay requests' answers from the second, which shares no token with it."""

    paths: str | None = None
    """Answers with propagated caches (`exit_paths.parquet`), as written by `edgesim quality MODEL
    --generation -o FOLDER` beside the exit records of the same model and text."""

    @model_validator(mode="after")
    def _says_something(self) -> QualityEntry:
        if self.model is None and self.table is None and self.exits is None:
            refuse("expected a 'model' such as bundled, your own 'table', or 'exits'")
        return self
