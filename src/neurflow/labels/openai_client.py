"""A chat model at an OpenAI-compatible endpoint (OpenAI, Ollama, vLLM, …), by the official client.

1. Every HTTP request is reserved in the budget before it is sent (``budget``) and waits its turn
   (``Pace``), so the client's own retries are off. Busy servers (429), server errors (5xx), timeouts
   and malformed responses are retried after growing waits, or after the time that the server asks for.
2. Servers support different options. After a 400 that names an option (``response_format``,
   ``max_tokens``, ``temperature``) the client omits it or uses its other name.
3. Errors that a retry cannot solve end the work: a refused key, an unknown model or one that does not
   accept pictures, a server that cannot be reached, or an account without money.

The key comes from the environment or a file and is given only to the client. If a server quotes it in
an error, it is masked. A server with its own ``base_url`` gets a key only if one was named for it; the
key, organization and project of another service are not sent to it.
"""

from __future__ import annotations

import base64
import json
import os
import random
import re
import threading
import time
from email.utils import parsedate_to_datetime
from pathlib import Path
from typing import TYPE_CHECKING, Any

from neurflow.circuit.evidence import clean
from neurflow.errors import RequestError, WorkError
from neurflow.labels.budget import Budget, Usage, estimate
from neurflow.labels.chat import Reply
from neurflow.labels.labeler import LabelFailed, NoPictures
from neurflow.labels.prompt import SYSTEM, Question
from neurflow.runtime.extras import require
from neurflow.runtime.files import read

if TYPE_CHECKING:
    import openai

KEY = "OPENAI_API_KEY"
OWN_HEADERS = ("OpenAI-Organization", "OpenAI-Project")
LONGEST_KEY = 65536
"""largest size of a key file in bytes"""
NO_KEY = "none"
"""sent in place of a key to servers that need none"""
FIRST_WAIT, LONGEST_WAIT = 0.5, 60.0
"""seconds between attempts, doubled each time; a server may ask for up to ``LONGEST_ASKED``"""
LONGEST_ASKED = 300.0
OPTIONS = ("response_format", "max_completion_tokens", "max_tokens", "temperature")
NO_PICTURES = re.compile(
    r"(image|picture|vision|multi-?modal).{0,80}(not support|unsupported|only supported|not accept)"
    r"|(not|n't|cannot) (support|accept|take|read|process|see).{0,40}(image|picture|vision|multi)"
    r"|(no|without) (image|picture|vision)|not a multi-?modal|text[- ]only|mmproj"
    r"|required for image input|expected .?text|must be a? ?string",
    re.IGNORECASE,
)
"""messages of OpenAI, Ollama, vLLM, llama.cpp, LM Studio and others for models without vision"""
ONE_PICTURE = re.compile(r"at most \d+ image|only (one|1|a single) image|multiple images", re.I)


