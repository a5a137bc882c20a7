from __future__ import annotations

import asyncio

import pytest
from argon2 import PasswordHasher
from argon2.profiles import CHEAPEST

from agentpod_core import AgentPodError, Entrypoints, SecretRef, TemporaryError
from agentpod_server.api.streams import text_lines
from agentpod_server.records import Scope
from agentpod_server.services.addresses import Addresses
from agentpod_server.services.asked import is_image
from agentpod_server.services.attempts import Attempts
from agentpod_server.services.config import merge_patch, references
from agentpod_server.services.cursors import Cursors
from agentpod_server.services.identity import csrf_token, is_csrf_token
from agentpod_server.services.passwords import Passwords


class Clock:
    """A clock that a test owns."""

    def __init__(self):
        self.at = 1000.0

    def monotonic(self):
        return self.at


@pytest.mark.parametrize(
    ("target", "patch", "wanted"),
    [
        ({"a": "b"}, {"a": "c"}, {"a": "c"}),
        ({"a": "b"}, {"b": "c"}, {"a": "b", "b": "c"}),
        ({"a": "b"}, {"a": None}, {}),
        ({"a": ["b"]}, {"a": "c"}, {"a": "c"}),
        ({"a": {"b": "c"}}, {"a": {"b": "d", "c": None}}, {"a": {"b": "d"}}),
        ({"a": [{"b": "c"}]}, {"a": [1]}, {"a": [1]}),
        ({}, {"a": {"bb": {"ccc": None}}}, {"a": {"bb": {}}}),
        ({"a": {"$secret": True}}, {"a": "new"}, {"a": "new"}),
        ({"a": "old"}, {"a": {"$secret": True}}, {"a": {"$secret": True}}),
        ({"a": {"$secret": True}}, {"a": {"key": "x"}}, {"a": {"key": "x"}}),
    ],
)
def test_a_merge_patch_is_applied_as_rfc_7396_says(target, patch, wanted):
    """The RFC's examples hold, and a mask takes no part in what replaces it."""
    assert merge_patch(target, patch) == wanted


def test_a_merge_patch_leaves_its_target_alone():
    """The value that is patched is not changed itself."""
    target = {"a": {"b": 1}}
    merge_patch(target, {"a": {"b": 2}})
    assert target == {"a": {"b": 1}}


def test_references_are_found_wherever_they_are():
    """Every stored reference of a config is found, and nothing that only looks a little like one."""
    ref = {"key": "k", "store": "postgres", "version": 2}
    value = {"a": ref, "b": [{"c": ref}], "d": {"key": "x"}, "e": "text"}
    assert references(value) == [SecretRef(key="k", version=2)] * 2


@pytest.mark.parametrize(
    ("name", "fine"),
    [
        ("talker:1", True),
        ("registry.test:5000/team/talker:1.2", True),
        ("talker@sha256:" + "a" * 64, True),
        ("agentpod-echo", True),
        ("No", False),
        ("a b", False),
        ("a\n", False),
        ("", False),
        ("-a", False),
        ("a" * 500, False),
    ],
)
def test_names_of_images_are_known(name, fine):
    """What can be an image's name passes, and nothing else."""
    assert is_image(name) is fine


@pytest.mark.parametrize(
    ("points", "origins"),
    [
        (Entrypoints(), ("https://a.example.org", "http://a.example.org")),
        (Entrypoints(http=8080, https=None), ("http://a.example.org:8080",)),
        (Entrypoints(http=80, https=8443), ("https://a.example.org:8443", "http://a.example.org")),
    ],
)
def test_origins_leave_usual_ports_out(points, origins):
    """An origin is written as browsers write it, HTTPS first."""
    assert Addresses(domain="example.org", entrypoints=points).origins("a") == origins


def test_a_cursor_is_bound_to_reader_listing_and_filters():
    """A cursor read by another tenant, for another listing or filter, or under another key is refused."""
    cursors, scope = Cursors(b"key"), Scope(tenant_id="t1")
    cursor = cursors.write(scope, "pods", {"phase": "running"}, ("acme", "main"))
    assert cursors.read(scope, "pods", {"phase": "running"}, cursor) == ("acme", "main")
    for reader, other, listing, filters in (
        (cursors, Scope(), "pods", {"phase": "running"}),
        (cursors, scope, "tenants", {"phase": "running"}),
        (cursors, scope, "pods", {"phase": "stopped"}),
        (Cursors(b"other"), scope, "pods", {"phase": "running"}),
    ):
        with pytest.raises(AgentPodError, match="BadCursor"):
            reader.read(other, listing, filters, cursor)


