"""A chat model at an OpenAI-compatible endpoint (OpenAI, Ollama, vLLM, …), through the official client.

1. Every HTTP request is reserved in the budget before it is sent (``budget``) and waits for its turn
   (``Pace``), so the client's own retries are off. If a server is busy (429), fails (5xx), times out or
   sends a malformed response, the request is retried after growing waits, or after the time that the
   server asks for.
2. Servers support different options. After a 400 that names an option (``response_format``,
   ``max_tokens``, ``temperature``) the option is omitted or given by its other name.
3. Errors that a retry cannot solve end the work: a rejected key, an unknown model or one that does not
   accept pictures, a server that cannot be reached, or an account without credit.

The key comes from the environment or a file and is given only to the client. If a server quotes it in
an error, it is masked. A server with its own ``base_url`` gets a key only if one was named for it. It
never gets the key, organization or project of another service.
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
ACCOUNT_HEADERS = ("OpenAI-Organization", "OpenAI-Project")
MAX_KEY_BYTES = 65536
"""largest size of a key file in bytes"""
NO_KEY = "none"
"""placeholder for servers that need no key"""
FIRST_WAIT, MAX_WAIT = 0.5, 60.0
"""seconds before the first retry, doubled each time, and at most"""
MAX_RETRY_AFTER = 300.0
"""largest wait in seconds that a server may ask for"""
OPTIONS = ("response_format", "max_completion_tokens", "max_tokens", "temperature")
NO_PICTURES = re.compile(
    r"(image|picture|vision|multi-?modal).{0,80}(not support|unsupported|only supported|not accept)"
    r"|(not|n't|cannot) (support|accept|take|read|process|see).{0,40}(image|picture|vision|multi)"
    r"|(no|without) (image|picture|vision)|not a multi-?modal|text[- ]only|mmproj"
    r"|required for image input|expected .?text|must be a? ?string",
    re.IGNORECASE,
)
"""error messages of OpenAI, Ollama, vLLM, llama.cpp, LM Studio and others for models without vision"""
ONE_PICTURE = re.compile(r"at most \d+ image|only (one|1|a single) image|multiple images", re.I)


class OpenAIChat:
    """A chat model behind an OpenAI-compatible endpoint; safe to share between threads.

    Args:
        model: its name on the server.
        base_url: address of the server, up to and including ``/v1``; default is OpenAI's.
        key_env: environment variable with the key. Default is ``OPENAI_API_KEY`` for OpenAI's own
            server, and no key for others.
        key_file: file with the key, instead of a variable.
        budget: limits on requests and cost.
        timeout: longest time in seconds for one request.
        retries: largest number of retries of a request.
        rate: largest number of requests per minute.
        answer_tokens: largest number of tokens in an answer; reasoning models need more.

    Raises:
        RequestError: the ``openai`` package is not installed, the address is invalid, or the key file
            cannot be read. A key that is missing in the environment is reported only by the first
            question, because an estimate needs no key.
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
        other_server = base_url is not None
        if key_env is None and not other_server:
            key_env = KEY
        self._key_source, self._key = _key(key_env, key_file)
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
            default_headers=self._headers(openai.Omit()) if other_server else None,
        )
        self.identity = f"{self._client.base_url}\0{model}"
        self._model, self._retries, self._timeout = model, retries, timeout
        self.budget = budget or Budget()
        self._pace = Pace(60 / rate if rate else 0.0)
        self._options: dict[str, Any] = {"temperature": 0, "max_tokens": answer_tokens}
        self._structured = True

    def _headers(self, leave_out: Any) -> dict[str, Any]:
        """Return headers that replace those which the client reads from the environment."""
        lines = os.environ.get("OPENAI_CUSTOM_HEADERS", "").splitlines()
        names = [
            *ACCOUNT_HEADERS,
            *(line.partition(":")[0].strip() for line in lines if ":" in line),
        ]
        return dict.fromkeys(names, leave_out) | {"Authorization": f"Bearer {self._key or NO_KEY}"}

    def complete(self, question: Question) -> Reply:
        """Answer a question, with retries; see ``Chat``."""
        openai = _openai()
        if self._key_source and not self._key:
            raise RequestError(
                f"There is no key in {self._key_source}. Set it, name another source with --key-env or "
                "--key-file, or give the address of another server: "
                "--base-url http://localhost:11434/v1"
            )
        attempt, round = 0, self._pace.round
        while True:
            try:
                return self._once(question, round)
            except openai.APIStatusError as error:
                message = self._server_message(error)
                if error.status_code in (400, 422) and self._adapt_options(message):
                    continue
                wait = self._wait_after(error, message, attempt)
                failure: WorkError = LabelFailed(
                    f"{self.name}: the server failed with {error.status_code}: {message}. Re-run the "
                    "same command to try again."
                )
            except openai.APITimeoutError:
                wait = _backoff(attempt)
                failure = LabelFailed(
                    f"{self.name} did not answer within {self._timeout:g} s. Raise --timeout, or "
                    "use a smaller model."
                )
            except openai.APIConnectionError as error:
                wait = _backoff(attempt)
                reason = clean(str(error.__cause__ or error), 160)
                failure = WorkError(
                    f"Cannot reach {self._address}: {reason}. Check that the server is running, then "
                    "re-run the same command to resume."
                )
            except (openai.APIError, ValueError, _NoAnswer) as error:
                wait = _backoff(attempt)
                failure = LabelFailed(
                    f"{self.name}: the server's response is malformed: {self._masked(str(error))}. "
                    "Check that --base-url is an OpenAI-compatible endpoint."
                )
            if attempt >= self._retries:
                raise failure
            attempt += 1
            self._pace.hold(wait)

    def stop(self) -> None:
        """End all waits. Requests in flight, which cost money, are still completed."""
        self._pace.cancel_waits()

    @property
    def _address(self) -> str:
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

    def _adapt_options(self, message: str) -> bool:
        """Omit or rename an option that the server's message rejects; return whether there was one."""
        if "max_tokens" in self._options and "max_completion_tokens" in message:
            self._options["max_completion_tokens"] = self._options.pop("max_tokens")
            return True
        for name in OPTIONS[1:]:
            if name in message and name in self._options:
                del self._options[name]
                return True
        if self._structured and re.search("response_format|json_schema|structured", message):
            self._structured = False
            return True
        return False

    def _wait_after(self, error: openai.APIStatusError, message: str, attempt: int) -> float:
        """Return the seconds to wait before the next attempt; raise if a retry cannot help."""
        status = error.status_code
        if ONE_PICTURE.search(message):
            raise NoPictures(
                f"{self.name} accepts fewer pictures in a request (the server says: {message}). "
                "Re-run the command with --sheet, which sends one."
            )
        if NO_PICTURES.search(message) and status not in (401, 403, 429):
            raise NoPictures(
                f"{self.name} does not accept pictures (the server says: {message}). "
                "Choose a model with vision, e.g. --chat-model qwen2.5vl"
            )
        if status in (401, 403):
            raise RequestError(
                f"{self._address} rejects the key from {self._key_source} ({status}: {message}). "
                "Name another source with --key-env or --key-file."
                if self._key_source
                else f"{self._address} requires a key ({status}: {message}). "
                "Name its source with --key-env or --key-file."
            )
        if status == 404:
            raise RequestError(
                f"{self._address} has no model {self._model!r} ({message}). "
                "Check --chat-model and --base-url, which usually ends in /v1."
            )
        if status == 429 and "insufficient_quota" in message:
            raise WorkError(
                f"The account at {self._address} has no credit left ({message}). Add credit, then "
                "re-run the same command to resume."
            )
        if status in (408, 409, 429) or status >= 500:
            return _requested_wait(error) or _backoff(attempt)
        raise LabelFailed(f"{self.name}: the server rejects the request ({status}): {message}.")

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
    """Delays requests to keep to the rate limit, and while a server is busy."""

    def __init__(self, interval: float) -> None:
        self._interval, self._next = interval, 0.0
        self._changed = threading.Condition()
        self.round = 0
        """increased by ``cancel_waits``, which ends the waits of earlier rounds"""

    def wait(self, round: int) -> None:
        """Wait until the next request may be sent.

        Raises:
            Stopped: the waits of ``round`` were cancelled.
        """
        with self._changed:
            while self.round == round:
                pause = self._next - time.monotonic()
                if pause <= 0:
                    self._next = time.monotonic() + self._interval
                    return
                self._changed.wait(pause)
        raise Stopped("The work was stopped while this request waited for its turn.")

    def hold(self, seconds: float) -> None:
        """Delay all requests by at least ``seconds``."""
        with self._changed:
            self._next = max(self._next, time.monotonic() + seconds)

    def cancel_waits(self) -> None:
        """End the waits of the present round."""
        with self._changed:
            self.round += 1
            self._changed.notify_all()


