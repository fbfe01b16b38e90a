"""Events with a refusal in them, in any spelling, any shape and any place that is documented, among grants."""

import json
from typing import Any

from hypothesis import strategies as st

from tests.events.serialised import EMPTY_BESIDE, OBJECTS, shaped

__all__ = ["REFUSING_EVENTS"]

_Object = dict[str, Any]


def _spelling(name: str) -> st.SearchStrategy[str]:
    """Return the ways in which a name may be written: its words joined or not, in any case."""
    words = name.split("_")
    joined = st.sampled_from(
        ["_".join(words), "-".join(words), "".join(words), words[0] + "".join(map(str.title, words[1:]))]
    )
    return joined.flatmap(
        lambda text: st.sampled_from(
            [text, text.upper(), text.title(), text.swapcase(), f"_{text}", f"{text}-", f"x-ga-{text}", f"x-sst-{text}"]
        )
    )


_DENIALS = st.sampled_from(
    [False, "denied", "Denied", "DENIED", " denied ", "false", "no", 0, "0", "", "maybe", [], {}, 2]
)
_YES = st.sampled_from(
    [True, "true", "TRUE", "yes", "y", "t", 1, "1", " Yes ", "maybe", "undefined", 7, [], [True], {}]
)
_NOS = st.sampled_from([False, "false", "no", "n", "f", 0, "0", "FALSE"])


def _typed(value: object) -> st.SearchStrategy[object]:
    """Return a value, some of them in a column of its type or in two."""
    column = "string_value" if isinstance(value, str) else "int_value"
    exported = {"string_value": None, "int_value": None, "double_value": None, column: value}
    return st.sampled_from([value, value, {"value": value}, exported, {"value": exported}])


def _field(name: str, values: st.SearchStrategy[object]) -> st.SearchStrategy[_Object]:
    return st.builds(lambda spelled, value: {spelled: value}, _spelling(name), values.flatmap(_typed))


def _ids(ids: list[str]) -> st.SearchStrategy[object]:
    """Return the shapes of a list: itself, an object with digits for keys, and each as JSON text."""
    as_object = {str(number): item for number, item in enumerate(ids)}
    return st.sampled_from([ids, as_object, json.dumps(ids), json.dumps(as_object), dict.fromkeys(ids, "Ads")])


_CONSENT_MODE = _field("ad_storage", _DENIALS) | _field("ad_user_data", _DENIALS)
_FLAT_REFUSALS = st.one_of(
    _CONSENT_MODE,
    _field("consent", _DENIALS),
    _field("consent_state", _DENIALS),
    *(
        _field(name, _YES)
        for name in ("opt_out", "limit_ad_tracking", "gpc", "non_personalized_ads", "is_limited_ad_tracking")
    ),
    _field("ad_tracking_enabled", _NOS),
    _field("gcs", st.sampled_from(["G100", "g101", " G100 ", "G10-"])),
    _field("gcd", st.sampled_from(["11p1t1t1t5", "13t3t3q3t5", "13m3l3l3l1", "13t3t3u3t5"])),
    _field("us_privacy", st.sampled_from(["1YYN", "1nyn", "1-Y-"])),
)
_PREFERENCES = st.sampled_from([{"Advertising": False}, {"advertising": "denied"}, {"Advertising": {"boolean": False}}])
_REFUSALS = st.one_of(
    _FLAT_REFUSALS,
    # As columns of a table have them that was made of objects.
    st.builds(
        lambda outer, flat: {f"{outer}.{name}": value for name, value in flat.items()},
        st.sampled_from(["consent", "user", "context.consent"]),
        _FLAT_REFUSALS,
    ),
    _field("consent", _CONSENT_MODE),
    _field("consent_state", _CONSENT_MODE.map(lambda types: {"ad_storage": "granted"} | types)),
    _field("consent", _CONSENT_MODE.map(lambda types: {"adStorage": "granted", "update": types})),
    _field("consent", _CONSENT_MODE.map(json.dumps)),
    _field("privacy_info", st.sampled_from(["No", "no", False]).flatmap(lambda no: _field("ads_storage", st.just(no)))),
    _field(
        "consent",
        _field(
            "category_preferences",
            st.one_of(
                _PREFERENCES, _PREFERENCES.map(lambda given: {"0": [], "1": given}), st.sampled_from(["", [], {}])
            ),
        ),
    ),
    _field(
        "consent_management",
        _ids(["Analytics", "Advertising"]).flatmap(lambda ids: _field("denied_consent_ids", st.just(ids))),
    ),
    _field("consent_management", st.just({"allowedConsentIds": [], "deniedConsentIds": []})),
)
_GRANTS = st.lists(
    st.sampled_from(
        [
            {"consent": True},
            {"consent_state": {"ad_storage": True, "ad_user_data": True}},
            {"ad_storage": "granted"},
            {"gcs": "G111"},
            {"gcd": "11t1t1t1t5"},
            {"opt_out": False},
            {"user": {"consent": "granted"}},
            {"context": {"consent": {"categoryPreferences": {"Advertising": True}}}},
            {"privacy_info": {"ads_storage": "Yes"}},
            {"email": "jane@example.com", "order_id": "A1"},
        ]
    ),
    max_size=4,
)


_INNER = ["user", "user_data", "params", "properties", "traits", "context", "device", "userData", "page", "campaign"]


@st.composite
def _shaped(draw: st.DrawFn, part: object) -> object:
    """Return a part in any shape in which something is read, or in two or three of them, one in the other."""
    return shaped(part, {**EMPTY_BESIDE, **OBJECTS}, draw, times=3)


def _placed(refusal: _Object) -> st.SearchStrategy[_Object]:
    """Return events that hold the refusal in the places and shapes that are documented."""

    def rows(part: _Object, key_name: str, value_name: str, column: str) -> list[object]:
        typed = [
            {key_name: key, value_name: {column: value if isinstance(value, str) else json.dumps(value)}}
            for key, value in part.items()
            if value not in ([], {}, "", [True])  # in a column of text these are other values
        ]
        return [typed, {str(number): row for number, row in enumerate(typed)}] if typed else [part]

    inner = st.sampled_from(_INNER)
    columns = [("key", "value", "string_value"), ("Key", "Value", "stringValue"), ("KEY ", "VALUE", "STRING_VALUE")]
    one_deep = st.builds(lambda name, shape: {name: shape}, inner, _shaped(refusal)) | st.sampled_from(
        [part for names in columns for part in rows(refusal, *names)]
    ).flatmap(_shaped).map(lambda part: {"event_params": part})
    two_deep = st.builds(
        lambda name, event: {name: event},
        st.sampled_from(["context", "events", "batch", "conversions", "params"]),
        one_deep.flatmap(_shaped),
    )
    return st.just(refusal) | one_deep | two_deep


def _merged(parts: list[Any]) -> _Object:
    """Put parts into one event; where two have a name in common, under another spelling of it."""
    event: _Object = {}
    for part in parts:
        for name, value in part.items():
            spelled = name
            while spelled in event:
                spelled = f"{spelled}_"
            event[spelled] = value
    return event


REFUSING_EVENTS = st.tuples(_REFUSALS.flatmap(_placed), _GRANTS).flatmap(
    lambda drawn: st.permutations([drawn[0], *drawn[1]]).map(_merged)
)
