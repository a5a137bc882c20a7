"""The exit codes: what a script may rely on, each produced by a verb, and each reason of the server by its code."""

from __future__ import annotations

import socket

import pytest

from agentpod_cli.errors import exit_of_problem
from agentpod_cli.exits import BY_STATUS, MEANINGS, Exit
from agentpod_cli.reference import reference, special_reasons
from agentpod_client import waiting
from agentpod_core import catalogue

POD = "/tenants/acme/pods/support"
REFUSED = {
    reason: entry
    for reason in sorted(catalogue.reasons())
    if (entry := catalogue.entry(reason)).status is not None or entry.exit is not None
}
ALLOWED = {
    400: {Exit.USAGE},
    401: {Exit.NOT_ALLOWED},
    403: {Exit.NOT_ALLOWED},
    404: {Exit.NOT_FOUND},
    405: {Exit.USAGE},
    406: {Exit.USAGE},
    409: {Exit.CONFLICT, Exit.FAILED},
    412: {Exit.CONFLICT},
    413: {Exit.USAGE, Exit.FAILED},
    415: {Exit.USAGE},
    422: {Exit.USAGE, Exit.FAILED},
    428: {Exit.USAGE},
    429: {Exit.FAILED, Exit.NOT_ALLOWED},
    500: {Exit.FAILED, Exit.USAGE, Exit.CONFLICT},
    502: {Exit.FAILED},
    503: {Exit.FAILED, Exit.NOT_READY, Exit.NOT_ALLOWED},
    504: {Exit.NOT_READY},
    507: {Exit.FAILED},
}
"""Which codes a reason of that HTTP status may have: a server that is broken is never "not found"."""


def test_the_codes_are_the_documented_ones():
    """They are for life: scripts depend on them."""
    assert {code.name: code.value for code in Exit} == {
        "DONE": 0,
        "FAILED": 1,
        "USAGE": 2,
        "NOT_FOUND": 3,
        "CONFLICT": 4,
        "NOT_READY": 5,
        "NOT_ALLOWED": 6,
        "UNREACHABLE": 7,
        "INTERRUPTED": 130,
        "UNREAD": 141,
    }
    assert set(MEANINGS) == set(Exit)


@pytest.mark.parametrize("reason", REFUSED)
def test_every_reason_of_the_server_has_its_code(reason):
    """Status and code stand together and fit, and the command line ends with that code."""
    entry = REFUSED[reason]
    assert Exit(entry.exit) in ALLOWED[entry.status]
    assert exit_of_problem(reason, entry.status) == entry.exit


def test_a_reason_that_nobody_knows_ends_by_its_status():
    """A newer server's refusal is still told apart."""
    ends = {status: exit_of_problem("NobodyKnowsThis", status) for status in (*BY_STATUS, 500, 503)}
    assert ends == {**BY_STATUS, 500: Exit.FAILED, 503: Exit.FAILED}


def test_the_reference_names_every_reason_apart_from_its_status():
    """Who reads the page can foretell every code."""
    page = reference()
    for reason, entry in REFUSED.items():
        if entry.exit != BY_STATUS.get(entry.status, Exit.FAILED):
            assert reason in special_reasons(Exit(entry.exit))
            assert f"`{reason}`" in page


def _nothing(_):
    """Need no preparation."""


def _refusal(status, reason):
    return lambda server: server.refuse("GET", "/tenants/acme", status, reason)


def _found(server):
    server.on("GET", "/tenants/acme", {"slug": "acme"})


def _never_ready(server):
    pod = {
        "tenant": "acme",
        "name": "support",
        "spec": {"generation": 1, "wanted": "running"},
        "status": {"observed_generation": 1, "phase": "starting", "ready": False, "reason": "X", "message": ""},
    }
    server.on("POST", f"{POD}/start", pod)
    server.on("GET", POD, pod)


GET = ("tenant", "get", "acme", "-o", "name")
PRODUCED = [
    (Exit.DONE, _found, GET),
    (Exit.FAILED, _refusal(500, "InternalError"), GET),
    (Exit.FAILED, _refusal(503, "StoreUnreachable"), GET),
    (Exit.USAGE, _nothing, ("tenant", "get")),
    (Exit.USAGE, _nothing, ("tenant", "update", "acme")),
    (Exit.USAGE, _refusal(422, "InvalidConfig"), GET),
    (Exit.NOT_FOUND, _refusal(404, "TenantNotFound"), GET),
    (Exit.CONFLICT, _refusal(409, "TenantHasPods"), GET),
    (Exit.CONFLICT, _refusal(412, "GenerationMismatch"), GET),
    (Exit.NOT_READY, _never_ready, ("pod", "start", "acme/support", "--timeout", "0.05")),
    (Exit.NOT_READY, _refusal(504, "Timeout"), GET),
    (Exit.NOT_ALLOWED, _refusal(401, "Unauthenticated"), GET),
    (Exit.NOT_ALLOWED, _refusal(403, "Forbidden"), GET),
]


@pytest.mark.parametrize(("code", "prepare", "arguments"), PRODUCED)
def test_each_code_is_produced_by_a_verb(agentpod, server, monkeypatch, code, prepare, arguments):
    """What the table says is what a shell sees; only what is done writes an answer."""
    monkeypatch.setattr(waiting, "FIRST_PAUSE", 0.001)
    prepare(server)
    ended = agentpod(*arguments)
    assert ended.code == code
    assert bool(ended.out) == (code is Exit.DONE)
    assert bool(ended.err.strip()) == (code is not Exit.DONE)


def test_no_server_is_7(agentpod):
    """Nobody listens at the address."""
    with socket.socket() as taken:
        taken.bind(("127.0.0.1", 0))
        assert agentpod(*GET, "--server", f"http://127.0.0.1:{taken.getsockname()[1]}").code == Exit.UNREACHABLE


def test_every_code_of_the_table_is_produced_somewhere():
    """7, 130 and 141 have tests of their own."""
    assert {code for code, _, _ in PRODUCED} | {Exit.UNREACHABLE, Exit.INTERRUPTED, Exit.UNREAD} == set(Exit)
