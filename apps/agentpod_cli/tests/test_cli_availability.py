"""Availability: at a glance in both status verbs, in its course with --by, and as CSV."""

from __future__ import annotations

import pytest

CSV = "begin,end,tenant,pod,ready_seconds,wanted_seconds,unknown_seconds,percent\r\n2026-02-28T00:00:00Z,…\r\n"


@pytest.mark.parametrize(
    ("verb", "path"),
    [
        (("tenant", "status", "acme"), "/tenants/acme/availability"),
        (("pod", "status", "acme/support"), "/tenants/acme/pods/support/availability"),
    ],
)
def test_csv_is_passed_on_as_it_came(agentpod, server, verb, path):
    """What the server wrote for spreadsheets is not touched, but for the ends of its lines."""
    server.on("GET", f"{path}.csv", CSV, media="text/csv")
    ended = agentpod(*verb, "--by", "month", "--since", "60d", "--csv")
    assert (ended.code, ended.out) == (0, CSV.replace("\r\n", "\n"))
    asked = server.asked("GET", f"{path}.csv")[0].query
    assert (asked["by"], asked["since"]) == ("month", "2025-12-31T12:00:00Z")


@pytest.mark.parametrize("options", [("--since", "30d"), ("--csv",)])
def test_what_means_nothing_without_by_is_refused(agentpod, server, options):
    """A span, or CSV, of what?"""
    ended = agentpod("tenant", "status", "acme", *options)
    assert (ended.code, "--by" in ended.err) == (2, True)
    assert server.requests == []


def test_what_nobody_knows_is_not_shown_at_a_glance(agentpod, server, make_pod):
    """A pod that never answered has no line about its availability."""
    nothing = {
        "begin": "",
        "end": "",
        "ready_seconds": 0.0,
        "wanted_seconds": 0.0,
        "unknown_seconds": 0.0,
        "percent": None,
    }
    pod = make_pod()
    server.on("GET", "/tenants/acme/pods/support", pod)
    glance = {"today": nothing, "this_month": nothing, "last_month": nothing}
    server.on("GET", "/tenants/acme/pods/support/status", pod["status"] | {"availability": glance})
    assert "Availability" not in agentpod("pod", "status", "acme/support").out
