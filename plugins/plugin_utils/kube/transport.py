# SPDX-License-Identifier: Apache-2.0
"""The only way to the API server, for passes and the loop: JSON, with time limits and careful retries.

The official client reads the configuration and does TLS and authentication; its typed models are left alone, because
raw JSON costs fifty times less.
"""

from __future__ import annotations

import json
import operator
import os
import re
import ssl
import threading
import time
from collections.abc import Callable, Iterable, Iterator, Mapping
from concurrent.futures import ThreadPoolExecutor
from http.client import IncompleteRead
from typing import Any, NamedTuple, TypeVar
from urllib.parse import urlencode

try:
    from urllib3 import Timeout
    from urllib3.exceptions import ConnectTimeoutError, HTTPError, NewConnectionError, SSLError
    from urllib3.exceptions import TimeoutError as Urllib3Timeout
    from urllib3.util.ssl_match_hostname import CertificateError
except ImportError as exc:  # for `connect` to raise: what fails while Ansible loads a plugin ends it with a traceback
    _lacking: ImportError | None = exc
else:
    _lacking = None

from .api_error import (
    ApiError,
    Malformed,
    NotLeading,
    ObjectRef,
    TooLarge,
    Unreachable,
    refusal,
    status_of,
    without_credentials,
)
from .connection_settings import ConnectionSettings
from .decoding import decoded
from .permit import permit_of
from .redaction import Redaction
from .values import in_one_line, whole_number

__all__ = ["COLLECTION_VERSION", "PARALLEL", "USER_AGENT", "Transport", "connect", "connected"]

COLLECTION_VERSION = "0.1.0"
"""As in galaxy.yml."""
USER_AGENT = f"immich-operator/{COLLECTION_VERSION} (pass)"
"""What an API server's audit log calls our passes."""

CONNECT_TIMEOUT_S = 5.0
READ_TIMEOUT_S = 30.0
PARALLEL = 3
"""Requests in flight at once. More threads only wait for each other's Python, and each opens its own connection."""

MAX_ANSWER_BYTES = 64 * 1024 * 1024
"""Of one answer. etcd takes 1.5 MiB of an object; lists come in pages."""
MAX_READS = 4
"""An answer that comes in drops is given up after so many times the time that each part of it may take."""
CHUNK_BYTES = 64 * 1024

ATTEMPTS = 4
RETRY_BUDGET_S = 10.0
"""The total of all waits for one request. A play has to end in time; the loop retries later."""
FIRST_DELAY_S = 0.2
RETRIED_STATUS_CODES = frozenset({429, 500, 502, 503, 504})

Result = TypeVar("Result")


def _unheard(_method: str, _code: str) -> None:
    return


def _nothing_new() -> bool:
    return False


_NOT_PLAIN = re.compile("[\x7f-\uffff]")


def written(body: Any) -> bytes:
    r"""The JSON of a value, as YAML reads it too: by its rules the API server reads an apply.

    They allow few characters to stand as they are and no \ud83d\udcf7, with which JSON may write a camera: that is the
    character itself.
    """
    text = json.dumps(body, separators=(",", ":"), ensure_ascii=False)
    return _NOT_PLAIN.sub(lambda found: f"\\u{ord(found[0]):04x}", text).encode()


def _permitted() -> str:
    return ""


