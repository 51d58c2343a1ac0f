"""Limits on requests, tokens and money, which hold even while many requests are in flight.

1. Before a request is sent, its likely usage is reserved: an estimate times the largest factor by which
   an estimate has been too low so far. If there is a limit on tokens or money, requests are sent one by
   one until the first answer shows the real usage.
2. The usage that the server reports then replaces the reservation.
3. A request that does not fit waits while others are in flight, because these may use less than was
   reserved for them. If it still does not fit, ``BudgetSpent`` ends the work.

The user gives the prices.
"""

from __future__ import annotations

import threading
from dataclasses import dataclass
from typing import Annotated

from pydantic import BaseModel, ConfigDict, Field

from neurflow.errors import RequestError, WorkError
from neurflow.labels.prompt import SYSTEM, Question

CHARACTERS = 4
"""assumed number of characters per token"""
PICTURE_TOKENS = 85
"""assumed number of tokens per picture: OpenAI counts 85 at low detail, others 16 to 600"""


class BudgetSpent(WorkError):
    """A limit is reached. Finished work is kept."""


class Prices(BaseModel):
    """Prices per million tokens, in the currency of the cost limit."""

    model_config = ConfigDict(frozen=True)

    input: Annotated[float, Field(ge=0)] = 0.0
    output: Annotated[float, Field(ge=0)] = 0.0


@dataclass
class Usage:
    """Numbers of requests, input tokens and output tokens."""

    requests: int = 0
    tokens_in: float = 0
    tokens_out: float = 0

    def __iadd__(self, other: Usage) -> Usage:
        self.requests += other.requests
        self.tokens_in += other.tokens_in
        self.tokens_out += other.tokens_out
        return self

    @property
    def tokens(self) -> float:
        """Input and output tokens together."""
        return self.tokens_in + self.tokens_out

    def cost(self, prices: Prices) -> float:
        """Return the cost in the prices' currency."""
        return (self.tokens_in * prices.input + self.tokens_out * prices.output) / 1e6


def estimate(question: Question, picture_tokens: int = PICTURE_TOKENS) -> Usage:
    """Estimate the usage of one request."""
    text = sum(len(part) for part in question.parts if isinstance(part, str)) + len(SYSTEM)
    pictures = sum(isinstance(part, bytes) for part in question.parts)
    tokens = text / CHARACTERS + pictures * picture_tokens
    return Usage(1, tokens, len(question.answer) / CHARACTERS)


class Budget:
    """Limits and the usage so far; safe to share between threads.

    Args:
        requests: largest number of HTTP requests, retries included.
        tokens: largest number of input and output tokens together.
        money: largest cost, in the currency of ``prices``.
        prices: required if ``money`` is given.

    Raises:
        RequestError: there is a cost limit but no price, or a limit is negative.
    """

    def __init__(
        self,
        requests: int | None = None,
        tokens: float | None = None,
        money: float | None = None,
        prices: Prices | None = None,
    ) -> None:
        self.limits = {"requests": requests, "tokens": tokens, "money": money}
        if any(limit is not None and limit < 0 for limit in self.limits.values()):
            raise RequestError(
                "A limit must not be negative. Give 0 or more, or omit it for no limit."
            )
        self.prices = prices or Prices()
        if money is not None and not (self.prices.input or self.prices.output):
            raise RequestError(
                "A limit on the cost needs prices per million tokens: "
                "--price-in 2.50 --price-out 10"
            )
        self.used = Usage()
        self._reserved = Usage()
        self._in_flight = 0
        self._factor = 1.0
        self._usage_known = False
        self._changed = threading.Condition()

    def reserve(self, estimated: Usage) -> Usage:
        """Reserve the likely usage of a request; pass the result to ``settle``.

        Raises:
            BudgetSpent: the request does not fit.
        """
        with self._changed:
            while True:
                wanted = Usage(
                    1, estimated.tokens_in * self._factor, estimated.tokens_out * self._factor
                )
                exceeded = self._exceeded(wanted)
                unknown = not self._usage_known and self._counts_tokens()
                if not exceeded and not (unknown and self._in_flight):
                    break
                if exceeded and not self._in_flight:
                    raise BudgetSpent(f"The budget is spent: {exceeded}. Raise it to continue.")
                self._changed.wait()
            self._reserved += wanted
            self._in_flight += 1
            return wanted

    def settle(self, reserved: Usage, used: Usage | None) -> None:
        """Replace the reservation of a request by its usage.

        ``used`` is None if the request failed, so that no usage is known. The request still counts.
        """
        with self._changed:
            self._in_flight -= 1
            self._reserved += Usage(-1, -reserved.tokens_in, -reserved.tokens_out)
            if used is not None:
                self.used += used
                if reserved.tokens and used is not reserved:
                    self._factor = max(self._factor, self._factor * used.tokens / reserved.tokens)
                self._usage_known = True
            else:
                self.used += Usage(1)
            self._changed.notify_all()

    def _counts_tokens(self) -> bool:
        return self.limits["tokens"] is not None or self.limits["money"] is not None

    def _exceeded(self, wanted: Usage) -> str | None:
        """Return a description of the limit that a further request would exceed; None if it fits."""
        total = Usage()
        for usage in (self.used, self._reserved, wanted):
            total += usage
        sums = {
            "requests": total.requests,
            "tokens": total.tokens,
            "money": total.cost(self.prices),
        }
        for kind, limit in self.limits.items():
            if limit is not None and sums[kind] > limit + 1e-9:
                spent = {
                    "requests": f"{self.used.requests} of {limit} requests",
                    "tokens": f"{self.used.tokens:.0f} of {limit:.0f} tokens",
                    "money": f"{self.used.cost(self.prices):.4f} of {limit:g}",
                }[kind]
                return f"{spent}, and the next request may not fit"
        return None
