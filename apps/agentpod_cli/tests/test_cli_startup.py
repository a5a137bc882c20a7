"""The command line starts fast, and what its documentation says is what it does."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import pytest

import agentpod_cli
from agentpod_cli.reference import reference

HEAVY = ("httpx", "rich", "yaml", "websockets", "jsonschema", "agentpod_core", "agentpod_server", "ssl", "asyncio")
PAGE = Path(__file__).parents[3] / "docs" / "reference" / "cli.md"


@pytest.mark.parametrize("arguments", [["--help"], ["pod", "create", "--help"], ["completion", "bash"]])
def test_help_and_completion_load_nothing_heavy(arguments):
    """Pressing TAB or asking for help costs no more than click."""
    program = (
        "import sys\nfrom agentpod_cli.main import run\n"
        f"code = run({arguments!r})\n"
        f"print([name for name in {HEAVY!r} if name in sys.modules], file=sys.stderr)\nsys.exit(code)\n"
    )
    ended = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True, check=True, timeout=30)
    assert ended.stderr.strip() == "[]"


def test_the_reference_is_what_the_commands_say():
    """The page is made anew whenever a command changes: python -m agentpod_cli.reference > docs/reference/cli.md."""
    assert PAGE.read_text(encoding="utf-8") == reference()


def test_a_reader_that_leaves_early_gets_no_error():
    """`agentpod … | head -1` is quiet."""
    line = f"{sys.executable} -m agentpod_cli --help | true"
    ended = subprocess.run(["bash", "-c", line], capture_output=True, text=True, check=False, timeout=30)
    assert ended.stderr == ""


def test_no_file_is_too_long_to_hold_one_idea():
    """Three hundred lines are the house's limit."""
    long = {
        path.name for path in Path(agentpod_cli.__file__).parent.rglob("*.py") if path.read_text().count("\n") > 300
    }
    assert long == set()