class Stopped(WorkError):
    """A request was abandoned because the work ended."""


class _NoAnswer(Exception):
    """A successful response without a message."""


def _key(variable: str | None, file: str | Path | None) -> tuple[str, str]:
    """Return a description of the key's source and the key; both are empty if no source is named.

    Raises:
        RequestError: the file cannot be read.
    """
    if file is not None:
        try:
            return f"the file {file}", read(Path(file), MAX_KEY_BYTES).decode().strip()
        except (OSError, ValueError) as error:
            raise RequestError(
                f"The key in {file} cannot be read: {error}. Give another file: --key-file FILE"
            ) from None
    if variable is None:
        return "", ""
    return f"the environment variable {variable}", os.environ.get(variable, "").strip()


def _openai() -> Any:
    require("openai")
    import openai

    return openai


def _messages(question: Question) -> Any:
    """Return the messages of a question in the format of the API."""
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
        raise _NoAnswer("it has no message")
    message = choices[0].message
    refusal = getattr(message, "refusal", None)
    if refusal or choices[0].finish_reason == "content_filter":
        return Reply(refusal or "content filter", refused=True)
    if not isinstance(message.content, str):
        raise _NoAnswer("its message is empty")
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
    return min(FIRST_WAIT * 2**attempt, MAX_WAIT) * spread


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
    return min(max(seconds, 0.0), MAX_RETRY_AFTER)
