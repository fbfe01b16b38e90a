"""The function that people write first: a message comes, a request is signed and sent, the answer decides.

Synchronous, as the framework's first example is, with the framework's default number of threads.
"""

import base64
import hashlib
import json
import os

import flask
import functions_framework
import requests
from requests_oauthlib import OAuth1

__all__ = ["send_conversions"]

_CONFIGURATION = json.loads(os.environ["XCAPI_CONFIG"])
_PIXEL = _CONFIGURATION["default_pixel"]
_URL = f"{_CONFIGURATION['api_base_url']}/12/measurement/conversions/{_PIXEL}"
_EVENT_TAGS = _CONFIGURATION["pixels"][_PIXEL]["event_ids"]


@functions_framework.http
def send_conversions(request: flask.Request) -> tuple[str, int]:
    """Send one event."""
    event = json.loads(base64.b64decode(request.get_json()["message"]["data"]))
    item = event["items"][0]
    conversion = {
        "conversion_time": event["time"],
        "event_id": _EVENT_TAGS[event["event"]],
        "identifiers": [
            {"twclid": event["twclid"]},
            {"hashed_email": hashlib.sha256(event["email"].strip().lower().encode()).hexdigest()},
        ],
        "conversion_id": event["order_id"],
        "value": str(event["value"]),
        "price_currency": event["currency"],
        "contents": [
            {
                "content_id": item["item_id"],
                "content_name": item["item_name"],
                "content_price": str(item["price"]),
                "num_items": item["quantity"],
            }
        ],
    }
    answer = requests.post(_URL, json={"conversions": [conversion]}, auth=OAuth1("ck", "cs", "at", "ats"), timeout=10)
    return ("", 204) if answer.ok else (answer.text, 503)
