from __future__ import annotations

import re

import pytest

from agentpod_server.dashboard import pages

CSS = (pages.assets_folder() / "dashboard.css").read_text("utf-8")
LIGHT, DARK = re.findall(r":root \{(.*?)\}", CSS, re.DOTALL)[:2]
TEXTS = [
    *(
        (ink, ground)
        for ink in ("ink", "muted", "accent", "bad", "danger")
        for ground in ("ground", "surface", "sunken")
    ),
    *((tone, f"{tone}-soft") for tone in ("good", "busy", "warn", "bad", "idle")),
    ("on-accent", "accent"),
    ("on-accent", "accent-strong"),
    ("accent-strong", "accent-soft"),
    ("ink", "accent-soft"),
    ("surface", "danger"),
    ("ground", "ink"),
]
SIGNS = [("edge", "surface"), ("edge", "ground"), ("accent", "surface"), ("accent", "ground"), ("bad-dot", "surface")]


def values(block: str) -> dict[str, str]:
    """Read the colours of one scheme."""
    return dict(re.findall(r"--([\w-]+): (#[0-9a-f]{6});", block))


def contrast(one: str, other: str) -> float:
    """Compare two colours as WCAG 2 does."""

    def light(colour: str) -> float:
        parts = [int(colour[at : at + 2], 16) / 255 for at in (1, 3, 5)]
        red, green, blue = (part / 12.92 if part <= 0.04045 else ((part + 0.055) / 1.055) ** 2.4 for part in parts)
        return 0.2126 * red + 0.7152 * green + 0.0722 * blue

    dark, bright = sorted((light(one), light(other)))
    return (bright + 0.05) / (dark + 0.05)


@pytest.mark.parametrize("scheme", [values(LIGHT), values(DARK)], ids=["light", "dark"])
def test_texts_and_signs_can_be_told_from_their_ground(scheme):
    """Texts have a contrast of 4.5 at least, borders and focus rings of 3, by day and by night."""
    assert {pair: contrast(*map(scheme.get, pair)) for pair in TEXTS if contrast(*map(scheme.get, pair)) < 4.5} == {}
    assert {pair: contrast(*map(scheme.get, pair)) for pair in SIGNS if contrast(*map(scheme.get, pair)) < 3} == {}


def test_style_and_scripts_ask_nobody_else():
    """No style sheet and no script of ours names another host."""
    for file in pages.assets_folder().glob("*.*s*"):
        found = re.findall(r"(?:https?:)?//[a-z0-9.-]+\.[a-z]+", file.read_text("utf-8"))
        assert set(found) <= {"http://www.w3.org"}, file.name


def test_what_was_taken_from_elsewhere_has_its_licence():
    """Beside every vendored file lies its licence."""
    folder = pages.assets_folder() / "vendor"
    for file in folder.glob("*.js"):
        assert (folder / file.name.replace(".min.js", ".LICENSE.txt")).is_file()
