"""From options, files and secrets to the request that makes a pod."""

from __future__ import annotations

import json

import pytest

SECRET = "hunter2-and-more"


@pytest.fixture
def making(server, make_pod, make_tenant):
    """A server on which creating works at once."""
    server.on("POST", "/tenants", make_tenant(), status=201)
    server.on("POST", "/tenants/acme/pods", make_pod(), status=201)
    server.on("GET", "/tenants/acme/pods/support", make_pod())
    server.on("GET", "/tenants/acme/pods/main", make_pod("acme/main"))
    return server


def sent(server, path="/tenants/acme/pods"):
    """Give the body that was posted there."""
    return server.asked("POST", path)[0].body


def test_pod_create_sends_what_was_said(agentpod, making):
    """Raw texts go under set; the server, which knows the schema, reads them."""
    options = ["--adapter", "echo", "--set", "greeting=Hi = there", "--set", "port=8", "--subdomain", "help"]
    options += ["--image", "echo:2", "--size", "small", "--cpus", "0.5", "--memory", "2GiB"]
    ended = agentpod("pod", "create", "acme/support", *options)
    assert ended.code == 0
    assert sent(making) == {
        "name": "support",
        "adapter": "echo",
        "subdomain": "help",
        "image": "echo:2",
        "size": "small",
        "cpus": "0.5",
        "memory": "2GiB",
        "set": {"greeting": "Hi = there", "port": "8"},
        "secrets": {},
    }


def test_pod_create_tells_that_it_is_ready_and_where(agentpod, making):
    """The answer is on stdout, the steps are not."""
    ended = agentpod("pod", "create", "acme/support", "--adapter", "echo")
    first, second = ended.out.splitlines()
    assert first.startswith("Pod acme/support is ready after ")
    assert second == "http://support-acme.localhost"


def test_secrets_come_from_a_file_standard_input_or_a_variable(agentpod, making, tmp_path):
    """Three ways lead to a secret, and its value is nowhere in the output."""
    (tmp_path / "key").write_text(f"{SECRET}-1\n")
    options = ["--secret", f"a.key=@{tmp_path}/key", "--secret", "b=-", "--secret", "c=env:MY_KEY"]
    ended = agentpod(
        "pod", "create", "acme/support", "--adapter", "echo", *options, stdin=f"{SECRET}-2\n", MY_KEY=f"{SECRET}-3"
    )
    assert sent(making)["secrets"] == {"a.key": f"{SECRET}-1", "b": f"{SECRET}-2", "c": f"{SECRET}-3"}
    assert SECRET not in ended.out + ended.err


def test_a_secret_on_the_command_line_is_refused_naming_the_three_ways(agentpod, making):
    """A value that ps would show is refused before anything is sent, and is not repeated."""
    ended = agentpod("pod", "create", "acme/support", "--adapter", "echo", "--secret", f"key={SECRET}")
    assert (ended.code, making.requests) == (2, [])
    assert SECRET not in ended.err
    for way in ("key=@FILE", "key=-", "key=env:NAME"):
        assert way in ended.err


@pytest.mark.parametrize(
    ("secret", "words"),
    [
        ("key=@/nowhere/at/all", "/nowhere/at/all"),
        ("key=env:NOT_THERE", "NOT_THERE"),
        ("key=-", "holds nothing"),
        (SECRET, "PATH=VALUE"),
        (f"={SECRET}", "PATH=VALUE"),
    ],
)
def test_a_secret_that_cannot_be_read_is_a_usage_error(agentpod, making, secret, words):
    """What is missing is named, what was typed in the wrong place is not repeated."""
    ended = agentpod("pod", "create", "acme/support", "--adapter", "echo", "--secret", secret)
    assert (ended.code, making.requests) == (2, [])
    assert words in ended.err
    assert SECRET not in ended.err


@pytest.mark.parametrize(
    "options", [["--set", "a=1", "--set", "a=2"], ["--secret", "a=-", "--secret", "b=-"], ["--set", "a"]]
)
def test_contradicting_values_are_a_usage_error(agentpod, making, options):
    """Nothing is overwritten in silence."""
    ended = agentpod("pod", "create", "acme/support", "--adapter", "echo", *options)
    assert (ended.code, making.requests) == (2, [])


