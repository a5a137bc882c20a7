"""The rendered ``openclaw.json``: as it was reviewed, as OpenClaw takes it, and merged with what the agent made."""

from __future__ import annotations

import copy
import json
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from agentpod_core import File
from agentpod_core.testing import sample_pod
from agentpod_openclaw import OpenClawAdapter
from agentpod_openclaw.render import CONFIG_FILE, gateway_config, merged

GOLDEN = Path(__file__).parent / "golden"
POD = sample_pod(OpenClawAdapter())
DEEP = b'{"a":' + b"[" * 100_000 + b"]" * 100_000 + b"}"


def rendered(samples, case, *, is_trimmed=False):
    """Render one of the samples for the sample pod."""
    return gateway_config(samples[case], POD, is_trimmed=is_trimmed)


def text(value) -> bytes:
    """Write a configuration as a file holds it."""
    return (json.dumps(value, indent=2) + "\n").encode()


def test_every_config_renders_as_reviewed(samples, case):
    """The configuration is, to the letter, the one that was looked at."""
    assert rendered(samples, case) == json.loads((GOLDEN / f"{case}.json").read_text())


@pytest.mark.parametrize("is_trimmed", [False, True])
def test_openclaw_accepts_every_config(samples, case, accepts, is_trimmed):
    """OpenClaw's schema, with which its gateway refuses to start, finds nothing wrong."""
    assert accepts(rendered(samples, case, is_trimmed=is_trimmed)) == []


def test_openclaw_s_schema_refuses_what_it_does_not_know(samples, accepts):
    """The judge of the test above does find faults."""
    wrong = rendered(samples, "compatible")
    wrong["gateway"]["nonsense"] = True
    wrong["models"]["providers"]["platform"]["baseUrl"] = 5
    assert len(accepts(wrong)) >= 2


def test_a_trimmed_agent_keeps_what_it_needs(samples):
    """Of the plugins, the admin RPC, the model's provider and the channel stay."""
    config = rendered(samples, "anthropic-telegram", is_trimmed=True)
    assert config["plugins"]["allow"] == ["admin-http-rpc", "anthropic", "telegram"]
    assert rendered(samples, "deepseek", is_trimmed=True)["plugins"]["allow"] == ["admin-http-rpc", "openai"]


def test_a_bot_that_is_open_says_so_twice(samples):
    """OpenClaw takes the policy "open" only with everybody on the list."""
    telegram = rendered(samples, "google-telegram-open")["channels"]["telegram"]
    assert (telegram["dmPolicy"], telegram["allowFrom"]) == ("open", ["12345", "*"])


def test_no_browser_gets_a_terminal(samples, case):
    """OpenClaw's own default is a shell for every browser."""
    assert rendered(samples, case)["gateway"]["terminal"] == {"enabled": False}


def test_what_the_agent_added_is_kept(samples):
    """Beside the managed part, what agent and owner wrote stays, also next to managed keys."""
    theirs = rendered(samples, "compatible")
    theirs["messages"] = {"responsePrefix": "[Ada]"}
    theirs["agents"]["defaults"]["skills"] = ["weather"]
    theirs["agents"]["entries"] = {"main": {}}
    theirs["plugins"]["entries"]["diffs"] = {"enabled": True}
    theirs["channels"] = {"imap": {"enabled": True}}
    ours = rendered(samples, "anthropic-telegram")
    result = json.loads(merged(text(theirs), text(ours)))
    assert result["messages"] == {"responsePrefix": "[Ada]"}
    assert result["agents"]["defaults"]["skills"] == ["weather"]
    assert result["agents"]["entries"] == {"main": {}}
    assert result["plugins"]["entries"] == ours["plugins"]["entries"] | {"diffs": {"enabled": True}}
    assert set(result["channels"]) == {"imap", "telegram"}


def test_what_is_no_longer_wanted_goes(samples):
    """A provider, a channel and a small pod's limits leave the file when the operator takes them back."""
    before = rendered(samples, "anthropic-telegram", is_trimmed=True)
    after = json.loads(merged(text(before), text(rendered(samples, "compatible"))))
    assert list(after["models"]["providers"]) == ["platform"]
    assert "telegram" not in after.get("channels", {})
    assert not {"allow", "slots"} & after["plugins"].keys()
    assert "enabled" not in after.get("browser", {})


@pytest.mark.parametrize("broken", [b"", b"{ // a comment\n}", b"[]", b"null", b"\xff\xfe", DEEP])
def test_a_file_that_is_no_json_object_is_replaced(samples, broken):
    """What cannot be read cannot be kept."""
    wanted = text(rendered(samples, "compatible"))
    assert merged(broken, wanted) == wanted


def test_only_the_configuration_is_merged():
    """Any other file is ours alone."""
    adapter = OpenClawAdapter()
    assert adapter.merge(File(path="/elsewhere", parts=()), b'{"a": 1}', b"{}") == b"{}"
    assert adapter.merge(File(path=CONFIG_FILE, parts=()), b'{"a": 1}', b"{}") == b'{\n  "a": 1\n}\n'


scalars = st.none() | st.booleans() | st.integers() | st.text(max_size=5)
keys = st.sampled_from(["gateway", "agents", "defaults", "model", "channels", "telegram", "plugins", "entries", "own"])
trees = st.recursive(scalars, lambda inner: st.dictionaries(keys, inner, max_size=4) | st.lists(inner), max_leaves=20)


@given(theirs=st.dictionaries(keys, trees, max_size=5), is_trimmed=st.booleans())
def test_merging_wins_keeps_and_settles(samples, theirs, is_trimmed):
    """Whatever is in the file: all that is wanted is in the result, foreign keys stay, and once is enough."""
    ours = rendered(samples, "anthropic-telegram", is_trimmed=is_trimmed)
    result = merged(text(theirs), text(ours))
    assert covers(json.loads(result), ours)
    assert json.loads(result).get("own") == theirs.get("own")
    assert merged(result, text(ours)) == result


@given(extra=trees)
def test_what_is_wanted_wins_to_the_letter(samples, extra):
    """Under a managed key nothing is left but what is wanted."""
    ours = rendered(samples, "compatible")
    theirs = copy.deepcopy(ours)
    theirs["gateway"]["extra"] = theirs["models"]["providers"]["extra"] = extra
    assert merged(text(theirs), text(ours)) == text(ours)


def covers(whole, part) -> bool:
    """Say whether all of one tree is in the other."""
    if not isinstance(part, dict):
        return whole == part
    return isinstance(whole, dict) and all(key in whole and covers(whole[key], part[key]) for key in part)
