"""Documents that run: takes a page apart, and tells its story block by block on a platform of its own.

One mechanism for all pages. Markdown is read by markdown-it-py rather than by a runner of doc tests: those
take a fence's info string for a language, and know neither links nor headings, which are held here too.

In a page: ``console`` blocks are run, line by line after ``$``, and what they print is compared; ``…`` stands for
anything in a line, and alone for any lines. A command must succeed, unless the next one is ``echo $?``.
``python`` runs in one namespace for a page, ``json``, ``toml`` and ``yaml`` must parse, and a block with ``file=…``
is written there. ``text`` is no code. A block after ``<!-- not run: why -->`` is left out and counted; of its
``agentpod`` commands the verbs and options are still checked.
"""

from __future__ import annotations

import json
import re
import shlex
import shutil
import signal
import site
import subprocess
import sys
import tempfile
import tomllib
import venv
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path

import pytest
import yaml
from markdown_it import MarkdownIt

ROOT = Path(__file__).parents[2]
NOT_RUN = re.compile(r"<!-- not run: (.+?) -->", re.DOTALL)
GENERATED = "<!-- Made by "
PARSERS = {"json": json.loads, "toml": tomllib.loads, "yaml": yaml.safe_load, "text": str}
ANYTHING = "…"
NETWORKS = 0xC0
"""Pages take 10.192.0.0/16 and the ranges after it, each one of its own."""


@dataclass(frozen=True)
class Block:
    """A fenced block; ``not_run`` is the reason why it is left out."""

    line: int
    language: str
    file: str | None
    text: str
    not_run: str | None

    @property
    def commands(self) -> list[tuple[str, list[str]]]:
        """The console's commands with the lines that each prints; a backslash goes on in the next line."""
        told: list[tuple[str, list[str]]] = []
        for line in self.text.splitlines():
            if line.startswith("$ "):
                told.append((line[2:], []))
            elif told and told[-1][0].endswith("\\") and not told[-1][1]:
                told[-1] = (f"{told[-1][0][:-1]}{line.strip()}", [])
            else:
                told[-1][1].append(line)
        return told


@dataclass
class Page:
    """What a Markdown file holds: blocks, links and the anchors that others can link to."""

    path: Path
    is_generated: bool = False
    blocks: list[Block] = field(default_factory=list)
    links: list[str] = field(default_factory=list)
    anchors: set[str] = field(default_factory=set)

    @property
    def name(self) -> str:
        return str(self.path.relative_to(ROOT))


def read(path: Path) -> Page:
    """Take a page apart."""
    text = path.read_text(encoding="utf-8")
    page = Page(path, is_generated=GENERATED in text[:600])
    tokens = MarkdownIt("commonmark").enable("table").parse(text)
    for before, token in zip([None, *tokens], tokens, strict=False):
        if token.type == "fence":
            language, *rest = token.info.split() or [""]
            facts = dict(one.split("=", 1) for one in rest)
            marked = NOT_RUN.search(before.content) if before and before.type == "html_block" else None
            reason = " ".join(marked[1].split()) if marked else None
            page.blocks.append(Block(token.map[0] + 1, language, facts.get("file"), token.content, reason))
        elif token.type == "inline":
            page.links += [child.attrs["href"] for child in token.children if child.type == "link_open"]
            if before and before.type == "heading_open":
                said = "".join(child.content for child in token.children if child.type in {"text", "code_inline"})
                page.anchors.add(_slug(said, page.anchors))
    return page


def _slug(heading: str, taken: set[str]) -> str:
    """Give the anchor that a heading gets on the usual forges."""
    plain = re.sub(r"[^\w\- ]", "", heading.strip().lower()).replace(" ", "-")
    return next(one for one in [plain, *(f"{plain}-{number}" for number in range(1, 99))] if one not in taken)


