"""Signatures: the published vectors, then what a server has to refuse."""

import json
from dataclasses import replace
from pathlib import Path
from typing import Any
from urllib.parse import quote

import pytest
import requests
from requests_oauthlib import OAuth1

from tests.sandbox.client import signed_by
from xcapi_core.sandbox.config import DEMO_OAUTH_KEYS, DEMO_PIXEL_TOKENS, KeyRing, OAuthKeys
from xcapi_core.sandbox.signatures import Authentication, NonceStore, authenticate

VECTORS: dict[str, dict[str, Any]] = json.loads(
    (Path(__file__).parent.parent / "vectors" / "oauth1.json").read_text(encoding="utf-8")
)
PUBLISHED = VECTORS["x_creating_a_signature"]
VECTOR_KEYS = OAuthKeys(
    consumer_key=PUBLISHED["consumer_key"],
    consumer_secret=PUBLISHED["consumer_secret"],
    access_token=PUBLISHED["token"],
    access_token_secret=PUBLISHED["token_secret"],
)
URL = "http://127.0.0.1:8089/12/measurement/conversions/o8z6j"
RING = KeyRing(oauth=(DEMO_OAUTH_KEYS,), pixel_tokens=DEMO_PIXEL_TOKENS)
NOW = 1_790_000_000.0


def vector_request(vector: dict[str, Any]) -> requests.PreparedRequest:
    signer = signed_by(VECTOR_KEYS, nonce=PUBLISHED["nonce"], timestamp=PUBLISHED["timestamp"])
    if "form_body" in vector:
        return requests.Request("POST", vector["url"], data=vector["form_body"], auth=signer).prepare()
    return requests.Request("POST", vector["url"], json={"conversions": [vector["json_body"]]}, auth=signer).prepare()


def authorization_of(request: requests.PreparedRequest) -> str:
    # requests-oauthlib leaves bytes where the types promise text.
    value: Any = request.headers["Authorization"]
    return value.decode() if isinstance(value, bytes) else str(value)


@pytest.mark.parametrize("name", list(VECTORS))
def test_client_library_signs_the_published_vectors(name: str) -> None:
    # Percent-encoded, as RFC 5849 section 3.5.1 has it.
    expected = quote(VECTORS[name]["signature"], safe="")
    assert f'oauth_signature="{expected}"' in authorization_of(vector_request(VECTORS[name]))


def test_server_side_accepts_the_vector_over_a_json_body() -> None:
    vector = VECTORS["json_body_is_not_signed"]
    found = authenticate(
        url=vector["url"],
        method="POST",
        headers={"authorization": authorization_of(vector_request(vector)), "content-type": "application/json"},
        pixel_id="o8z6j",
        keys=KeyRing(oauth=(VECTOR_KEYS,)),
        nonces=NonceStore(),
        now=float(PUBLISHED["timestamp"]),
    )
    assert found == Authentication(kind="oauth1", keys=VECTOR_KEYS)


def sign(
    url: str = URL, keys: OAuthKeys = DEMO_OAUTH_KEYS, at: float = NOW, method: str = "POST", **options: Any
) -> str:
    signer = signed_by(keys, timestamp=str(int(at)), **options)
    return authorization_of(requests.Request(method, url, json={}, auth=signer).prepare())


def check(authorization: str, *, url: str = URL, nonces: NonceStore | None = None) -> Authentication:
    return check_headers({"authorization": authorization}, url=url, nonces=nonces)


def check_headers(headers: dict[str, str], *, url: str = URL, nonces: NonceStore | None = None) -> Authentication:
    return authenticate(
        url=url,
        method="POST",
        headers=headers,
        pixel_id="o8z6j",
        keys=RING,
        nonces=nonces or NonceStore(),
        now=NOW,
    )


def test_good_signature_is_accepted() -> None:
    assert check(sign()) == Authentication(kind="oauth1", keys=DEMO_OAUTH_KEYS)


def test_query_parameters_are_part_of_the_signature() -> None:
    assert not check(sign(URL + "?a=1&b=x%20y"), url=URL + "?a=1&b=x%20y").refused_because
    assert "does not match" in check(sign(URL + "?a=1"), url=URL + "?a=2").refused_because


def test_scheme_and_host_are_compared_without_case_and_default_port() -> None:
    assert not check(sign("http://Example.COM/x"), url="http://example.com:80/x").refused_because


@pytest.mark.parametrize("off_s", [-300, 0, 300])
def test_timestamp_within_tolerance_is_accepted(off_s: int) -> None:
    assert not check(sign(at=NOW + off_s)).refused_because


@pytest.mark.parametrize(("off_s", "words"), [(-301, "301 s ago"), (301, "301 s ahead")])
def test_timestamp_beyond_tolerance_is_refused(off_s: int, words: str) -> None:
    assert words in check(sign(at=NOW + off_s)).refused_because