def test_failures_are_forgotten_after_a_quarter_of_an_hour():
    """Five failures within 15 minutes stop an address with that login, and no other."""
    clock = Clock()
    attempts = Attempts(clock)
    for _ in range(5):
        attempts.admit("a", "admin")
        attempts.failed("a", "admin")
    with pytest.raises(TemporaryError, match="TooManyLogins") as refused:
        attempts.admit("a", "admin")
    assert 1 <= refused.value.retry_after <= 900
    attempts.admit("b", "admin")
    attempts.admit("a", "other")
    clock.at += 900
    attempts.admit("a", "admin")


def test_an_address_that_tries_many_logins_is_stopped_too():
    """Thirty failures from one address stop it for every login."""
    attempts = Attempts(Clock())
    for number in range(30):
        attempts.failed("a", f"user{number}")
    with pytest.raises(TemporaryError):
        attempts.admit("a", "admin")


def test_a_right_password_costs_its_address_nothing():
    """Whoever logs in often, and rightly, is never stopped."""
    attempts = Attempts(Clock())
    for _ in range(100):
        attempts.admit("a", "admin")
        attempts.failed("a", "admin")
        attempts.succeeded("a", "admin")


def test_an_ipv6_household_is_one_guesser():
    """Somebody has 2^64 addresses at least; the network counts. Another network is somebody else."""
    attempts = Attempts(Clock())
    for number in range(5):
        attempts.failed(f"2001:db8:1:2::{number:x}", "admin")
    with pytest.raises(TemporaryError):
        attempts.admit("2001:db8:1:2:ffff::1", "admin")
    attempts.admit("2001:db8:1:3::1", "admin")


def test_what_is_remembered_of_guessers_is_bounded():
    """However many addresses guess, at logins however long, memory stays small."""
    attempts = Attempts(Clock())
    for number in range(10_000):
        attempts.failed(f"address{number}", "admin" * 1000)
    assert len(attempts._failures) <= 4096
    assert max(len(login or "") for _, login in attempts._failures) <= 80


async def test_a_password_is_checked_without_saying_whether_the_user_exists():
    """A right password fits, a wrong one and a missing user do not; rubbish as hash is a no."""
    passwords = Passwords(PasswordHasher.from_parameters(CHEAPEST))
    stored = await passwords.hash("right")
    assert "right" not in stored
    assert await passwords.is_right("right", stored)
    assert not await passwords.is_right("wrong", stored)
    assert not await passwords.is_right("nobody has this password", None)
    assert not await passwords.is_right("right", "rubbish")


async def test_waiting_password_checks_are_bounded():
    """When too many checks wait already, the next is refused instead of piling up."""
    passwords = Passwords(PasswordHasher.from_parameters(CHEAPEST))
    checks = [asyncio.create_task(passwords.is_right("x", None)) for _ in range(60)]
    outcomes = await asyncio.gather(*checks, return_exceptions=True)
    assert sum(isinstance(one, TemporaryError) for one in outcomes) == 28
    assert not await passwords.is_right("x", None)


def test_the_default_profile_is_owasps():
    """Hashes are argon2id with 19 MiB, two passes, one lane."""
    hasher = Passwords()._hasher
    assert (hasher.type.name, hasher.memory_cost, hasher.time_cost, hasher.parallelism) == ("ID", 19_456, 2, 1)


def test_a_csrf_token_belongs_to_its_session():
    """The token of one session does not fit another, and does not give the session away."""
    token = csrf_token("session-a")
    assert is_csrf_token("session-a", token)
    assert not is_csrf_token("session-b", token)
    assert not is_csrf_token("session-a", "\u00e4")
    assert "session-a" not in token


async def test_lines_that_come_fast_go_out_together():
    """Lines are put together to chunks, in order, each with its end."""

    async def lines():
        for number in range(1000):
            yield str(number).encode()

    chunks = [chunk async for chunk in text_lines(lines(), lambda: False)]
    assert b"".join(chunks) == b"".join(b"%d\n" % number for number in range(1000))


async def test_lines_end_with_the_server_and_their_source_is_closed():
    """When the server wants to exit, a silent source is closed and the stream is over."""
    closed = asyncio.Event()

    async def silent():
        try:
            yield b"one"
            await asyncio.Event().wait()
        finally:
            closed.set()

    found: list[bytes] = []
    async for chunk in text_lines(silent(), lambda: bool(found)):
        found.append(chunk)  # noqa: PERF401 - the claim looks at it meanwhile
    assert found == [b"one\n"]
    assert closed.is_set()
