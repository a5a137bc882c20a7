from __future__ import annotations

from pathlib import Path

import pytest

from agentpod_core.errors import ConfigError
from agentpod_server import settings, startup
from agentpod_server.settings import Settings, load


@pytest.fixture
def folder(tmp_path):
    """Give a state folder to be."""
    return tmp_path


def _loaded(folder: Path, text: str = "", **variables: str) -> Settings:
    if text:
        (folder / "agentpod.toml").write_text(text)
    return load({"AGENTPOD_STATE_DIR": str(folder), **variables}, root=False)


def _problems(folder: Path, text: str = "", **variables: str) -> dict[str, str]:
    with pytest.raises(ConfigError) as caught:
        _loaded(folder, text, **variables)
    assert caught.value.reason == "InvalidServerSettings"
    return {problem.path: problem.message for problem in caught.value.problems}


def test_defaults_need_nothing(folder):
    """Without variables and file, every setting has its default."""
    assert _loaded(folder) == Settings(state_dir=folder)


@pytest.mark.parametrize(
    ("root", "variables", "expected"),
    [
        (True, {}, "/var/lib/agentpod"),
        (False, {"XDG_STATE_HOME": "/x"}, "/x/agentpod"),
        (False, {"HOME": "/home/ada"}, "/home/ada/.local/state/agentpod"),
        (True, {"AGENTPOD_STATE_DIR": "/elsewhere"}, "/elsewhere"),
    ],
)
def test_state_folder_follows_the_user(root, variables, expected):
    """Root's state lies in /var/lib, everybody else's in their XDG state folder, unless the variable says otherwise."""
    assert Path(expected) == load(variables, root=root).state_dir


def test_environment_wins_over_file(folder):
    """A variable overrides the file's line; other lines stay."""
    seen = _loaded(folder, 'port = 9000\ndomain = "example.org"\n', AGENTPOD_PORT="9001")
    assert (seen.port, seen.domain) == (9001, "example.org")


def test_empty_variable_counts_as_unset(folder):
    """An empty variable, as compose files pass them, leaves the default."""
    assert _loaded(folder, AGENTPOD_PORT="", AGENTPOD_DOMAIN="").port == 8700


def test_the_time_between_two_looks_is_the_servers(folder):
    """Who sets it gets a server that looks at everything so often; by default, every thirty seconds."""
    hurried = _loaded(folder, AGENTPOD_RESYNC_INTERVAL="7", AGENTPOD_TIME_SCALE="0.5")
    assert (startup.pace(_loaded(folder)).resync, startup.pace(hurried).resync) == (30.0, 3.5)


def test_every_mistake_is_reported_at_once(folder):
    """All mistakes of file and environment come together, each with where it is."""
    seen = _problems(
        folder,
        'port = "80"\nruntme = "docker"\nstate_dir = "/x"\n[plugins.rooter.traefik]\nhttp = 1\n',
        AGENTPOD_DOMAIN="Not A Domain",
        AGENTPOD_DATABASE_PORT="70000",
        AGENTPOD_RESYNC_INTERVAL="nan",
        AGENTPOD_TIME_SCALE="inf",
        AGENTPOD_NETWORK_RANGE="10.0.0.1/16",
        AGENTPOD_LISTEN="somewhere",
        AGENTPOD_LOG_LEVEL="loud",
        AGENTPOD_DATABASE_URL="mysql://a:b@c/d",
    )
    file = folder / "agentpod.toml"
    assert set(seen) == {
        f"{file}:port",
        f"{file}:runtme",
        f"{file}:state_dir",
        f"{file}:plugins.rooter",
        "AGENTPOD_DOMAIN",
        "AGENTPOD_DATABASE_PORT",
        "AGENTPOD_RESYNC_INTERVAL",
        "AGENTPOD_TIME_SCALE",
        "AGENTPOD_NETWORK_RANGE",
        "AGENTPOD_LISTEN",
        "AGENTPOD_LOG_LEVEL",
        "AGENTPOD_DATABASE_URL",
    }


def test_unknown_variable_names_the_nearest(folder):
    """A misspelt variable is refused with the one that was probably meant."""
    assert _problems(folder, AGENTPOD_PROT="1") == {"AGENTPOD_PROT": "is no setting; did you mean AGENTPOD_PORT?"}


def test_client_variables_are_no_mistake(folder):
    """The command line client's own variables may be set while the server starts."""
    of_client = dict.fromkeys(("AGENTPOD_SERVER", "AGENTPOD_TOKEN", "AGENTPOD_CA", "AGENTPOD_DEBUG"), "x")
    assert _loaded(folder, **of_client).port == 8700


def test_damaged_file_is_named(folder):
    """A file that is no TOML is reported with its path, and the variables' mistakes with it."""
    seen = _problems(folder, "port = = 1", AGENTPOD_PORT="x")
    assert set(seen) == {str(folder / "agentpod.toml"), "AGENTPOD_PORT"}


def test_relative_state_folder_is_refused():
    """A state folder has to be absolute: the server's working directory means nothing."""
    with pytest.raises(ConfigError) as caught:
        load({"AGENTPOD_STATE_DIR": "state"}, root=False)
    assert [problem.path for problem in caught.value.problems] == ["AGENTPOD_STATE_DIR"]


