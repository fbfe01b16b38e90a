"""Signs requests with requests-oauthlib and posts them to X, each within one limit for all of it."""

import asyncio
import time
from concurrent.futures import ThreadPoolExecutor
from http.cookiejar import DefaultCookiePolicy

import requests

from xcapi_core.adapters.abortable import AbortableAdapter, Aborted, Attempt, attempting
from xcapi_core.adapters.signing import may_carry_token, signer_of
from xcapi_core.x_api.credentials import Credentials, PixelToken
from xcapi_core.x_api.protocol import MAX_RESPONSE_BYTES, HttpRequest, HttpResponse, TransportFailure

__all__ = ["XSession"]

_CHUNK_BYTES = 16_384
# Threads beyond the requests in flight: one that hangs in a name look-up cannot be woken, and must not block others.
_SPARE_THREADS = 16


class XSession:
    """One pool of connections to X.

    `requests` blocks, so each post runs in a thread; its timeouts are for single socket operations, so a watchdog on
    the event loop ends the whole request (a server that sends a byte a second would hold it open for ever).
    """

    def __init__(self, *, max_in_flight: int) -> None:
        self._threads = ThreadPoolExecutor(max_workers=max_in_flight + _SPARE_THREADS, thread_name_prefix="x")
        self._attempts: set[Attempt] = set()
        self._session = _Session()
        # A .netrc entry would replace the signature, and a proxy from the environment would see the conversions.
        self._session.trust_env = False
        self._session.cookies.set_policy(DefaultCookiePolicy(allowed_domains=[]))
        adapter = AbortableAdapter(pool_connections=4, pool_maxsize=max_in_flight + _SPARE_THREADS, max_retries=0)
        self._session.mount("https://", adapter)
        self._session.mount("http://", adapter)

    async def post(
        self, request: HttpRequest, credentials: Credentials, timeout_s: float
    ) -> HttpResponse | TransportFailure:
        """Sign and send; return X's answer, or why there is none. The limit holds for everything together."""
        if isinstance(credentials, PixelToken) and not may_carry_token(request.url):
            return TransportFailure("insecure")
        attempt = Attempt()
        self._attempts.add(attempt)
        # A request that waited for a thread, behind others that hung, is not worth starting with so little time left.
        latest_start = time.monotonic() + timeout_s / 2
        try:
            future = asyncio.get_running_loop().run_in_executor(
                self._threads, self._post, request, credentials, timeout_s, latest_start, attempt
            )
            done, _ = await asyncio.wait({future}, timeout=timeout_s)
            if done:
                return future.result()
            attempt.abort()
            return TransportFailure("timeout")
        finally:
            self._attempts.discard(attempt)

    def abort(self) -> None:
        """End every request that is under way, as at the end of a shutdown."""
        for attempt in tuple(self._attempts):
            attempt.abort()

    def _post(
        self,
        request: HttpRequest,
        credentials: Credentials,
        timeout_s: float,
        latest_start: float,
        attempt: Attempt,
    ) -> HttpResponse | TransportFailure:
        if time.monotonic() > latest_start:
            return TransportFailure("timeout")
        with attempting(attempt):
            while True:
                try:
                    return self._send(request, credentials, timeout_s, attempt)
                except (requests.RequestException, Aborted, OSError, ValueError) as error:
                    if not isinstance(error, requests.Timeout) and attempt.begin_again():
                        continue
                    # The exception's text holds the URL and at times the request; its kind is enough.
                    if attempt.aborted or isinstance(error, requests.Timeout):
                        return TransportFailure("timeout")
                    return TransportFailure("broken" if attempt.connected else "connection")

    def _send(
        self, request: HttpRequest, credentials: Credentials, timeout_s: float, attempt: Attempt
    ) -> HttpResponse | TransportFailure:
        # Signed for each try: X takes a nonce once.
        prepared = self._session.prepare_request(
            requests.Request(
                "POST", request.url, headers=request.headers, data=request.body, auth=signer_of(credentials)
            )
        )
        # A redirect is never followed: it would carry a signature, or a token, to somewhere else.
        with self._session.send(
            prepared, timeout=timeout_s, stream=True, allow_redirects=False, verify=True
        ) as response:
            body = _read_body(response)
            if attempt.aborted:
                return TransportFailure("timeout")
            return HttpResponse(
                status=response.status_code,
                headers={name.lower(): value for name, value in response.headers.items()},
                body=body,
            )


class _Session(requests.Session):
    """Takes a redirect for an answer like any other.

    Even with `allow_redirects=False`, requests would work out the next request, and read the answer's whole body first,
    however long it is.
    """

    def get_redirect_target(self, resp: requests.Response) -> None:
        """Return where the answer leads: nowhere."""


def _read_body(response: requests.Response) -> bytes:
    """Read up to the limit and no further; an endless or broken body ends here, with what came of it.

    The status has arrived by now and counts: a 400 whose body breaks off is a 400.
    """
    body = bytearray()
    try:
        for chunk in response.iter_content(_CHUNK_BYTES):
            body += chunk
            if len(body) > MAX_RESPONSE_BYTES:
                break
    except requests.RequestException:
        pass
    return bytes(body)
