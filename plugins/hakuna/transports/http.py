# SPDX-License-Identifier: Apache-2.0
"""Sends one HTTP request with requests; every transport that reaches a real port uses it."""

from __future__ import annotations

import socket
import threading
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from typing import TYPE_CHECKING

from hakuna.evidence import HttpAnswer, HttpRequest

if TYPE_CHECKING:
    import requests

#: Bytes of one answer that are kept; a service that sends more is in error.
BODY_LIMIT = 32_000_000

_CHUNK = 65536


@dataclass
class _Progress:
    """What has arrived so far; the caller reads it when the deadline passes before the end."""

    start: float
    status: int = 0
    headers: dict[str, str] = field(default_factory=dict)
    chunks: list[tuple[float, bytes]] = field(default_factory=list)
    error: str = ""
    end: float = 0.0
    done: threading.Event = field(default_factory=threading.Event)
    given_up: threading.Event = field(default_factory=threading.Event)


def send(
    request: HttpRequest, base_url: str, api_key: str, *, dial: Callable[[], socket.socket] | None = None
) -> HttpAnswer:
    """Send ``request`` to ``base_url`` ("http://10.0.0.1:23333") and wait for the answer's end.

    ``api_key`` goes as a bearer token when the request asks for it. ``dial`` gives the connection instead of a TCP
    connection to the URL's host. The proxies and ``.netrc`` of the environment are not used, and no
    redirect is followed (it could carry the key elsewhere). The whole exchange ends within ``request.deadline``
    seconds. Nothing that the network or the service does raises: ``error`` says it in words. When the answer broke
    off in its middle, ``error`` is set beside the ``status`` and what had arrived.
    """
    if request.authorize and not all(" " < c <= "~" for c in api_key):
        return HttpAnswer(request.id, error="the API key holds characters that no HTTP header can carry")
    progress = _Progress(time.monotonic())
    # A thread, as the libraries bound each read but not their sum.
    worker = threading.Thread(
        target=_exchange, args=(request, base_url, api_key, dial, progress), name=f"http-{request.id}", daemon=True
    )
    worker.start()
    finished = progress.done.wait(request.deadline)
    seconds = (progress.end if finished else time.monotonic()) - progress.start
    chunks = tuple(progress.chunks)
    error = progress.error
    if not finished:
        progress.given_up.set()
        error = f"timeout: no end within {request.deadline:g} s" + ("" if progress.status else ", and no answer at all")
    if api_key:
        error = error.replace(api_key, "***")
    return HttpAnswer(
        request.id,
        progress.status,
        dict(progress.headers),
        b"".join(data for _, data in chunks),
        chunks if request.stream else (),
        seconds,
        chunks[0][0] if chunks else seconds if progress.status else 0.0,
        error,
    )


def _exchange(
    request: HttpRequest,
    base_url: str,
    api_key: str,
    dial: Callable[[], socket.socket] | None,
    progress: _Progress,
) -> None:
    import requests  # start-up budget: only runs that send HTTP pay for it
    import urllib3

    headers = {"Accept-Encoding": "identity", **request.headers}
    if request.body:
        headers.setdefault("Content-Type", "application/json")
    if request.authorize and api_key:
        headers["Authorization"] = f"Bearer {api_key}"
    # Said unless the end is reached, whatever keeps it from that.
    progress.error = "the exchange failed"
    try:
        with requests.Session() as session:
            session.trust_env = False
            if dial is not None:
                session.mount("http://", _dialling_adapter(dial))
            with session.request(
                request.method,
                base_url.rstrip("/") + request.path,
                data=request.body or None,
                headers=headers,
                stream=True,
                timeout=request.deadline,
                allow_redirects=False,
            ) as response:
                progress.headers = dict(response.headers)
                progress.status = response.status_code
                size = 0
                for data in _pieces(response):
                    size += len(data)
                    if progress.given_up.is_set():
                        return
                    if size > BODY_LIMIT:
                        progress.error = f"the answer is longer than {BODY_LIMIT} bytes"
                        return
                    progress.chunks.append((time.monotonic() - progress.start, data))
        progress.error = ""
    except (requests.RequestException, urllib3.exceptions.HTTPError, OSError, ValueError) as error:
        progress.error = words(error, request.deadline)
    finally:
        progress.end = time.monotonic()
        progress.done.set()


def _pieces(response: requests.Response) -> Iterator[bytes]:
    """The body in pieces as they arrive, not gathered into blocks."""
    read1 = getattr(response.raw, "read1", None)
    if getattr(response.raw, "chunked", False) or read1 is None:
        yield from response.iter_content(chunk_size=None)
        return
    while data := read1(_CHUNK):
        yield data


def words(error: BaseException, deadline: float) -> str:
    """An error of the HTTP libraries in plain words; the innermost cause is the one that tells."""
    import http.client  # see _exchange

    import requests

    seen: set[int] = set()
    found: BaseException | None = error
    inner: BaseException = error
    while found is not None and id(found) not in seen:
        seen.add(id(found))
        inner = found
        nested = [a for a in found.args if isinstance(a, BaseException)]
        found = getattr(found, "reason", None) if isinstance(getattr(found, "reason", None), BaseException) else None
        found = found or inner.__cause__ or (nested[0] if nested else None)
        found = found or (None if inner.__suppress_context__ else inner.__context__)
    if isinstance(inner, ConnectionRefusedError):
        return "refused: " + (str(inner) if inner.errno is None else "nothing listens on that port")
    if isinstance(inner, socket.gaierror):
        return f"unknown name: {inner.strerror}"
    if isinstance(inner, TimeoutError) or isinstance(error, requests.Timeout):
        return f"timeout: no answer within {deadline:g} s"
    if isinstance(inner, (ConnectionResetError, BrokenPipeError, http.client.IncompleteRead)):
        return "connection broken: the service closed it before the answer's end"
    if type(inner) is OSError and inner.errno is None:
        return str(inner)  # a dialler's own words
    return f"{type(inner).__name__}: {inner}"[:300]


def _dialling_adapter(dial: Callable[[], socket.socket]) -> requests.adapters.HTTPAdapter:
    """A requests adapter whose connections come from ``dial``."""
    import urllib3  # see _exchange
    from requests.adapters import HTTPAdapter  # see _exchange

    class DiallingConnection(urllib3.connection.HTTPConnection):
        def _new_conn(self) -> socket.socket:
            return dial()

    class DiallingPool(urllib3.connectionpool.HTTPConnectionPool):
        ConnectionCls = DiallingConnection

    adapter = HTTPAdapter(max_retries=0)
    adapter.poolmanager.pool_classes_by_scheme = {"http": DiallingPool}
    return adapter


def base_url(host: str, port: int) -> str:
    """``http://HOST:PORT``, with an IPv6 address in brackets."""
    return f"http://[{host}]:{port}" if ":" in host else f"http://{host}:{port}"