class Transport:
    """Requests to one API server. Safe to use from several threads; `close` it, or use it in a `with`."""

    def __init__(
        self,
        configuration: Any,
        pool: Any,
        user_agent: str = USER_AGENT,
        *,
        attempts: int = ATTEMPTS,
        on_answer: Callable[[str, str], None] = _unheard,
        renew: Callable[[], bool] = _nothing_new,
        why_no_writes: Callable[[], str] = _permitted,
    ) -> None:
        """`configuration` is a kubernetes.client.Configuration, `pool` the urllib3 pool manager made from it.

        `attempts`: how often a request is sent at most, see `retrying`. `on_answer(method, status code)` is called for
        each that was sent, with the code "<error>" if no answer came. `renew` reads who we are and whom we trust once more,
        see `long_lived_pool`; it is called when the server does not know us any more (401), or we do not trust it.
        `why_no_writes` is asked before each write is sent, and again when all but its body is: one that stood still in
        between sends nothing that counts.
        """
        self.configuration = configuration
        self.pool = pool
        self.user_agent = user_agent
        self.server = without_credentials(str(configuration.host))
        self._attempts = attempts
        self._on_answer = on_answer
        self._renew = renew
        self._renewals = 0
        self._why_no_writes = why_no_writes
        self._hidden = Redaction()
        self._learning = threading.Lock()
        self._credentials = threading.Lock()
        self._closed = threading.Event()
        self._threads: ThreadPoolExecutor | None = None

    def __enter__(self) -> Transport:
        return self

    def __exit__(self, *exc: object) -> None:
        self.close()

    def close(self) -> None:
        """Drop the connections and end waits between retries."""
        self._closed.set()
        if self._threads is not None:
            self._threads.shutdown()
        self.pool.clear()

    def request(  # noqa: PLR0913 # all but two have defaults
        self,
        method: str,
        path: str,
        *,
        subject: ObjectRef | str = "",
        query: Mapping[str, str] | None = None,
        body: Any = None,
        content_type: str = "application/json",
        accept: str = "application/json",
        read_s: float = READ_TIMEOUT_S,
        most_bytes: int | None = None,
    ) -> dict[str, Any]:
        """The answer's JSON object. `read_s` is how long to wait for each part of it.

        Raises ApiError with `subject` as what it is about, Unreachable, Malformed, and TooLarge for an answer of more than
        `most_bytes`, which are MAX_ANSWER_BYTES if nothing is said.
        """
        url = self._url(path, query)
        headers = {"Accept": accept}
        payload = None
        if body is not None:
            with self._learning:
                self._hidden.learn_named(body)
            headers["Content-Type"] = content_type
            payload = written(body)
            headers["Content-Length"] = str(len(payload))

        def send() -> tuple[int, str, Mapping[str, str], bytes]:
            answer = self._send(method, url, subject or path, headers, read_s, payload)
            data = self._body(answer, subject or path, read_s, most_bytes)
            return answer.status, answer.reason or "", answer.headers, data

        status, phrase, answer_headers, answer_body = self.retrying(method, send, subject or path, read_s=read_s)
        if not 200 <= status < 300:
            raise self.refused(status, phrase, answer_headers, answer_body, subject or path)
        found = self._decode(answer_body, subject or path)
        self.learn(found)
        return found

    def stream(
        self,
        path: str,
        *,
        subject: ObjectRef | str = "",
        query: Mapping[str, str] | None = None,
        accept: str = "application/json",
        read_s: float = READ_TIMEOUT_S,
    ) -> Any:
        """The answer to a GET as urllib3's response, its body not read yet. Raises as `request`.

        `read_s` is how long its body may be silent. A server that does not even begin to answer is given up sooner.
        """
        url = self._url(path, query)
        opened: list[Any] = []
        begins_s = min(read_s, READ_TIMEOUT_S)

        def send() -> tuple[int, str, Mapping[str, str], bytes]:
            answer = self._send("GET", url, subject or path, {"Accept": accept}, begins_s)
            if answer.status == 200:
                _refuse_compressed(answer, subject or path)
                _may_be_silent(answer, read_s)
                opened.append(answer)
                return 200, "", {}, b""
            return answer.status, answer.reason or "", answer.headers, self._body(answer, subject or path, begins_s)

        status, phrase, headers, answer_body = self.retrying("GET", send, subject or path, read_s=begins_s)
        if status != 200:
            raise self.refused(status, phrase, headers, answer_body, subject or path)
        return opened[-1]

    def learn(self, manifest: Any) -> None:
        """No error of this transport tells the values of that Secret, or of those in that list."""
        with self._learning:
            self._hidden.learn(manifest)

    def refused(
        self, status: int, phrase: str, headers: Mapping[str, str], body: bytes | str | None, subject: ObjectRef | str
    ) -> ApiError:
        """The error for an answer, as `api_error`, and without values of Secrets."""
        told = self._hidden.structure(status_of(body))
        error = refusal(status, self._hidden.text(phrase), told, subject)
        error.retry_after_s = _retry_after_s(headers, 0.0)
        return error

    def retrying(
        self,
        method: str,
        send: Callable[[], tuple[int, str, Mapping[str, str], bytes]],
        subject: ObjectRef | str,
        *,
        read_s: float = READ_TIMEOUT_S,
    ) -> tuple[int, str, Mapping[str, str], bytes]:
        """(status code, phrase, headers, body) of the last attempt that got an answer.

        Retried if that is harmless: reads always; our writes other than POST too (an apply, a merge and a delete that
        names the uid end in the same state when sent twice); a POST only if it was never accepted (no connection, or
        429, which is answered before the request is handled). A failed TLS handshake is retried as well: between
        OpenSSL and Go, one in about ten thousand fails for no lasting reason. No attempt at a write begins without a permit.
        """
        budget_s = RETRY_BUDGET_S
        for attempt in range(1, self._attempts + 1):
            delay_s = FIRST_DELAY_S * 2 ** (attempt - 1)
            if method != "GET":
                self._refuse_without_permit(subject)
            try:
                status, phrase, headers, body = send()
            except (HTTPError, OSError) as exc:  # OSError: a file of the connection's settings no longer exists
                if _is_distrust(exc):
                    self._renewed(self._renewals)
                    text = f"{subject}: {self.server} has no trusted certificate: {_root_cause(exc)}"
                    raise Unreachable(text) from exc
                may_repeat = method != "POST" or isinstance(exc, NewConnectionError | ConnectTimeoutError)
                if not may_repeat or attempt == self._attempts or budget_s < delay_s:
                    if isinstance(exc, NewConnectionError):
                        what = f"cannot connect: {_root_cause(exc)}"
                    elif isinstance(exc, Urllib3Timeout):
                        connect_s = min(CONNECT_TIMEOUT_S, read_s)
                        what = f"no answer within {connect_s:g} s to connect and {read_s:g} s to read"
                    else:
                        what = f"the connection broke: {_root_cause(exc)}"
                    raise Unreachable(f"{subject}: API server {self.server}: {what}") from exc
            else:
                repeated = RETRIED_STATUS_CODES if method != "POST" else {429}
                delay_s = _retry_after_s(headers, delay_s)
                if status not in repeated or attempt == self._attempts or budget_s < delay_s:
                    return status, phrase, headers, body
            budget_s -= delay_s
            if self._closed.wait(delay_s):
                break
        raise Unreachable(f"{subject}: the connection to {self.server} was closed while waiting to retry")

    def _refuse_without_permit(self, subject: ObjectRef | str) -> None:
        if why := self._why_no_writes():
            raise NotLeading(f"{subject}: not written: {why}")

    def _permitted_parts(self, payload: bytes, subject: ObjectRef | str) -> Iterator[bytes]:
        self._refuse_without_permit(subject)
        yield payload

    def _body(self, answer: Any, subject: ObjectRef | str, read_s: float, most_bytes: int | None = None) -> bytes:
        """All of an answer, if it is no larger than allowed and does not come in drops."""
        _refuse_compressed(answer, subject)
        most = MAX_ANSWER_BYTES if most_bytes is None else most_bytes
        parts: list[bytes] = []
        size, ends = 0, time.monotonic() + MAX_READS * read_s
        while part := answer.read(CHUNK_BYTES, decode_content=False):
            parts.append(part)
            size += len(part)
            if size > most or time.monotonic() > ends:
                answer.close()
                if size > most:
                    raise TooLarge(f"{subject}: {self.server} answers with more than {most} bytes")
                raise Unreachable(
                    f"{subject}: API server {self.server}: no whole answer within {MAX_READS * read_s:g} s"
                )
        answer.release_conn()
        return b"".join(parts)

    def parallel(self, calls: Iterable[Callable[[], Result]]) -> list[Result]:
        """The results of all calls in their order, at most PARALLEL at a time. The first error is raised."""
        todo = list(calls)
        if len(todo) < 2:
            return [call() for call in todo]
        if self._threads is None:
            self._threads = ThreadPoolExecutor(PARALLEL, thread_name_prefix="api-request")
        return list(self._threads.map(operator.call, todo))

    def _url(self, path: str, query: Mapping[str, str] | None) -> str:
        return f"{self.server}{path}?{urlencode(query)}" if query else f"{self.server}{path}"

    def _send(
        self,
        method: str,
        url: str,
        subject: ObjectRef | str,
        headers: Mapping[str, str],
        read_s: float,
        payload: bytes | None = None,
    ) -> Any:
        """urllib3's response, its body not read yet; raises HTTPError and OSError.

        401 is answered before a request is handled, so after that any may be sent once more as who we are by now.
        """
        timeout = Timeout(connect=min(CONNECT_TIMEOUT_S, read_s), read=read_s)

        def once() -> Any:
            identity = {"User-Agent": self.user_agent, **self._authorization(subject)}
            body = {} if payload is None else {"body": self._permitted_parts(payload, subject)}
            try:
                answer = self.pool.request(
                    method,
                    url,
                    headers={**headers, **identity},
                    timeout=timeout,
                    retries=False,
                    redirect=False,
                    preload_content=False,
                    **body,
                )
            except (HTTPError, OSError):
                self._on_answer(method, "<error>")
                raise
            self._on_answer(method, str(answer.status))
            return answer

        renewals = self._renewals
        answer = once()
        if answer.status == 401 and self._renewed(renewals):
            answer.close()  # and its connection, which may stand for a certificate that is not valid any more
            answer = once()
        return answer

    def _renewed(self, renewals: int) -> bool:
        """Whether what this transport is known by has been read again since there were so many renewals."""
        with self._credentials:
            if self._renewals == renewals and self._renew():
                self._renewals += 1
            return self._renewals != renewals

    def _authorization(self, subject: ObjectRef | str) -> dict[str, str]:
        """The headers with our credentials; computed each time, because tokens in files are renewed."""
        try:
            with self._credentials:  # the hook that renews them rewrites the configuration in place
                settings = list(self.configuration.auth_settings().values())
        except Exception as exc:  # the hook reads files and runs programs; its text may quote what it has read
            why = exc.strerror if isinstance(exc, OSError) and exc.strerror else type(exc).__name__
            raise Unreachable(f"{subject}: the credentials for {self.server} cannot be read ({why})") from exc
        return {item["key"]: item["value"] for item in settings if item["in"] == "header" and item["value"]}

    def _decode(self, body: bytes, subject: ObjectRef | str) -> dict[str, Any]:
        try:
            answer = decoded(body)
        except ValueError:
            answer = None
        if not isinstance(answer, dict):
            raise Malformed(
                f"{subject}: {self.server} answers with something else than a JSON object; is it an API server?"
            )
        return answer


