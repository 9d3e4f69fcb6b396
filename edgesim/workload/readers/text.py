"""Token counts of texts: by a tokenizer, or estimated from the number of characters."""

from __future__ import annotations

import math
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import TYPE_CHECKING

from edgesim.errors import InputError, WorkloadError

if TYPE_CHECKING:
    from tokenizers import Tokenizer

__all__ = ["CHARS_PER_TOKEN", "Estimated", "Tokenized"]

CHARS_PER_TOKEN = 4.0
"""Characters per token of English text: an estimate; OpenAI's help page on tokens states about 4."""


@dataclass(frozen=True, slots=True)
class Estimated:
    """Token count estimated at a fixed number of characters per token, rounded up."""

    chars_per_token: float = CHARS_PER_TOKEN

    def __post_init__(self) -> None:
        if not (self.chars_per_token > 0 and math.isfinite(self.chars_per_token)):
            raise InputError(
                f"workload: chars_per_token is {self.chars_per_token:g}; expected a finite number above 0: "
                "correct it"
            )

    def __call__(self, text: str) -> int:
        """Return the estimated number of tokens of a text."""
        return math.ceil(len(text) / self.chars_per_token)

    def __str__(self) -> str:
        return f"estimated at {self.chars_per_token:g} characters per token"


@dataclass(frozen=True)
class Tokenized:
    """Token count of a tokenizer, without special tokens and without a chat template.

    Parameters
    ----------
    path
        A ``tokenizer.json``, as included in Hugging Face models.
    """

    path: Path

    @cached_property
    def _tokenizer(self) -> Tokenizer:
        from tokenizers import Tokenizer  # installed with transformers; needed only for files of text

        try:
            return Tokenizer.from_file(str(self.path))
        except Exception as error:  # the library raises bare Exceptions for any problem with the file
            raise WorkloadError(
                f"{self.path}: no tokenizer: {error}; expected a tokenizer.json of a Hugging Face model"
            ) from None

    def __call__(self, text: str) -> int:
        """Return the number of tokens of a text."""
        return len(self._tokenizer.encode(text, add_special_tokens=False).ids)

    def __str__(self) -> str:
        return f"counted by {self.path.name}"