def pages() -> list[Page]:
    """Read every page of the project."""
    paths = [*ROOT.glob("*.md"), *(ROOT / "docs").rglob("*.md")]
    return [read(path) for path in sorted(paths)]


def pytest_generate_tests(metafunc: pytest.Metafunc) -> None:
    """Give each page to the tests that ask for ``page``, or for a page that ``runs``."""
    if "page" in metafunc.fixturenames:
        metafunc.parametrize("page", [pytest.param(page, id=page.name) for page in pages()])
    if "runs" in metafunc.fixturenames:
        some = [page for page in pages() if not page.is_generated and any(not one.not_run for one in page.blocks)]
        metafunc.parametrize("runs", [pytest.param((number, page), id=page.name) for number, page in enumerate(some)])


class Story:
    """One page while it is told: a checkout with a venv of its own, and a platform once a command asks for it."""

    def __init__(self, page: Page, number: int, new_platform) -> None:
        self.page = page
        self.folder = Path(tempfile.mkdtemp(prefix="agentpod-docs-"))
        self._network = f"10.{NETWORKS + number}.0.0/16"
        self._new_platform = new_platform
        self._platform = None
        self._names: dict[str, object] = {"__name__": "__page__"}
        self._code = 0
        self._said = ""

    def tell(self, block: Block) -> None:
        """Do what one block says."""
        if block.file:
            target = self.folder / block.file
            target.parent.mkdir(parents=True, exist_ok=True)
            target.write_text(block.text, encoding="utf-8")
        if block.language == "console":
            for command, expected in block.commands:
                self._command(command, expected, block)
            if self._code:
                self._fail(block, f"ends with exit code {self._code}:\n{self._said}")
        elif block.language == "python":
            code = compile("\n" * block.line + block.text, self.page.name, "exec")
            if not block.file:
                exec(code, self._names)
        elif block.language in PARSERS:
            PARSERS[block.language](block.text)
        else:
            self._fail(block, f"nothing runs a block of {block.language or 'no language'}; say why it is not run")

    def close(self) -> None:
        """Leave nothing behind; the platform is swept by its maker."""
        if self._platform is not None:
            self._platform.sweep()
            self._platform.bin = Path(sys.executable).parent
        shutil.rmtree(self.folder, ignore_errors=True)

    def _command(self, command: str, expected: list[str], block: Block) -> None:
        if self._code and not command.startswith("echo $?"):
            self._fail(block, f"exit code {self._code} before {command!r}:\n{self._said}")
        output = self._up() if command in {"make up", "agentpod up"} else self._shell(command)
        self._said = "\n".join(output)
        if expected and not matches(expected, output):
            wanted = "\n".join(expected)
            self._fail(block, f"{command!r} printed (exit code {self._code})\n{self._said}\ninstead of\n{wanted}")
        if not expected and self._code:
            self._fail(block, f"{command!r} failed with {self._code}:\n{self._said}")

    def _shell(self, command: str) -> list[str]:
        done = subprocess.run(
            ["bash", "-c", f"(exit {self._code})\n{command}"],
            cwd=self._checkout(),
            env=self._env(),
            text=True,
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            stdin=subprocess.DEVNULL,
            timeout=240,
            check=False,
        )
        self._code = done.returncode
        return self._as_written(done.stdout)

    def _up(self) -> list[str]:
        """Start the platform, or start it again, as a reader does in a terminal of its own."""
        platform = self._its_platform()
        said = 0
        if platform.process is not None:
            platform.end(signal.SIGINT)
            said = len(platform.log)
        platform.up()
        return self._as_written(platform.log[said:])

    def _its_platform(self):
        if self._platform is None:
            self._checkout()
            self._platform = self._new_platform(network=self._network)
            self._platform.bin = self.folder / ".venv" / "bin"
            # Requests go to the platform's own port under the addresses that the page names.
            (self.folder / ".curlrc").write_text(
                f'connect-to = "::127.0.0.1:{self._platform.http}"\nsilent\nshow-error\n'
            )
        return self._platform

    def _env(self) -> dict[str, str]:
        own = self._its_platform().env
        return {**own, "CURL_HOME": str(self.folder), "PATH": f"{self.folder / '.venv' / 'bin'}:{own['PATH']}"}

    def _as_written(self, output: str) -> list[str]:
        """Give the lines as on a machine with the default ports and folders."""
        platform = self._its_platform()
        output = output.replace(f":{platform.port}", ":8700").replace(f":{platform.http}", "")
        return [line.rstrip() for line in output.replace(f"{self.folder}/", "").splitlines()]

    def _checkout(self) -> Path:
        """Make a folder that looks like a checkout, whose venv sees what this one has and keeps what is added."""
        own = self.folder / ".venv"
        if not own.exists():
            self.folder.chmod(0o711)
            venv.EnvBuilder(symlinks=True).create(own)
            [packages] = own.glob("lib/python*/site-packages")
            [given] = [path for path in site.getsitepackages() if path.startswith(sys.prefix)][:1]
            (packages / "checkout.pth").write_text(f"import site; site.addsitedir({given!r})\n")
            for module in ("agentpod_cli", "pip"):
                program = own / "bin" / module.removesuffix("_cli")
                program.write_text(f'#!/bin/sh\nexec "{own}/bin/python" -m {module} "$@"\n')
                program.chmod(0o755)
            # Another platform of this machine may have containers of the same tenant's name.
            docker = own / "bin" / "docker"
            docker.write_text(
                '#!/bin/sh\nours="label=agentpod.instance=$(cat "$AGENTPOD_STATE_DIR/instance")"\n'
                'case "$1 $2" in\n"ps "*) shift; set -- ps --filter "$ours" "$@";;\n'
                '*" ls") one=$1; shift 2; set -- "$one" ls --filter "$ours" "$@";;\nesac\n'
                f'exec {shutil.which("docker")} "$@"\n'
            )
            docker.chmod(0o755)
        return self.folder

    def _fail(self, block: Block, what: str) -> None:
        pytest.fail(f"{self.page.name}:{block.line}: {what}", pytrace=False)