@pytest.mark.parametrize("range_", ["10.0.0.0/25", "127.0.0.0/8", "224.0.0.0/8", "fd00::/8", "10.0.0.0"])
def test_useless_ranges_are_refused(folder, range_):
    """A range that cannot hold tenants' networks is refused."""
    assert set(_problems(folder, AGENTPOD_NETWORK_RANGE=range_)) == {"AGENTPOD_NETWORK_RANGE"}


@pytest.mark.parametrize("url", ["postgresql:///agentpod?host=/run/postgresql", "postgres://a:b@[::1]:5432/x"])
def test_database_urls_with_socket_or_address_pass(folder, url):
    """A database is named by socket folder or by address."""
    assert url == _loaded(folder, AGENTPOD_DATABASE_URL=url).database_url


def test_no_secret_shows(folder):
    """Neither the repr of the settings nor a mistake in them repeats a password."""
    hidden = "hunter2"
    seen = _loaded(folder, AGENTPOD_DATABASE_URL=f"postgresql://a:{hidden}@h/d", AGENTPOD_NOTIFIER_WEBHOOK_KEY=hidden)
    assert hidden not in repr(seen)
    assert hidden not in str(_problems(folder, AGENTPOD_DATABASE_URL=f"http://a:{hidden}@h:99999/d"))


def test_plugin_settings_come_from_both_places(folder):
    """A plugin gets its table of the file with its variables over it, however its name is written."""
    seen = _loaded(
        folder,
        "[plugins.router.my-proxy]\nhttp = 80\nhttps = 443\n[plugins.router.my-proxy.tls]\nmode = 'acme'\n",
        AGENTPOD_ROUTER_MY_PROXY_HTTP="8080",
        AGENTPOD_ROUTER_MY_PROXY_TLS__MAIL="ops@example.org",
        AGENTPOD_RUNTIME_DOCKER_SOCKET="/run/docker.sock",
        AGENTPOD_ROUTER="my-proxy",
    )
    expected = {"http": "8080", "https": 443, "tls": {"mode": "acme", "mail": "ops@example.org"}}
    assert expected == seen.plugin_settings("router", "my-proxy")
    assert seen.plugin_settings("runtime", "docker") == {"socket": "/run/docker.sock"}
    assert seen.plugin_settings("notifier", "webhook") == {}
    assert seen.plugins["router"]["my-proxy"]["tls"] == {"mode": "acme"}


def test_settings_of_absent_plugins_are_found(folder):
    """What no offered plugin can have asked for is reported once the plugins are known."""
    seen = _loaded(
        folder, "[plugins.router.trafik]\n", AGENTPOD_ROUTER_TREAFIK_HTTP="1", AGENTPOD_ROUTER_TRAEFIK_HTTP="1"
    )
    paths = [problem.path for problem in seen.unclaimed({"router": ["traefik"]})]
    assert paths == [f"{folder / 'agentpod.toml'}:plugins.router.trafik", "AGENTPOD_ROUTER_TREAFIK_HTTP"]


def test_disabled_plugins_are_a_list(folder):
    """Plugins are switched off by a list in the file or a comma separated variable."""
    assert _loaded(folder, 'disabled_plugins = ["a"]').disabled_plugins == ("a",)
    assert _loaded(folder, AGENTPOD_DISABLED_PLUGINS="a, b").disabled_plugins == ("a", "b")


def test_private_addresses_are_a_list_of_what_means_something(folder):
    """Addresses, networks and names are taken; a typing error in an address is no name."""
    given = ("10.1.0.0/16", "192.168.1.7", "alerts.internal")
    assert _loaded(folder, AGENTPOD_NOTIFY_PRIVATE_ADDRESSES=", ".join(given)).notify_private_addresses == given
    said = _problems(folder, AGENTPOD_NOTIFY_PRIVATE_ADDRESSES="10.1.0.0/16,10.1.0.256")
    assert "'10.1.0.256' is none" in said["AGENTPOD_NOTIFY_PRIVATE_ADDRESSES"]


@pytest.mark.parametrize(
    ("listen", "expected"),
    [("127.0.0.1", "http://127.0.0.1:8700"), ("0.0.0.0", "http://127.0.0.1:8700"), ("::", "http://[::1]:8700")],
)
def test_base_url_can_be_reached(folder, listen, expected):
    """Whatever the server listens on, the base URL is one that a local client can open."""
    assert expected == _loaded(folder, AGENTPOD_LISTEN=listen).base_url


def test_table_has_every_setting():
    """The reference lists every setting with a description."""
    rows = {row.variable: row for row in settings.table()}
    fields = set(Settings.__struct_fields__) - {"plugins", "plugin_variables"}
    assert {f"AGENTPOD_{name.upper()}" for name in fields} == set(rows)
    assert all(row.description for row in rows.values())
    assert rows["AGENTPOD_STATE_DIR"].key == ""
    assert rows["AGENTPOD_PORT"].default == "8700"