def test_a_secret_given_by_set_is_refused_by_the_server(agentpod, server):
    """Only the schema knows which field is a secret, so the server's answer is shown."""
    problem = {"path": "$.config.token", "reason": "SecretInSet", "message": "token is a secret."}
    server.refuse("POST", "/tenants/acme/pods", 422, "InvalidConfig", problems=[problem])
    ended = agentpod("pod", "create", "acme/support", "--adapter", "echo", "--set", "token=x")
    assert ended.code == 2
    assert "$.config.token: token is a secret." in ended.err
    for way in ("=@FILE", "=-", "=env:NAME"):
        assert way in ended.err


def test_a_spec_file_is_read_and_options_win_over_it(agentpod, making, tmp_path):
    """A file in version control can be adapted from the command line."""
    (tmp_path / "pod.yaml").write_text("adapter: echo\nsize: large\nconfig:\n  greeting: 你好\nset: {a: '1', b: '2'}\n")
    agentpod("pod", "create", "acme/support", "-f", tmp_path / "pod.yaml", "--size", "small", "--set", "b=3")
    body = sent(making)
    assert (body["adapter"], body["size"], body["config"]) == ("echo", "small", {"greeting": "你好"})
    assert body["set"] == {"a": "1", "b": "3"}


def test_a_spec_may_name_the_pod_and_come_from_standard_input(agentpod, making):
    """JSON is YAML, and the names may stand in the file."""
    spec = json.dumps({"tenant": "acme", "name": "support", "adapter": "echo"})
    assert agentpod("pod", "create", "-f", "-", stdin=spec).code == 0
    assert sent(making) == {"adapter": "echo", "name": "support", "set": {}, "secrets": {}}


def test_what_pod_get_wrote_can_be_created_from(agentpod, making, tmp_path):
    """A pod is copied by its own output; counters stay behind and secrets have to be given anew."""
    (tmp_path / "pod.yaml").write_text(agentpod("pod", "get", "acme/support", "-o", "yaml").out)
    agentpod("pod", "create", "acme/support", "-f", tmp_path / "pod.yaml", "--secret", "key=env:K", K=SECRET)
    assert sent(making) == {
        "name": "support",
        "adapter": "echo",
        "config": {"greeting": "Hello"},
        "wanted": "running",
        "set": {},
        "secrets": {"key": SECRET},
    }


@pytest.mark.parametrize(
    ("text", "words"), [("a: [", "neither YAML nor JSON"), ("- 1", "holds no object"), ("a: \x01", "neither")]
)
def test_a_spec_that_is_none_is_a_usage_error_with_its_place(agentpod, making, tmp_path, text, words):
    """A broken file is told before anything is sent."""
    (tmp_path / "pod.yaml").write_text(text)
    ended = agentpod("pod", "create", "acme/support", "-f", tmp_path / "pod.yaml")
    assert (ended.code, making.requests) == (2, [])
    assert words in ended.err
    assert "pod.yaml" in ended.err


def test_a_missing_spec_file_is_a_usage_error(agentpod, making, tmp_path):
    """The file is named."""
    ended = agentpod("pod", "create", "acme/support", "-f", tmp_path / "none.yaml")
    assert ended.code == 2
    assert "none.yaml" in ended.err


@pytest.mark.parametrize(
    "arguments", [("acme/support",), ("--adapter", "echo"), ("acme/support", "-f", "-", "--secret", "a=-")]
)
def test_a_pod_needs_a_name_and_an_adapter_and_one_use_of_standard_input(agentpod, making, arguments):
    """What is missing is asked for before anything is sent."""
    ended = agentpod("pod", "create", *arguments, stdin="adapter: echo")
    assert (ended.code, making.requests) == (2, [])


def test_create_makes_tenant_and_pod_in_one_line(agentpod, making):
    """The shortest way from nothing to an agent."""
    ended = agentpod("create", "acme", "--type", "echo", "--set", "greeting=Hi")
    assert ended.code == 0
    assert sent(making, "/tenants") == {"slug": "acme"}
    assert sent(making) == {"name": "main", "adapter": "echo", "set": {"greeting": "Hi"}, "secrets": {}}
    assert " is ready after " in ended.out


def test_create_accepts_a_tenant_that_exists_with_other_facts(agentpod, server, making):
    """Somebody's tenant with a name and an address is that tenant all the same."""
    server._answers[("POST", "/api/v1/tenants")] = []
    server.refuse("POST", "/tenants", 409, "TenantExists")
    assert agentpod("create", "acme", "--type", "echo").code == 0


