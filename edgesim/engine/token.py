"""A token: one forward pass of a request."""

from __future__ import annotations

__all__ = ["Token"]


class Token:
    """One forward pass of a request: token 0 is the prefill, each later one a decode step.

    Attributes
    ----------
    index
        Index of the output token that the pass produces, from 0.
    n_new
        Tokens that go through the blocks: the whole prompt for token 0, else 1.
    n_context
        Tokens whose keys and values are in the cache before the pass.
    activation_bytes
        Size of the pass's hidden states, as passed from stage to stage.
    is_last
        Whether this is the request's last token.
    """

    __slots__ = ("activation_bytes", "index", "is_last", "n_context", "n_new")

    def __init__(self, index: int, n_new: int, n_context: int, activation_bytes: int, is_last: bool) -> None:
        self.index = index
        self.n_new = n_new
        self.n_context = n_context
        self.activation_bytes = activation_bytes
        self.is_last = is_last

    def with_earlier(self, n_positions: int) -> Token:
        """Return the same pass extended by a number of positions before it whose tokens exited early."""
        n_new = self.n_new + n_positions
        size_bytes = self.activation_bytes // self.n_new * n_new
        return Token(self.index, n_new, self.n_context - n_positions, size_bytes, self.is_last)

    def __repr__(self) -> str:
        return f"Token(index={self.index}, n_new={self.n_new}, n_context={self.n_context})"
