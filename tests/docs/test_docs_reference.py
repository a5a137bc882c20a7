"""The reference is what the code says: made from it, and held against it by other means."""

from __future__ import annotations

import ast
import collections.abc
import contextlib
import datetime as dt
import inspect
import ipaddress
import pathlib
import re
import sys
import typing
from pathlib import Path

import msgspec
import pytest
import reference

import agentpod_core
from agentpod_core import catalogue, embedding
from agentpod_core.host import KINDS
from agentpod_core.plugpoints import hooks
from agentpod_server import settings

ROOT = Path(__file__).parents[2]
FOLDER = ROOT / "docs" / "reference"
of_modules = pytest.mark.parametrize(
    ("name", "module"), [("plug-points.md", agentpod_core), ("embedding.md", embedding)]
)


def headings(page):
    """Give what a page's headings name, in their order."""
    return re.findall(r"^#{3,4} `?([\w.]+)`?", (FOLDER / page).read_text(), re.MULTILINE)


def shown(page):
    """Give the signature below each heading of a page, parsed."""
    parts = re.split(r"^#{3,4} `?([\w.]+)`?.*$", (FOLDER / page).read_text(), flags=re.MULTILINE)
    found = {}
    for name, text in zip(parts[1::2], parts[2::2], strict=True):
        block = re.search(r"^```python\n((?:async )?def .*?)\n```$", text, re.DOTALL | re.MULTILINE)
        if block:
            found[name] = ast.parse(f"{block[1]}: ...").body[0]
    return found


def as_inspected(function):
    """Give what the interpreter knows of a function: how it is called, and each parameter."""
    function = inspect.unwrap(function)
    seen = inspect.signature(function)
    parameters = [
        (one.name, str(one.kind), _written(one.annotation), one.default is one.empty)
        for one in seen.parameters.values()
    ]
    is_async = inspect.iscoroutinefunction(function) or inspect.isasyncgenfunction(function)
    return is_async, parameters, _written(seen.return_annotation)


def _written(annotation):
    return None if annotation is inspect.Signature.empty else ast.unparse(ast.parse(annotation))


def as_shown(tree):
    """Give the same of what a page shows."""
    args, kinds = tree.args, inspect.Parameter
    needed = len(args.args) - len(args.defaults)
    parameters = [(one, kinds.POSITIONAL_OR_KEYWORD, at < needed) for at, one in enumerate(args.args)]
    parameters += [(args.vararg, kinds.VAR_POSITIONAL, True)] if args.vararg else []
    by_name = zip(args.kwonlyargs, args.kw_defaults, strict=True)
    parameters += [(one, kinds.KEYWORD_ONLY, given is None) for one, given in by_name]
    parameters += [(args.kwarg, kinds.VAR_KEYWORD, True)] if args.kwarg else []
    each = [
        (one.arg, str(kind), ast.unparse(one.annotation) if one.annotation else None, is_needed)
        for one, kind, is_needed in parameters
    ]
    return isinstance(tree, ast.AsyncFunctionDef), each, ast.unparse(tree.returns) if tree.returns else None


def methods(things):
    """Give the public methods and properties that classes define themselves, by their dotted names."""
    return {
        f"{thing.__name__}.{name}": method.fget if isinstance(method, property) else method
        for thing in things
        for name, method in vars(thing).items()
        if not name.startswith("_") and (isinstance(method, property) or inspect.isfunction(method))
    }


def exported(module):
    """Give a module's public classes and functions by name."""
    things = {name: getattr(module, name) for name in module.__all__}
    return {name: thing for name, thing in things.items() if inspect.isclass(thing) or inspect.isfunction(thing)}


@pytest.mark.parametrize("name", ["plug-points.md", "embedding.md", "settings.md", "reasons.md"])
def test_the_page_is_what_the_code_says(name):
    """The page is made anew whenever the code changes: python scripts/reference.py."""
    assert (FOLDER / name).read_text(encoding="utf-8") == reference.PAGES[name]()


def test_every_hook_is_there():
    """Each hook of the host, and no other, has its signature on the page."""
    named = {name for name in headings("plug-points.md") if name.startswith("agentpod_")}
    assert named == {kind.hook for kind in KINDS}
    assert {name: as_shown(shown("plug-points.md")[name]) for name in named} == {
        name: as_inspected(getattr(hooks, name)) for name in named
    }