def matches(expected: list[str], output: list[str]) -> bool:
    """Say whether an output is as a page shows it."""
    lines = [line.rstrip() for line in expected]
    while lines and not lines[-1]:
        lines.pop()
    parts = [r"(?:.*\n)*" if line == ANYTHING else re.escape(line).replace(ANYTHING, ".*") + r"\n" for line in lines]
    return re.fullmatch("".join(parts), "".join(f"{line}\n" for line in output)) is not None


def agentpod_commands(block: Block) -> Iterator[list[str]]:
    """Give the words after ``agentpod`` of each command line of a block."""
    for command, _ in block.commands:
        words = shlex.split(command)
        while words and re.fullmatch(r"[A-Z_]+=.*", words[0]):
            words.pop(0)
        if words and words[0].rpartition("/")[2] == "agentpod":
            yield words[1:]


@pytest.fixture
def story(runs, new_platform):
    """Give a page's story, and leave nothing of it."""
    number, page = runs
    told = Story(page, number, new_platform)
    yield told
    told.close()


@pytest.fixture
def tell():
    """Give the way to tell a page of one's own that needs no platform."""

    def told(path: Path) -> None:
        one = read(path)
        one.path = ROOT / "page.md"
        story = Story(one, 0, None)
        try:
            for block in one.blocks:
                story.tell(block)
        finally:
            story.close()

    return told


@pytest.fixture(scope="session")
def all_pages() -> list[Page]:
    """Give every page."""
    return pages()


@pytest.fixture(scope="session")
def commands_of():
    """Give the way to a block's ``agentpod`` commands."""
    return agentpod_commands


@pytest.fixture(scope="session")
def same():
    """Give the comparison of outputs."""
    return matches
