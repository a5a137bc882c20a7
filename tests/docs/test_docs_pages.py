"""What the documents say is so: their code runs, their commands exist, their links lead somewhere."""

from __future__ import annotations

import itertools
from urllib.parse import unquote

import click
import pytest

from agentpod_cli.cli import cli

NOT_RUN = 23
"""How many blocks no test runs, each with its reason beside it. One more is a decision: it is made here."""


@pytest.mark.docker
@pytest.mark.slow
@pytest.mark.timeout(900)
def test_a_page_runs_from_its_first_block_to_its_last(story):
    """A reader who does what a page says sees what it shows."""
    for block in story.page.blocks:
        if not block.not_run:
            story.tell(block)


def test_what_is_not_run_is_counted(all_pages):
    """Nobody takes a block out of the tests by the way."""
    left_out = [
        f"{page.name}:{block.line}: {block.not_run}" for page in all_pages for block in page.blocks if block.not_run
    ]
    assert len(left_out) == NOT_RUN, "\n".join(left_out)


def test_commands_exist(page, commands_of):
    """Every ``agentpod`` command of a page is one, with its options, also where it is not run."""
    for block in page.blocks:
        for words in commands_of(block) if block.language == "console" else ():
            try:
                _parse(words)
            except click.ClickException as error:
                pytest.fail(f"{page.name}:{block.line}: agentpod {' '.join(words)}: {error.format_message()}")


def _parse(words):
    """Let the command tree read a command line, without doing anything."""
    command, context, words = (
        cli,
        click.Context(cli, info_name="agentpod"),
        list(itertools.takewhile(lambda word: word not in {"|", ">"}, words)),
    )
    while isinstance(command, click.Group):
        name = words.pop(0)
        command = command.get_command(context, name)
        if command is None:
            raise click.UsageError(f"there is no command {name}")
        context = click.Context(command, info_name=name, parent=context)
    command.parse_args(context, words)


def test_links_lead_somewhere(page, all_pages):
    """A link to a file of the project finds it, and its anchor too."""
    anchors = {one.path: one.anchors for one in all_pages}
    for link in page.links:
        if "://" in link or link.startswith("mailto:"):
            continue
        place, _, anchor = link.partition("#")
        target = (page.path.parent / unquote(place)).resolve() if place else page.path
        assert target.exists(), f"{page.name} links to {link}"
        assert not anchor or anchor in anchors[target], f"{page.name} links to {link}"


def test_every_page_is_found_from_the_index(all_pages):
    """docs/README.md links to each page below docs/."""
    pages = {page.path: page for page in all_pages}
    index = next(page for path, page in pages.items() if page.name == "docs/README.md")
    linked = {(index.path.parent / link.partition("#")[0]).resolve() for link in index.links if "://" not in link}
    folder = index.path.parent
    assert {path for path in pages if path.is_relative_to(folder)} - linked - {index.path} == set()


@pytest.mark.parametrize(
    ("expected", "output", "is_same"),
    [
        (["a", "b"], ["a", "b"], True),
        (["a … c"], ["a bit of c"], True),
        (["…", "last"], ["any", "lines", "last"], True),
        (["first", "…"], ["first"], True),
        (["a"], ["a", "b"], False),
        (["a … c"], ["a bit", "of c"], False),
        (["a.c"], ["abc"], False),
        (["…", "first"], ["first", "last"], False),
    ],
)
def test_an_output_is_compared(expected, output, is_same, same):
    """An ellipsis stands for a part of a line or for whole lines, and for nothing else."""
    assert same(expected, output) is is_same


def test_an_unmarked_block_that_nothing_runs_fails(tmp_path, tell):
    """A block in a language that nothing runs is no documentation that is tested."""
    page = tmp_path / "page.md"
    page.write_text("```sh\ntrue\n```\n")
    with pytest.raises(pytest.fail.Exception, match="say why"):
        tell(page)


def test_a_wrong_block_fails(tmp_path, tell):
    """A page whose code raises, or whose data does not parse, is wrong."""
    for text, error in (("```python\nassert 1 == 2\n```", AssertionError), ("```json\n{]\n```", ValueError)):
        page = tmp_path / "page.md"
        page.write_text(text)
        with pytest.raises(error):
            tell(page)