class OpenAIChat:
    """A chat model behind an OpenAI-compatible endpoint; safe to share between threads.

    Args:
        model: its name on the server.
        base_url: address of the server, up to and including ``/v1``; default is OpenAI's.
        key_env: name of the environment variable that has the key; default is ``OPENAI_API_KEY``
            without a ``base_url``, and no key with one.
        key_file: file that has the key instead.
        budget: limits on requests and cost.
        timeout: seconds for one request.
        retries: number of times that a request is retried.
        rate: largest number of requests per minute.
        answer_tokens: longest answer in tokens; reasoning models need more.

    Raises:
        RequestError: the ``openai`` package is not installed, the address is invalid, or the key file
            cannot be read. A key that is missing in the environment is reported by the first question,
            because an estimate needs no key.
    """

    def __init__(
        self,
        model: str,
        *,
        base_url: str | None = None,
        key_env: str | None = None,
        key_file: str | Path | None = None,
        budget: Budget | None = None,
        timeout: float = 120.0,
        retries: int = 5,
        rate: float | None = None,
        answer_tokens: int = 2000,
    ) -> None:
        openai = _openai()
        elsewhere = base_url is not None
        if key_env is None and not elsewhere:
            key_env = KEY
        self._key_from, self._key = _key(key_env, key_file)
        self._needs_key = not elsewhere
        self.name = clean(model, 80)
        if base_url is not None and not re.match(r"https?://[^/]", base_url):
            raise RequestError(
                f"--base-url {base_url!r} is not the address of a server. "
                "Write it in full, e.g. http://localhost:11434/v1"
            )
        self._client = openai.OpenAI(
            api_key=self._key or NO_KEY,
            base_url=base_url,
            timeout=timeout,
            max_retries=0,
            default_headers=self._headers(openai.Omit()) if elsewhere else None,
        )
        self.identity = f"{self._client.base_url}\0{model}"
        self._model, self._retries, self._timeout = model, retries, timeout
        self.budget = budget or Budget()
        self._pace = Pace(60 / rate if rate else 0.0)
        self._options: dict[str, Any] = {"temperature": 0, "max_tokens": answer_tokens}
        self._structured = True

    def _headers(self, leave_out: Any) -> dict[str, Any]:
        """Headers for another server, without those that the client takes from the environment."""
        lines = os.environ.get("OPENAI_CUSTOM_HEADERS", "").splitlines()
        names = [*OWN_HEADERS, *(line.partition(":")[0].strip() for line in lines if ":" in line)]
        return dict.fromkeys(names, leave_out) | {"Authorization": f"Bearer {self._key or NO_KEY}"}

    def complete(self, question: Question) -> Reply:
        """Answer a question, with retries; see ``Chat``."""
        openai = _openai()
        if not self._key and self._needs_key:
            raise RequestError(
                f"There is no key in {self._key_from}. Set it, name another one with --key-env or "
                "--key-file, or give the address of another server: "
                "--base-url http://localhost:11434/v1"
            )
        attempt, round = 0, self._pace.round
        while True:
            try:
                return self._once(question, round)
            except openai.APIStatusError as error:
                said = self._server_message(error)
                if error.status_code in (400, 422) and self._adapt(said):
                    continue
                wait = self._wait_after(error, said, attempt)
                failure: WorkError = LabelFailed(
                    f"{self.name}: the server fails with {error.status_code}: {said}."
                )
            except openai.APITimeoutError:
                wait = _backoff(attempt)
                failure = LabelFailed(
                    f"{self.name} gave no answer within {self._timeout:g} s. Raise --timeout, or "
                    "ask a smaller model."
                )
            except openai.APIConnectionError as error:
                wait = _backoff(attempt)
                reason = clean(str(error.__cause__ or error), 160)
                failure = WorkError(
                    f"Cannot reach {self._where}: {reason}. Check that the server is running, then "
                    "re-run the same command to resume."
                )
            except (openai.APIError, ValueError, _NoAnswer) as error:
                wait = _backoff(attempt)
                failure = LabelFailed(
                    f"{self.name}: the server's response is malformed: {self._masked(str(error))}."
                )
            if attempt >= self._retries:
                raise failure
            attempt += 1
            self._pace.hold(wait)

    def stop(self) -> None:
        """End all waiting; requests in flight, which cost money, are still completed."""
        self._pace.cancel_waits()

    @property
    def _where(self) -> str:
        """The server's address without a user name or password."""
        return re.sub(r"//[^/@]*@", "//", str(self._client.base_url))

    def _once(self, question: Question, round: int) -> Reply:
        """Send one HTTP request; its usage counts even if it fails."""
        self._pace.wait(round)
        reserved = self.budget.reserve(estimate(question))
        used: Usage | None = None
        try:
            answer = self._client.chat.completions.create(
                model=self._model,
                messages=_messages(question),
                **self._options,
                **(_response_format(question) if self._structured else {}),
            )
            used = _usage(answer) or reserved
            return _reply(answer)
        except _openai().APITimeoutError:
            used = reserved  # the server may have done the work and charge for it
            raise
        finally:
            self.budget.settle(reserved, used)

    def _adapt(self, said: str) -> bool:
        """Omit or rename an option that the server rejects; return whether there was one."""
        if "max_tokens" in self._options and "max_completion_tokens" in said:
            self._options["max_completion_tokens"] = self._options.pop("max_tokens")
            return True
        for name in OPTIONS[1:]:
            if name in said and name in self._options:
                del self._options[name]
                return True
        if self._structured and re.search("response_format|json_schema|structured", said):
            self._structured = False
            return True
        return False

    def _wait_after(self, error: openai.APIStatusError, said: str, attempt: int) -> float:
        """Return the seconds to wait before the next attempt; raises if a retry cannot help."""
        status = error.status_code
        if ONE_PICTURE.search(said):
            raise NoPictures(
                f"{self.name} accepts fewer pictures in a request (the server says: {said}). "
                "Re-run the command with --sheet, which sends one."
            )
        if NO_PICTURES.search(said) and status not in (401, 403, 429):
            raise NoPictures(
                f"{self.name} does not accept pictures (the server says: {said}). "
                "Choose a model with vision, e.g. --chat-model qwen2.5vl"
            )
        if status in (401, 403):
            raise RequestError(
                f"{self._where} refuses the key ({status}: {said}). It comes from "
                f"{self._key_from}. Name another one with --key-env or --key-file."
            )
        if status == 404:
            raise RequestError(
                f"{self._where} has no model {self._model!r} ({said}). "
                "Check --chat-model and --base-url, which usually ends in /v1."
            )
        if status == 429 and "insufficient_quota" in said:
            raise WorkError(f"The account at {self._where} has no money left: {said}.")
        if status in (408, 409, 429) or status >= 500:
            return _requested_wait(error) or _backoff(attempt)
        raise LabelFailed(f"{self.name}: the server refuses the request ({status}): {said}.")

    def _server_message(self, error: openai.APIStatusError) -> str:
        """Return the server's error message, shortened and without the key."""
        body = error.body
        message = body.get("message") if isinstance(body, dict) else body
        code = body.get("code") if isinstance(body, dict) else None
        words = f"{message or error.message}{f' ({code})' if code else ''}"
        return self._masked(words).rstrip(".")

    def _masked(self, text: str) -> str:
        return clean(text.replace(self._key, "…") if self._key else text, 240)


