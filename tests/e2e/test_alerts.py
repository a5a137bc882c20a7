"""A person is told of a pod in trouble, exactly once, and of its end; also when server and receiver are away."""

from __future__ import annotations

import base64
import contextlib
import json
import os
import secrets
import signal
import threading
from datetime import datetime, timedelta
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer

import pytest

pytestmark = [pytest.mark.docker, pytest.mark.slow]

SCALE = 0.05
LEAST_PAUSE = timedelta(seconds=40 * SCALE)
"""What a crash loop has between its tries at least: it begins with the fourth failure."""


class Receiver:
    """Takes signed messages on a port of its own while it is up."""

    def __init__(self, port: int) -> None:
        self.port = port
        self.got: list[tuple[str, dict]] = []
        self._server: ThreadingHTTPServer | None = None

    def up(self) -> None:
        got = self.got

        class Handler(BaseHTTPRequestHandler):
            def do_POST(self) -> None:
                body = self.rfile.read(int(self.headers["content-length"]))
                got.append((self.headers["webhook-id"], json.loads(body)))
                self.send_response(204)
                self.end_headers()

            def log_message(self, *_: object) -> None:
                pass

        self._server = ThreadingHTTPServer(("127.0.0.1", self.port), Handler)
        threading.Thread(target=self._server.serve_forever, daemon=True).start()

    def down(self) -> None:
        if self._server is not None:
            self._server.shutdown()
            self._server.server_close()
            self._server = None

    def told(self, tenant: str) -> list[tuple[str, str]]:
        """Give what was said of a tenant's pods, each message once, as type and reason."""
        first = dict(reversed(self.got))
        said = [body for name, body in first.items() if body["data"]["tenant"] == tenant]
        return [(one["type"], one["data"]["reason"]) for one in sorted(said, key=lambda one: one["type"])]


class Crashing:
    """Kills an agent's process whenever it runs, as one that crashes at its start would end."""

    def __init__(self, platform, pod_id: str) -> None:
        self._platform, self._pod_id = platform, pod_id
        self._over = threading.Event()
        self._thread = threading.Thread(target=self._run, daemon=True)

    def __enter__(self):
        self._thread.start()
        return self

    def __exit__(self, *_: object) -> None:
        self._over.set()
        self._thread.join()

    def _run(self) -> None:
        while not self._over.wait(0.2):
            process = self._platform.container(self._pod_id).get("State", {}).get("Pid", 0)
            # A container that the engine is about to start again has the process 0, which stands for this very group.
            if process > 1:
                with contextlib.suppress(ProcessLookupError):
                    os.kill(process, signal.SIGKILL)


@pytest.fixture(scope="module")
def receiver(free_ports):
    """Give a receiver that is up."""
    receiver = Receiver(free_ports())
    receiver.up()
    yield receiver
    receiver.down()


@pytest.fixture(scope="module")
def alarmed(new_platform, receiver, tmp_path_factory):
    """A platform that tells the receiver; nobody else's full disk is its business."""
    extra = {
        "AGENTPOD_TIME_SCALE": str(SCALE),
        "AGENTPOD_NOTIFY_PRIVATE_ADDRESSES": "127.0.0.1",
        "AGENTPOD_DISK_ALERT_PERCENT": "100",
    }
    platform = new_platform(network="10.224.0.0/17", extra=extra)
    platform.up()
    folder = tmp_path_factory.mktemp("keys")
    (folder / "key").write_text("whsec_" + base64.b64encode(secrets.token_bytes(32)).decode())
    (folder / "url").write_text(f"http://127.0.0.1:{receiver.port}/hook")
    options = ("--secret", f"url=@{folder / 'url'}", "--secret", f"key=@{folder / 'key'}")
    platform.agentpod("notifier", "add", "ops", "--kind", "webhook", *options)
    platform.agentpod("notifier", "test", "ops")
    assert [body["data"]["reason"] for _, body in receiver.got] == ["TestAlert"]
    return platform


def open_alerts(platform, tenant: str) -> list[str]:
    """Give the reasons of a tenant's open alerts."""
    return [
        one["reason"] for one in json.loads(platform.agentpod("alert", "list", "--tenant", tenant, "-o", "json").stdout)
    ]


