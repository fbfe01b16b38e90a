"""The read endpoints and the three legs, asked with the libraries that people use."""

import re
from typing import Any

import pytest
import requests
from requests_oauthlib import OAuth1, OAuth1Session

from tests.sandbox.client import OTHER_KEYS, PIXEL_TOKEN, conversion, post, signed_by
from xcapi_core.sandbox.config import DEMO_OAUTH_KEYS, OAuthKeys, SandboxConfig
from xcapi_core.sandbox.server import SandboxServer

ACCOUNT = "18ce552mlaq"
FOUR = ("consumer_key", "consumer_secret", "access_token", "access_token_secret")


def get(sandbox: SandboxServer, path: str, keys: OAuthKeys = DEMO_OAUTH_KEYS, **options: Any) -> requests.Response:
    return requests.get(f"{sandbox.url}/12/accounts{path}", auth=signed_by(keys), timeout=60, **options)


def four(keys: OAuthKeys, **more: object) -> dict[str, object]:
    return {name: getattr(keys, name) for name in FOUR} | more


def test_accounts_of_the_user_are_listed(sandbox: SandboxServer) -> None:
    answer = get(sandbox, "").json()
    assert [account["id"] for account in answer["data"]] == [ACCOUNT, "18ce553nmbr"]
    assert answer["next_cursor"] is None
    assert get(sandbox, f"/{ACCOUNT}").json()["data"]["id"] == ACCOUNT


@pytest.mark.parametrize("path", ["", f"/{ACCOUNT}/web_event_tags"])
def test_listing_is_read_page_by_page(sandbox: SandboxServer, path: str) -> None:
    whole = get(sandbox, path).json()["data"]
    first = get(sandbox, path, params={"count": "1"}).json()
    second = get(sandbox, path, params={"count": "1", "cursor": first["next_cursor"]}).json()
    assert first["data"] + second["data"] == whole
    assert (len(whole), second["next_cursor"]) == (2, None)


@pytest.mark.parametrize(
    ("parameter", "value"), [("count", "0"), ("count", "1001"), ("count", "many"), ("count", "²"), ("cursor", "last")]
)
def test_page_that_there_cannot_be_is_refused(sandbox: SandboxServer, parameter: str, value: str) -> None:
    answer = get(sandbox, f"/{ACCOUNT}/web_event_tags", params={parameter: value})
    assert answer.status_code == 400
    assert [error["parameter"] for error in answer.json()["errors"]] == [parameter]


def test_tags_have_name_type_and_status_and_turn_to_tracking_when_seen(sandbox: SandboxServer) -> None:
    def purchase() -> dict[str, Any]:
        return next(tag for tag in get(sandbox, f"/{ACCOUNT}/web_event_tags").json()["data"] if tag["id"] == "o8z21")

    unseen = purchase()
    assert (unseen["name"], unseen["type"], unseen["status"]) == ("purchase", "PURCHASE", "UNVERIFIED")
    assert (unseen["website_tag_id"], unseen["last_tracked_at"]) == ("o8z6j", None)
    assert post(sandbox, conversion(event_id="tw-o8z6j-o8z21")).status_code == 200
    assert purchase()["status"] == "TRACKING"
    assert re.fullmatch(r"\d{4}-\d\d-\d\dT\d\d:\d\d:\d\dZ", purchase()["last_tracked_at"])


def test_role_of_the_user_is_told(sandbox: SandboxServer) -> None:
    sandbox.accept_keys({"oauth": [four(OTHER_KEYS, user_id="42", permissions=["AD_MANAGER"])]})
    answer = get(sandbox, f"/{ACCOUNT}/authenticated_user_access", OTHER_KEYS).json()
    assert answer["data"] == {"user_id": "42", "permissions": ["AD_MANAGER"]}


@pytest.mark.parametrize(
    ("change", "status", "words"),
    [
        ({"consumer_secret": "another"}, 401, "not properly authenticated"),
        ({"ads_api_access": False}, 403, "does not have access to Twitter Ads API"),
        ({"pixel_ids": ["p9q7k"]}, 404, "does not have access to account 18ce552mlaq"),
    ],
)
def test_what_x_refuses_is_refused_in_its_words(
    sandbox: SandboxServer, change: dict[str, object], status: int, words: str
) -> None:
    sandbox.accept_keys({"oauth": [four(OTHER_KEYS) | change]})
    answer = get(sandbox, f"/{ACCOUNT}/web_event_tags", OTHER_KEYS)
    assert answer.status_code == status
    assert words in answer.json()["errors"][0]["message"]


def test_a_pixel_token_reads_nothing(sandbox: SandboxServer) -> None:
    answer = requests.get(f"{sandbox.url}/12/accounts", headers={"X-Pixel-Token": PIXEL_TOKEN}, timeout=60)
    assert answer.status_code == 401


@pytest.mark.parametrize("path", ["/18ce552mlaq/nothing", "/18ce552mlaq/web_event_tags/o8z21"])
def test_other_paths_are_no_route(sandbox: SandboxServer, path: str) -> None:
    assert get(sandbox, path).json()["errors"][0]["code"] == "ROUTE_NOT_FOUND"