def test_a_request_that_comes_twice_is_refused_the_second_time() -> None:
    nonces, authorization = NonceStore(), sign()
    assert not check(authorization, nonces=nonces).refused_because
    assert "nonce" in check(authorization, nonces=nonces).refused_because


def test_refused_request_does_not_use_up_its_nonce() -> None:
    nonces = NonceStore()
    stranger = replace(DEMO_OAUTH_KEYS, consumer_secret="wrong")
    assert check(sign(keys=stranger, nonce="n1"), nonces=nonces).refused_because
    assert not check(sign(nonce="n1"), nonces=nonces).refused_because


def test_nonce_store_forgets_the_oldest_first() -> None:
    store = NonceStore(capacity=2)
    for nonce in "abc":
        store.add([nonce])
    assert [store.holds([nonce]) for nonce in "abc"] == [False, True, True]


FOUR_NAMES = ("consumer_key", "consumer_secret", "access_token", "access_token_secret")


def _with_wrong(changed: str) -> OAuthKeys:
    consumer_key, consumer_secret, access_token, access_token_secret = (
        "wrong" if name == changed else getattr(DEMO_OAUTH_KEYS, name) for name in FOUR_NAMES
    )
    return OAuthKeys(
        consumer_key=consumer_key,
        consumer_secret=consumer_secret,
        access_token=access_token,
        access_token_secret=access_token_secret,
    )


@pytest.mark.parametrize(
    ("changed", "words"),
    [
        ("consumer_key", "consumer key is not known"),
        ("consumer_secret", "does not match"),
        ("access_token", "access token is not known"),
        ("access_token_secret", "does not match"),
    ],
)
def test_each_wrong_key_is_refused_and_the_log_says_which(changed: str, words: str) -> None:
    refused = check(sign(keys=_with_wrong(changed)))
    assert words in refused.refused_because
    assert refused.keys is None
    assert not any(getattr(DEMO_OAUTH_KEYS, name) in repr(refused) for name in FOUR_NAMES)


def test_other_signature_methods_are_refused() -> None:
    assert "HMAC-SHA1" in check(sign(signature_method="HMAC-SHA256")).refused_because
    assert "HMAC-SHA1" in check(sign(signature_method="PLAINTEXT")).refused_because


def test_request_without_user_context_is_refused() -> None:
    signer = OAuth1(DEMO_OAUTH_KEYS.consumer_key, DEMO_OAUTH_KEYS.consumer_secret, timestamp=str(int(NOW)))
    refused = check(authorization_of(requests.Request("POST", URL, json={}, auth=signer).prepare()))
    assert "access token is not known" in refused.refused_because


def test_signature_over_another_method_or_path_is_refused() -> None:
    assert "does not match" in check(sign(method="GET")).refused_because
    assert "does not match" in check(sign(URL.replace("o8z6j", "p9q7k"))).refused_because


@pytest.mark.parametrize(
    "header",
    [
        "OAuth ",
        "OAuth nonsense",
        'OAuth oauth_nonce="%zz"',
        'OAuth oauth_consumer_key="a", oauth_consumer_key="b"',
        (
            'OAuth oauth_consumer_key="a",oauth_nonce="n",oauth_timestamp="soon",oauth_signature="s",'
            'oauth_signature_method="HMAC-SHA1"'
        ),
        (
            'OAuth oauth_consumer_key="a",oauth_nonce="n",oauth_timestamp="1790000000",oauth_signature="\xff",'
            'oauth_signature_method="HMAC-SHA1"'
        ),
        "Bearer abc",
        "",
    ],
)
def test_unreadable_authorization_is_refused_and_nothing_raises(header: str) -> None:
    assert check(header).refused_because


def test_pixel_token_of_this_pixel_is_accepted() -> None:
    token = DEMO_PIXEL_TOKENS["o8z6j"][0]
    assert check_headers({"x-pixel-token": token}) == Authentication(kind="pixel_token")


@pytest.mark.parametrize("token", ["", "wrong", "\xff", DEMO_PIXEL_TOKENS["p9q7k"][0]])
def test_any_other_token_is_refused(token: str) -> None:
    assert check_headers({"x-pixel-token": token}).refused_because


def test_keys_never_show_in_a_repr() -> None:
    shown = repr(RING) + repr(DEMO_OAUTH_KEYS)
    hidden = [DEMO_OAUTH_KEYS.consumer_secret, DEMO_OAUTH_KEYS.access_token, DEMO_OAUTH_KEYS.access_token_secret]
    assert not [secret for secret in [*hidden, DEMO_PIXEL_TOKENS["o8z6j"][0]] if secret in shown]
