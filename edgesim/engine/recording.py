"""Recording of spans by the parts of the cluster, if spans are recorded at all."""

from __future__ import annotations

from edgesim.trace.buffer import Parts, SpanBuffer, Spot, pack_span

__all__ = ["Recording"]


class Recording:
    """The buffer that spans are written to, if spans are recorded.

    Attributes
    ----------
    add
        Takes a packed span; None if spans are not recorded. The two most frequent verbs pack theirs
        themselves; all others call :meth:`span`.
    """

    __slots__ = ("_spans", "add")

    def __init__(self, spans: SpanBuffer | None) -> None:
        self._spans = spans
        self.add = None if spans is None else spans.add

    def code(self, spot: Spot) -> int:
        """Return the number that identifies a spot in spans."""
        return 0 if self._spans is None else self._spans.code_of(spot)

    def span(
        self,
        request: int,
        token: int,
        code: int,
        asked_at_s: float,
        started_at_s: float,
        ended_at_s: float,
        *,
        n_tokens: int = 0,
        size_bytes: float = 0.0,
        share: float = 1.0,
        attempts: int = 1,
        error_variance: float | None = None,
        parts: Parts | None = None,
    ) -> None:
        """Record a span; request -1 is control traffic, token -1 is none. Only a group's pass has parts."""
        if self._spans is None:
            return
        row = pack_span(
            request, token, code, n_tokens, size_bytes, asked_at_s, started_at_s, ended_at_s, share
        )
        if parts is not None:
            self._spans.add_detailed(row, parts=parts)
        elif attempts != 1 or error_variance is not None:
            self._spans.add_detailed(row, error_variance=error_variance, attempts=attempts)
        else:
            self._spans.add(row)

    def hand_on(self, now_s: float) -> None:
        """Flush the recorded spans if they fill a part of the table."""
        if self._spans is not None and self._spans.is_full:
            self._spans.flush(now_s)