class Pace:
    """Decides when the next request may be sent, by the rate limit and while a server is busy."""

    def __init__(self, interval: float) -> None:
        self._interval, self._next = interval, 0.0
        self._changed = threading.Condition()
        self.round = 0
        """number of times that waiting was ended"""

    def wait(self, round: int) -> None:
        """Wait until the next request may be sent; ``Stopped`` if ``round`` is cancelled."""
        with self._changed:
            while self.round == round:
                pause = self._next - time.monotonic()
                if pause <= 0:
                    self._next = time.monotonic() + self._interval
                    return
                self._changed.wait(pause)
        raise Stopped("The work was stopped while this request waited for its turn.")

    def hold(self, seconds: float) -> None:
        """Send no request within the next ``seconds``."""
        with self._changed:
            self._next = max(self._next, time.monotonic() + seconds)

    def cancel_waits(self) -> None:
        """End all present waiting."""
        with self._changed:
            self.round += 1
            self._changed.notify_all()


class Stopped(WorkError):
    """A request was given up because the work ended."""


class _NoAnswer(Exception):
    """A successful response without a message."""


def _key(variable: str | None, file: str | Path | None) -> tuple[str, str]:
    """Return a description of the key's source, and the key, which is empty if there is none.

    Raises:
        RequestError: the file cannot be read.
    """
    if file is not None:
        try:
            return f"the file {file}", read(Path(file), LONGEST_KEY).decode().strip()
        except (OSError, ValueError) as error:
            raise RequestError(f"The key in {file} cannot be read: {error}.") from None
    if variable is None:
        return "no source, as none was named for this server", ""
    return f"the environment variable {variable}", os.environ.get(variable, "").strip()


def _openai() -> Any:
    require("openai")
    import openai

    return openai


def _messages(question: Question) -> Any:
    """Return the messages of a question in the protocol's format."""
    content: list[dict[str, Any]] = []
    for part in question.parts:
        if isinstance(part, bytes):
            url = f"data:image/jpeg;base64,{base64.b64encode(part).decode()}"
            content.append({"type": "image_url", "image_url": {"url": url, "detail": "low"}})
        else:
            content.append({"type": "text", "text": part})
    content.append({"type": "text", "text": _schema_as_text(question)})
    return [{"role": "system", "content": SYSTEM}, {"role": "user", "content": content}]


def _schema_as_text(question: Question) -> str:
    """Return the schema as text, for servers that do not enforce it."""
    return f"JSON schema of the answer: {json.dumps(question.schema)}"


def _response_format(question: Question) -> dict[str, Any]:
    schema = {"name": question.name, "strict": True, "schema": question.schema}
    return {"response_format": {"type": "json_schema", "json_schema": schema}}


def _reply(answer: Any) -> Reply:
    choices = getattr(answer, "choices", None)
    if not choices or getattr(choices[0], "message", None) is None:
        raise _NoAnswer("no message in it")
    message = choices[0].message
    refusal = getattr(message, "refusal", None)
    if refusal or choices[0].finish_reason == "content_filter":
        return Reply(refusal or "content filter", refused=True)
    if not isinstance(message.content, str):
        raise _NoAnswer("an empty message")
    return Reply(message.content)


def _usage(answer: Any) -> Usage | None:
    usage = getattr(answer, "usage", None)
    if usage is None:
        return None
    counted = (getattr(usage, name, None) for name in ("prompt_tokens", "completion_tokens"))
    given, made = (float(n) if isinstance(n, int) and n >= 0 else 0.0 for n in counted)
    return Usage(1, given, made)


def _backoff(attempt: int) -> float:
    """Return the seconds to wait, doubled each time, with jitter to spread the retries."""
    spread: float = random.uniform(0.75, 1.25)
    return min(FIRST_WAIT * 2**attempt, LONGEST_WAIT) * spread


def _requested_wait(error: openai.APIStatusError) -> float | None:
    """Return the seconds that the server asks to wait, given as a number or as a date."""
    asked = error.response.headers.get("retry-after")
    if not asked:
        return None
    try:
        seconds = float(asked)
    except ValueError:
        try:
            seconds = parsedate_to_datetime(asked).timestamp() - time.time()
        except (TypeError, ValueError):
            return None
    return min(max(seconds, 0.0), LONGEST_ASKED)