def _refuse_compressed(answer: Any, subject: ObjectRef | str) -> None:
    """We ask for plain answers, so what is compressed all the same may be a bomb."""
    encoding = answer.headers.get("Content-Encoding", "identity")
    if encoding.strip().lower() not in ("", "identity"):
        answer.close()
        raise Malformed(f"{subject}: the answer is compressed, which was not asked for; is there a proxy in between?")


def _may_be_silent(answer: Any, seconds: float) -> None:
    """From here on the peer may take so long for each part. Without a connection of its own it keeps its time limit."""
    sock = getattr(answer.connection, "sock", None)
    if sock is not None:
        sock.settimeout(seconds)


def connect(settings: ConnectionSettings, environment: Mapping[str, str]) -> Transport:
    """A transport to where the settings point; sends no request yet.

    In this order: host and identity given in full; the kubeconfig in the settings; KUBECONFIG; the service account
    of the pod we are in; ~/.kube/config. Single settings then replace what was found. Raises Misconfigured.
    """
    if _lacking:
        raise _lacking
    from .client_pool import configured_pool  # noqa: PLC0415 # a quarter of a second that only connecting is worth

    configuration, pool = configured_pool(settings, environment, connections=PARALLEL)
    return Transport(configuration, pool, why_no_writes=permit_of(environment))


