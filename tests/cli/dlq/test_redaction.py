"""What looks personal or secret is masked in text that is shown, whatever the text is."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from xcapi_core.cli.dlq.redaction import redact


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("mail alice@example.com, bob+x%40sub.example.co.uk!", "mail [email], [email]!"),
        ("from 203.0.113.9:443", "from [ip]:443"),
        ("Listening at: http://127.0.0.1:8080 (12345)", "Listening at: http://127.0.0.1:8080 (12345)"),
        ("bound to 0.0.0.0", "bound to 0.0.0.0"),
        ("from 127.0.0.11", "from [ip]"),
        ("from 2001:db8::8a2e:370:7334 and ::1", "from [ip] and [ip]"),
        ("from 2001:0db8:0000:0000:0000:ff00:0042:8329", "from [ip]"),
        ("at 12:34:56 on 2026-04-20", "at 12:34:56 on 2026-04-20"),
        ("call +49 (151) 234-567-8 or 0151 234 567 89", "call [phone] or [phone]"),
        ("Worker (pid:1234567) exited with code 3", "Worker (pid:1234567) exited with code 3"),
        ("973dfe463ec85785f5f95af5ba3906eedb2d931c24e69824a89ea65dba4e813b", "[hex]"),
        ("973DFE463EC85785F5F95AF5BA3906EE.", "[hex]."),
        ('Authorization: OAuth oauth_consumer_key="a", oauth_signature="b%3D"', "Authorization [masked]"),
        ("{'Authorization': 'Bearer abc'}", "{'Authorization [masked]"),
        (
            'OAuth oauth_consumer_key="ab", oauth_nonce="cd"',
            'OAuth oauth_consumer_key=[masked]", oauth_nonce=[masked]"',
        ),
        ("sent Bearer abcdefgh.ijk-l", "sent Bearer [masked]"),
        ("X-Pixel-Token: abc", "X-Pixel-Token [masked]"),
        ("User-Agent: Mozilla/5.0 (X11; Linux)", "User-Agent [masked]"),
        ("client Mozilla/5.0 (X11; Linux) said\nno", "client [user agent]\nno"),
        ("access_token=abc&x=y", "access_token=[masked]&x=y"),
        ('{"consumer_secret": "abc", "n": 1}', '{"consumer_secret": "[masked]", "n": 1}'),
        ('{\\"twclid\\": \\"abc\\"}', '{\\"twclid\\": \\"[masked]\\"}'),
        ("twclid=abc", "twclid=[masked]"),
        ("ip_address=198.51.100.1", "ip_address=[masked]"),
        ("GET /12/x?twclid=abc&b=c HTTP/1.1", "GET /12/x?[query] HTTP/1.1"),
        ("is it?", "is it?"),
        ("key dGhpcyBpcyBhIHNlY3JldC90b2tlbg== used", "key [token] used"),
        ("key AAAAAAAAAAAAAAAAAAAAAMLheAAAAAAA0xBeNU used", "key [token] used"),
        ("uvicorn_worker.UvicornWorker /usr/lib/python3.11/site-packages/functions_framework/aio/__init__.py",) * 2,
        ("Booting worker with pid: 12345", "Booting worker with pid: 12345"),
    ],
)
def test_text_of_others_loses_what_may_be_personal_or_secret(text: str, expected: str) -> None:
    assert redact(text) == expected


def test_a_long_text_is_cut_after_masking_and_never_through_a_word() -> None:
    assert len(redact("word " * 10_000)) <= 2_001
    assert redact("a" * 19_990 + " alice@example.com" + "m" * 100).find("alice") == -1
    assert redact("x" * 30_000) == "[text of 30000 characters]"


@given(st.text(alphabet=st.characters(codec="utf-8"), max_size=300))
def test_redaction_takes_any_text_and_masked_text_stays_as_it_is_masked(text: str) -> None:
    assert "alice@example.com" not in redact(f"{text} alice@example.com {text}")


@pytest.mark.parametrize(
    "part", ["a", "1", "a1", "a.b", ":", "ab:", "%40", "oauth_", "1.", "token", "1 ", "?a=", "a-", "Aa1/"]
)
def test_redaction_reads_hostile_text_in_time(part: str) -> None:
    """A pattern that backtracks over 20,000 characters would run into the suite's time-out."""
    for _ in range(20):
        redact(part * (20_000 // len(part)))