def test_every_plug_point_has_its_contract():
    """Whoever implements one finds on the page what its tests have to define."""
    named = {name for name in headings("plug-points.md") if name.endswith("Contract")}
    assert named == {f"{kind.type.__name__}Contract" for kind in KINDS}


@of_modules
def test_everything_public_is_there(name, module):
    """Whatever a module exports occurs on its page, once."""
    named = headings(name)
    assert sorted(one for one in named if one in exported(module)) == sorted(exported(module))


def test_every_name_is_explained():
    """No signature and no field speaks of a thing of the core that neither page shows."""
    pages = {name: (FOLDER / name).read_text() for name in ("plug-points.md", "embedding.md")}
    ours = {name for key, one in sys.modules.items() if key.startswith("agentpod_core") for name in vars(one)}
    ours -= {
        name
        for module in (typing, collections.abc, contextlib, dt, ipaddress, pathlib, msgspec)
        for name in vars(module)
    }
    explained = {name for page in pages for name in headings(page)}
    explained |= {name for text in pages.values() for name in re.findall(r"^\| `(\w+)` \|", text, re.MULTILINE)}
    spoken = {word for name in pages for tree in shown(name).values() for word in _names(tree)}
    for text in pages.values():
        for kind in re.findall(r"^\| `\w+` \| `(.+?)` \|", text, re.MULTILINE):
            spoken |= set(re.findall(r"\w+", kind))
    assert sorted(word for word in spoken & ours - explained if word[0].isupper()) == ["ConfigT", "TargetT"]


def _names(tree):
    return (one.id for one in ast.walk(tree) if isinstance(one, ast.Name))


@of_modules
def test_every_signature_is_exact(name, module):
    """Each method and function has its own signature below its name, and none is missing or made up."""
    things = exported(module)
    known = methods(thing for thing in things.values() if inspect.isclass(thing))
    known |= {key: thing for key, thing in things.items() if inspect.isfunction(thing)}
    hooked = {kind.hook for kind in KINDS}
    seen = {key: tree for key, tree in shown(name).items() if tree.name != "__init__" and key not in hooked}
    assert {key: as_shown(tree) for key, tree in seen.items()} == {key: as_inspected(one) for key, one in known.items()}


@of_modules
def test_every_field_is_there(name, module):
    """Each field of each value has its row below the value's name."""
    parts = re.split(r"^### `(\w+)`.*$", (FOLDER / name).read_text(), flags=re.MULTILINE)
    texts = dict(zip(parts[1::2], parts[2::2], strict=True))
    things = {key: one for key, one in exported(module).items() if inspect.isclass(one)}
    structs = {key: one for key, one in things.items() if issubclass(one, msgspec.Struct)}
    rows = {key: re.findall(r"^\| `(\w+)` \|", texts[key].split("####")[0], re.MULTILINE) for key in structs}
    assert rows == {key: [field.name for field in msgspec.structs.fields(one)] for key, one in structs.items()}


def test_every_reason_has_an_anchor():
    """A problem's type ends in a word that is a heading of the page."""
    assert set(headings("reasons.md")) == set(catalogue.reasons())


def test_every_setting_is_there():
    """Each variable that the server or the command line reads is on the page."""
    text = (FOLDER / "settings.md").read_text()
    wanted = {row.variable for row in settings.table()} | settings.RESERVED
    assert {name for name in wanted if f"| `{name}` |" not in text} == set()


def test_every_variable_that_is_spoken_of_is_there():
    """Whatever the command line reads, and whatever a text tells a reader to set, is on the page."""
    text = (FOLDER / "settings.md").read_text()
    sources = [
        *(ROOT / "apps" / "agentpod_cli" / "src").rglob("*.py"),
        *(path for path in ROOT.rglob("src/**/messages/*.toml")),
    ]
    named = {name for path in sources for name in re.findall(r"\bAGENTPOD_[A-Z_]*[A-Z]\b", path.read_text())}
    assert {name for name in named if f"`{name}`" not in text} == set()