def assert_is_stopped_between_tries(platform, pod_id: str, wait_until) -> None:
    """A container in a crash loop is down until its pause is over, and then started by nobody but the platform."""

    def seen() -> dict:
        return platform.container(pod_id)

    ended = wait_until(lambda: not (one := seen())["State"]["Running"] and one, seconds=60, what="it is down")
    assert (ended["State"]["Restarting"], ended["HostConfig"]["RestartPolicy"]["Name"]) == (False, "no")
    again = lambda: (one := seen())["State"]["StartedAt"] != ended["State"]["StartedAt"] and one  # noqa: E731
    begun = wait_until(again, seconds=60, what="it is tried again")
    assert begun["RestartCount"] <= ended["RestartCount"]
    pause = datetime.fromisoformat(begun["State"]["StartedAt"]) - datetime.fromisoformat(ended["State"]["FinishedAt"])
    assert pause >= LEAST_PAUSE


def test_a_crash_loop_is_told_once_and_its_end_once(alarmed, receiver, wait_until) -> None:
    """Three failures in a row are told; what follows is the same alert; when the pod is well again, that is told."""
    alarmed.agentpod("create", "acme", "--type", "echo")
    pod = alarmed.json("pod", "get", "acme/main")
    with Crashing(alarmed, pod["id"]):
        wait_until(lambda: receiver.told("acme"), seconds=60, what="somebody is told")
        wait_until(lambda: open_alerts(alarmed, "acme") == ["CrashLoop"], seconds=60, what="it is a crash loop")
        assert_is_stopped_between_tries(alarmed, pod["id"], wait_until)
    assert [kind for kind, _ in receiver.told("acme")] == ["alert.raised"]
    status = alarmed.agentpod("pod", "status", "acme/main").stdout
    assert "Crash loop" in status
    assert "ops" in status

    alarmed.agentpod("pod", "restart", "acme/main")

    wait_until(lambda: len(receiver.told("acme")) > 1, seconds=60, what="that it is over is told")
    assert receiver.told("acme") == [
        ("alert.raised", receiver.told("acme")[0][1]),
        ("alert.recovered", "CrashLoop"),
    ]
    policy = lambda: alarmed.container(pod["id"])["HostConfig"]["RestartPolicy"]["Name"]  # noqa: E731
    wait_until(lambda: policy() == "unless-stopped", seconds=60, what="the engine may answer an end again")
    assert len([body for _, body in receiver.got if body["data"]["tenant"] == "acme"]) == 2
    assert open_alerts(alarmed, "acme") == []


def test_what_was_to_be_told_survives_a_killed_server(alarmed, receiver, wait_until) -> None:
    """Raised while the receiver is away, and the server killed: the next server tells it, as one message."""
    alarmed.agentpod("create", "globex", "--type", "echo")
    pod = alarmed.json("pod", "get", "globex/main")
    receiver.down()
    with Crashing(alarmed, pod["id"]):
        wait_until(lambda: open_alerts(alarmed, "globex"), seconds=60, what="an alert is raised")
        tried = lambda: json.loads(alarmed.agentpod("notifier", "list", "-o", "json").stdout)[0]["trouble"]  # noqa: E731
        wait_until(tried, seconds=30, what="the receiver was tried in vain")
    alarmed.end(signal.SIGKILL)
    assert receiver.told("globex") == []
    receiver.up()
    alarmed.up()

    wait_until(lambda: receiver.told("globex"), seconds=60, what="it is told after all")
    alarmed.agentpod("pod", "restart", "globex/main")
    wait_until(lambda: len(receiver.told("globex")) > 1, seconds=60, what="that it is over is told")

    assert [kind for kind, _ in receiver.told("globex")] == ["alert.raised", "alert.recovered"]
    assert json.loads(alarmed.agentpod("notifier", "list", "-o", "json").stdout)[0]["trouble"] is None


def test_a_deleted_pod_is_not_said_to_be_well(alarmed, receiver, wait_until) -> None:
    """Who was told of a pod in trouble that is deleted then hears that it is gone, and not that it is well again."""
    alarmed.agentpod("create", "initech", "--type", "echo")
    pod = alarmed.json("pod", "get", "initech/main")
    with Crashing(alarmed, pod["id"]):
        wait_until(lambda: receiver.told("initech"), seconds=60, what="somebody is told")
    alarmed.agentpod("pod", "delete", "initech/main", "--yes")
    wait_until(lambda: open_alerts(alarmed, "initech") == [], seconds=30, what="its alert is closed")
    wait_until(lambda: len(receiver.told("initech")) > 1, seconds=30, what="its end is told")
    assert [kind for kind, _ in receiver.told("initech")] == ["alert.raised", "alert.recovered"]
    (end,) = {
        name: body["data"]
        for name, body in receiver.got
        if body["data"]["tenant"] == "initech" and body["type"] == "alert.recovered"
    }.values()
    assert end["params"]["stopped"] is True