def test_create_takes_a_new_tenant_back_when_its_pod_is_refused(agentpod, server, make_tenant):
    """Nothing half-made stays behind, and the command waits for that: the next attempt may come at once."""
    server.on("POST", "/tenants", make_tenant(), status=201)
    server.refuse("POST", "/tenants/acme/pods", 422, "InvalidConfig")
    server.on("DELETE", "/tenants/acme", make_tenant(), status=202)
    server.on("GET", "/tenants/acme", make_tenant())
    server.refuse("GET", "/tenants/acme", 404, "TenantNotFound")
    assert agentpod("create", "acme", "--type", "echo", "--set", "nope=1").code == 2
    assert len(server.asked("DELETE", "/tenants/acme")) == 1
    assert len(server.asked("GET", "/tenants/acme")) == 2


def test_create_leaves_a_tenant_that_was_there_before(agentpod, server, make_tenant):
    """Only what this very command made is taken back."""
    server.on("POST", "/tenants", make_tenant(), status=200)
    server.refuse("POST", "/tenants/acme/pods", 422, "InvalidConfig")
    assert agentpod("create", "acme", "--type", "echo", "--set", "nope=1").code == 2
    assert server.asked("DELETE", "/tenants/acme") == []


def test_create_stops_at_any_other_refusal_of_the_tenant(agentpod, server):
    """No pod is asked for in a tenant that is not there."""
    server.refuse("POST", "/tenants", 422, "InvalidName")
    assert agentpod("create", "Bad_Name", "--type", "echo").code == 2
    assert [one.path for one in server.requests] == ["/tenants"]


SCHEMA = {
    "$ref": "#/$defs/Config",
    "$defs": {
        "Config": {
            "type": "object",
            "properties": {
                "model": {"type": "string"},
                "telegram": {"anyOf": [{"type": "null"}, {"$ref": "#/$defs/Channel"}]},
            },
        },
        "Channel": {
            "type": "object",
            "properties": {
                "kind": {"enum": ["telegram", "slack"], "x-agentpod-channel": True},
                "next": {"$ref": "#/$defs/Channel"},
            },
        },
    },
}


def test_channel_sets_the_field_that_the_schema_marks(agentpod, server, making):
    """--channel works for every adapter that says which field it is."""
    server.on("GET", "/adapters/openclaw/schema", SCHEMA)
    assert agentpod("create", "acme", "--channel", "telegram").code == 0
    assert sent(making)["set"] == {"telegram.kind": "telegram"}


def test_channel_is_refused_where_no_field_is_one(agentpod, server, making):
    """Nothing is made, not even the tenant."""
    server.on("GET", "/adapters/echo/schema", {"type": "object", "properties": {"greeting": {"type": "string"}}})
    ended = agentpod("create", "acme", "--type", "echo", "--channel", "telegram")
    assert ended.code == 2
    assert "knows no channels" in ended.err
    assert server.asked("POST", "/tenants") == []


def test_no_wait_answers_at_once_and_says_how_to_go_on(agentpod, making):
    """A script that does not wait is told what to ask later."""
    ended = agentpod("pod", "create", "acme/support", "--adapter", "echo", "--no-wait")
    assert ended.out == "Pod acme/support is accepted.\n"
    assert "agentpod pod status acme/support" in ended.err
    assert making.asked("GET", "/tenants/acme/pods/support") == []


def test_create_prints_the_pod_as_json_and_nothing_else(agentpod, making):
    """Steps and hints never mix with the answer."""
    ended = agentpod("pod", "create", "acme/support", "--adapter", "echo", "-o", "json")
    assert json.loads(ended.out)["name"] == "support"
    assert agentpod("pod", "create", "acme/support", "--adapter", "echo", "-o", "name").out == "acme/support\n"


def test_tenant_create_sends_only_what_was_said(agentpod, making):
    """What is left out is the server's to choose."""
    ended = agentpod("tenant", "create", "acme", "--email", "a@b.example")
    assert ended.code == 0
    assert sent(making, "/tenants") == {"slug": "acme", "email": "a@b.example"}
    assert agentpod("tenant", "create", "acme", "-o", "name").out == "acme\n"
