"""How the URL of a webhook is read, and how its messages are signed."""

from __future__ import annotations

import base64

import pytest
from hypothesis import given
from hypothesis import strategies as st

from agentpod_server.notifiers import signing
from agentpod_server.notifiers.places import read_place


@pytest.mark.parametrize(
    ("url", "place"),
    [
        ("https://ops.example.com", (True, "ops.example.com", 443, "/", "ops.example.com")),
        ("http://ops.example.com/a/b?c=d&e", (False, "ops.example.com", 80, "/a/b?c=d&e", "ops.example.com")),
        ("HTTPS://Ops.Example.com:8443/", (True, "ops.example.com", 8443, "/", "ops.example.com:8443")),
        ("https://ops.example.com:443?x", (True, "ops.example.com", 443, "/?x", "ops.example.com")),
        ("http://[2001:db8::1]:80/", (False, "2001:db8::1", 80, "/", "[2001:db8::1]")),
        ("http://1.2.3.4:1", (False, "1.2.3.4", 1, "/", "1.2.3.4:1")),
        ("https://xn--bcher-kva.example./", (True, "xn--bcher-kva.example.", 443, "/", "xn--bcher-kva.example.")),
        ("https://my_host/", (True, "my_host", 443, "/", "my_host")),
    ],
)
def test_url_is_read(url, place):
    """A URL gives host, port, path, and the Host header as clients write it."""
    found = read_place(url)
    assert (found.is_secure, found.host, found.port, found.target, found.authority) == place


@pytest.mark.parametrize(
    ("url", "said"),
    [
        ("", "begin with https"),
        ("ops.example.com", "begin with https"),
        ("ftp://hunter2.example/", "begin with https"),
        ("file:///etc/hunter2", "begin with https"),
        ("gopher://hunter2:25/_x", "begin with https"),
        ("javascript:hunter2", "begin with https"),
        ("https://", "name a host"),
        ("https:///hunter2", "name a host"),
        ("https://-hunter2.example/", "name a host"),
        ("https://a..hunter2/", "name a host"),
        ("https://hunter2.example%2e/", "name a host"),
        ("https://" + "a" * 64 + ".hunter2/", "name a host"),
        ("https://[fe80::1%25hunter2]/", "name a host"),
        ("https://user:hunter2@ops.example.com/", "no user and password"),
        ("https://hunter2@ops.example.com/", "no user and password"),
        ("https://@ops.example.com/?hunter2", "no user and password"),
        ("https://ops.example.com:0/hunter2", "a port from 1"),
        ("https://ops.example.com:65536/hunter2", "a port from 1"),
        ("https://ops.example.com:hunter2/", "a port from 1"),
        ("https://ops.example.com/#hunter2", "no fragment"),
        ("https://ops.example.com/#", "no fragment"),
        ("https://bücher.example/hunter2", "visible ASCII"),
        ("https://ops.example.com/hunter2 x", "visible ASCII"),
        ("https://ops.example.com/hunter2\r\nx: y", "visible ASCII"),
        (" https://ops.example.com/hunter2", "visible ASCII"),
        ("https://[::1/hunter2", "brackets"),
    ],
)
def test_url_that_makes_no_sense_is_refused(url, said):
    """What is wrong is told, and nothing of the URL is."""
    with pytest.raises(ValueError, match=said) as caught:
        read_place(url)
    assert "hunter2" not in str(caught.value)


@given(st.text(max_size=60) | st.text("htps:/@[]#?%.ab1é\r\n ", max_size=40).map(lambda one: f"https://{one}"))
def test_url_is_read_or_refused(url):
    """Whatever is typed in, it is a place or it is told why not; a place can be asked for in one line."""
    try:
        place = read_place(url)
    except ValueError:
        return
    assert place.host
    assert 1 <= place.port <= 65_535
    assert place.target.startswith("/")
    assert place.target.isprintable()


def test_signature_is_that_of_the_standard():
    """The example that all libraries of Standard Webhooks are tested with comes out the same."""
    key = signing.read_key("whsec_MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw")
    made = signing.headers(
        [key], message="msg_p5jXN8AQM9LWM0D4loKWxJek", second=1614265330, body=b'{"test": 2432232314}'
    )
    assert made == {
        "webhook-id": "msg_p5jXN8AQM9LWM0D4loKWxJek",
        "webhook-timestamp": "1614265330",
        "webhook-signature": "v1,g0hM9SsE+OTPJTGt/tmIKtSyZlE3uFJELVlNIOLJ1OE=",
    }


@given(st.binary(min_size=24, max_size=64))
def test_key_may_be_of_24_to_64_bytes(key):
    """Any bytes are a key, with the prefix and without, and a line's end from a file is no part of it."""
    text = base64.b64encode(key).decode()
    assert signing.read_key(f"whsec_{text}\n") == signing.read_key(text) == key


@pytest.mark.parametrize("text", ["", "whsec_", "hunter2", "whsec_hunter2=", "whsec_" + "A" * 31, "whsec_é", "A" * 200])
def test_key_that_is_none_is_refused(text):
    """A key that a library could not read, or that is short enough to be guessed, is not taken."""
    with pytest.raises(ValueError, match="whsec_ and 24 to 64") as caught:
        signing.read_key(text)
    assert "hunter2" not in str(caught.value)
