"""Turns a published schema into a form's inputs, and what a browser sent of them into what the API takes.

Only that: what a text means, what is wrong with a value and what is secret are ``agentpod_core.schema``'s
to say. Every form works without scripts.
"""

from __future__ import annotations

from agentpod_server.forms.drawing import draw
from agentpod_server.forms.drawn import Drawn, Option, Parts, Row, first_wrong, wrong
from agentpod_server.forms.naming import Posted, input_id, last, number, posted_of
from agentpod_server.forms.reading import Reading, place_of, read
from agentpod_server.forms.widgets import Widget

__all__ = [
    "Drawn",
    "Option",
    "Parts",
    "Posted",
    "Reading",
    "Row",
    "Widget",
    "draw",
    "first_wrong",
    "input_id",
    "last",
    "number",
    "place_of",
    "posted_of",
    "read",
    "wrong",
]