class _Kept(NamedTuple):
    pid: int
    settings: ConnectionSettings
    environment: Mapping[str, str]
    transport: Transport


_kept: _Kept | None = None


def connected(settings: ConnectionSettings, environment: Mapping[str, str]) -> Transport:
    """Like `connect`, but the tasks of one process that request the same share one transport, which stays open.

    ansible-playbook runs each task in a process of its own, unless an engine runs them in one. A process that was
    forked with an open connection must not use it: what two of them send would be mixed up.
    """
    global _kept  # noqa: PLW0603 - lives as long as the process
    if _kept is None or _kept[:3] != (os.getpid(), settings, environment):
        if _kept is not None and _kept.pid == os.getpid():
            stale, _kept = _kept, None  # also if the next one can't be made
            stale.transport.close()
        _kept = _Kept(os.getpid(), settings, environment, connect(settings, environment))
    return _kept.transport


def _retry_after_s(headers: Mapping[str, str], otherwise_s: float) -> float:
    """Seconds that the server asks to wait; Kubernetes sends a number, a date is not supported."""
    text = headers.get("Retry-After", "")
    asked_s = whole_number(text)
    return otherwise_s if asked_s is None else float(asked_s)


def _is_distrust(exc: Exception) -> bool:
    """Whether the server could not prove its identity, which will be the same the next time."""
    causes = (ssl.SSLCertVerificationError, CertificateError)
    return isinstance(exc, SSLError) and any(isinstance(cause, causes) for cause in exc.args)


def _root_cause(exc: BaseException) -> str:
    """The innermost cause's own words: urllib3 wraps an OSError several times and repeats addresses."""
    while True:
        inner = (
            exc.__cause__ or exc.__context__ or next((arg for arg in exc.args if isinstance(arg, BaseException)), None)
        )
        if inner is None:
            break
        exc = inner
    if isinstance(exc, ssl.SSLCertVerificationError) and exc.verify_message:
        return exc.verify_message
    if isinstance(exc, OSError) and exc.strerror:
        return exc.strerror
    if isinstance(exc, ValueError | IncompleteRead):  # ValueError: of what should be the length of the next part
        return "the answer ended too early"
    return in_one_line(f"{type(exc).__name__} {exc}", 200)