def test_new_tag_is_listed_and_accepted() -> None:
    form = {"name": "Trial", "type": "START_TRIAL", "click_window": "30", "view_through_window": "1"}
    with SandboxServer(SandboxConfig(random_seed=1)) as sandbox:
        url = f"{sandbox.url}/12/accounts/{ACCOUNT}/web_event_tags"
        made = requests.post(url, params=form | {"retargeting_enabled": "false"}, auth=signed_by(), timeout=60)
        assert made.status_code == 201
        tag = made.json()["data"]
        assert (tag["name"], tag["type"], tag["website_tag_id"]) == ("Trial", "START_TRIAL", "o8z6j")
        assert tag in get(sandbox, f"/{ACCOUNT}/web_event_tags").json()["data"]
        assert post(sandbox, conversion(event_id=tag["id"])).status_code == 200


def test_tag_without_a_type_or_with_none_of_xs_is_refused(sandbox: SandboxServer) -> None:
    url = f"{sandbox.url}/12/accounts/{ACCOUNT}/web_event_tags"
    answer = requests.post(url, params={"name": "Trial", "type": "TRIAL"}, auth=signed_by(), timeout=60)
    assert answer.status_code == 400
    assert {"click_window", "type"} <= {error["parameter"] for error in answer.json()["errors"]}


def test_form_of_a_new_tag_is_signed_with_the_rest() -> None:
    with SandboxServer(SandboxConfig()) as sandbox:
        url = f"{sandbox.url}/12/accounts/{ACCOUNT}/web_event_tags"
        form = {"name": "A tag & more", "type": "SIGN_UP", "click_window": "30"}
        form |= {"view_through_window": "1", "retargeting_enabled": "false"}
        assert requests.post(url, data=form, auth=signed_by(), timeout=60).status_code == 201
        assert get(sandbox, f"/{ACCOUNT}/web_event_tags").json()["data"][-1]["name"] == "A tag & more"
        signed = requests.Request("POST", url, data=form, auth=signed_by()).prepare()
        signed.prepare_body(form | {"name": "Another"}, files=None)
        assert requests.Session().send(signed, timeout=60).status_code == 401


@pytest.mark.parametrize("place", ["params", "data"])
def test_callback_may_stand_in_the_query_or_in_a_form(sandbox: SandboxServer, place: str) -> None:
    url = f"{sandbox.url}/oauth/request_token"
    app = OAuth1(DEMO_OAUTH_KEYS.consumer_key, DEMO_OAUTH_KEYS.consumer_secret)
    options: dict[str, Any] = {place: {"oauth_callback": "oob"}}
    assert "oauth_callback_confirmed=true" in requests.post(url, auth=app, timeout=60, **options).text


def test_three_legs_give_keys_that_x_takes(sandbox: SandboxServer) -> None:
    keys = three_legs(sandbox, sandbox.url)
    assert post(sandbox, conversion(), auth=signed_by(keys)).status_code == 200
    assert get(sandbox, "", keys).status_code == 200


def test_wrong_pin_gives_nothing_and_a_pin_serves_once(sandbox: SandboxServer) -> None:
    session = app_session()
    token = session.fetch_request_token(f"{sandbox.url}/oauth/request_token")
    before = sandbox.engine.keys
    with pytest.raises(Exception, match="401"):
        session.fetch_access_token(f"{sandbox.url}/oauth/access_token", verifier="0000000")
    assert sandbox.engine.keys == before
    pin = read_pin(sandbox, token["oauth_token"])
    session.fetch_access_token(f"{sandbox.url}/oauth/access_token", verifier=pin)
    again = requests.get(f"{sandbox.url}/oauth/authorize?oauth_token={token['oauth_token']}", timeout=60)
    assert again.status_code == 403


def test_an_unknown_app_gets_no_request_token(sandbox: SandboxServer) -> None:
    session = OAuth1Session("nobody", client_secret="nothing", callback_uri="oob")
    with pytest.raises(Exception, match="401"):
        session.fetch_request_token(f"{sandbox.url}/oauth/request_token")


def app_session() -> OAuth1Session:
    return OAuth1Session(
        DEMO_OAUTH_KEYS.consumer_key, client_secret=DEMO_OAUTH_KEYS.consumer_secret, callback_uri="oob"
    )


def read_pin(sandbox: SandboxServer, token: str) -> str:
    page = requests.get(f"{sandbox.url}/oauth/authorize", params={"oauth_token": token}, timeout=60)
    found = re.search(r'<code id="pin">(\d{7})</code>', page.text)
    assert found, page.text
    return found[1]


def three_legs(sandbox: SandboxServer, base: str) -> OAuthKeys:
    session = app_session()
    token = session.fetch_request_token(f"{base}/oauth/request_token")
    access = session.fetch_access_token(f"{base}/oauth/access_token", verifier=read_pin(sandbox, token["oauth_token"]))
    return OAuthKeys(
        consumer_key=DEMO_OAUTH_KEYS.consumer_key,
        consumer_secret=DEMO_OAUTH_KEYS.consumer_secret,
        access_token=access["oauth_token"],
        access_token_secret=access["oauth_token_secret"],
    )
