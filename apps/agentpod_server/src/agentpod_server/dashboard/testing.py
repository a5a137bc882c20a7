"""A browser without scripts for tests: it reads pages as HTML and sends forms as browsers do.

``from agentpod_server.dashboard.testing import *`` gives the fixture ``browser``: an administrator who
is logged in to the server of ``agentpod_server.testing``.
"""

from __future__ import annotations

from collections.abc import AsyncIterator, Mapping
from html.parser import HTMLParser
from typing import Final
from urllib.parse import urlencode

import httpx
import pytest_asyncio

from agentpod_server.testing import PASSWORD, Rig

__all__ = ["browser"]

_VOID: Final = frozenset({"input", "link", "meta", "br", "hr", "img"})

Values = Mapping[str, str | list[str] | None]


class Form:
    """One form of a page: where it goes, and what it would send as it stands."""

    def __init__(self, attributes: Mapping[str, str | None]) -> None:
        self.action = attributes.get("action") or ""
        self.method = (attributes.get("method") or "get").lower()
        self.is_multipart = attributes.get("enctype") == "multipart/form-data"
        self.pairs: list[tuple[str, str]] = []
        self.names: set[str] = set()

    def filled(self, values: Values) -> list[tuple[str, str]]:
        """Give the pairs with some names set anew, None being what is not sent.

        Raises:
            LookupError: the form has no such input.
        """
        pairs = [(name, value) for name, value in self.pairs if name not in values]
        for name, value in values.items():
            if name not in self.names:
                raise LookupError(name)
            pairs += [(name, one) for one in ([value] if isinstance(value, str) else value or [])]
        return pairs


class Page(HTMLParser):
    """A page that was read."""

    def __init__(self, html: str) -> None:
        super().__init__(convert_charrefs=True)
        self.html = html
        self.forms: list[Form] = []
        self.ids: list[str] = []
        self.links: list[str] = []
        self.focus = ""
        self.text = ""
        self.assets: list[str] = []
        self.inline: list[str] = []
        self._inside: list[str] = []
        self._fieldsets: list[bool] = []
        self._select = ""
        self._options: list[tuple[str, bool]] = []
        self._area: tuple[str, str] | None = None
        # As browsers do: line ends are of one kind.
        self.feed(html.replace("\r\n", "\n"))
        self.close()

    def form(self, action: str, method: str = "post") -> Form:
        """Give the form that goes to an address by that method.

        Raises:
            LookupError: there is none.
        """
        found = next((one for one in self.forms if (one.action, one.method) == (action, method)), None)
        if found is None:
            raise LookupError(action)
        return found

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        """Note what matters of an element."""
        facts = dict(attrs)
        self.inline += [f"{tag} {name}" for name in facts if name == "style" or name.startswith("on")]
        if tag not in _VOID:
            self._inside.append(tag)
        if "template" in self._inside:
            return
        if "id" in facts:
            self.ids.append(facts["id"] or "")
        if "autofocus" in facts:
            self.focus = facts.get("id") or facts.get("name") or ""
        self.links += [facts["href"] or ""] if tag == "a" and "href" in facts else []
        source = facts.get("src") or (facts.get("href") if tag == "link" else None)
        self.assets += [source] if source else []
        if tag == "script" and not facts.get("src"):
            self.inline.append("script")
        if tag == "style":
            self.inline.append("style")
        if tag == "form":
            self.forms.append(Form(facts))
        if tag == "fieldset":
            self._fieldsets.append("disabled" in facts)
        self._note_input(tag, facts)

    def handle_endtag(self, tag: str) -> None:
        """Close what was open."""
        if tag in self._inside:
            while self._inside.pop() != tag:
                pass
        if tag == "select" and self._select:
            chosen = [value for value, is_chosen in self._options if is_chosen]
            self._send(self._select, (chosen or [value for value, _ in self._options[:1]] or [""])[-1])
            self._select = ""
        if tag == "textarea" and self._area is not None:
            name, text = self._area
            self._send(name, text.removeprefix("\n").replace("\n", "\r\n"))
            self._area = None
        if tag == "fieldset" and self._fieldsets and "template" not in self._inside:
            self._fieldsets.pop()

    def handle_data(self, data: str) -> None:
        """Collect the text that people see, and that of an open text area."""
        if self._area is not None:
            self._area = (self._area[0], self._area[1] + data)
        elif not {"template", "script", "head"} & set(self._inside):
            self.text += data

    def _note_input(self, tag: str, facts: Mapping[str, str | None]) -> None:
        name, value = facts.get("name") or "", facts.get("value")
        match tag:
            case "option":
                self._options.append((value or "", "selected" in facts))
            case "select":
                self._select, self._options = name, []
            case "textarea":
                self._area = (name, "")
            case "input" if facts.get("type") in {"checkbox", "radio"}:
                self._send(name, "on" if value is None else value, is_sent="checked" in facts)
            case "input":
                self._send(name, value or "")
            case "button" if name and self.forms:
                self.forms[-1].names.add(name)
            case _:
                pass

    def _send(self, name: str, value: str, *, is_sent: bool = True) -> None:
        if name and self.forms and not any(self._fieldsets):
            self.forms[-1].names.add(name)
            if is_sent:
                self.forms[-1].pairs.append((name, value))


class Browser:
    """Somebody who reads pages and sends forms; cookies are kept, redirects are not followed by themselves."""

    def __init__(self, client: httpx.AsyncClient) -> None:
        self.client = client

    async def get(self, path: str, **headers: str) -> httpx.Response:
        """Ask for an address as a browser does."""
        return await self.client.get(path, headers={"Accept": "text/html,*/*;q=0.8"} | headers)

    async def page(self, path: str, status: int = 200) -> Page:
        """Read a page.

        Raises:
            AssertionError: it answers with another status.
        """
        return read(await self.get(path), status)

    async def send(self, form: Form, values: Values | None = None, **headers: str) -> httpx.Response:
        """Send a form as its inputs stand, some of them changed."""
        pairs = form.filled(values or {})
        sent = {"Accept": "text/html", "Origin": str(self.client.base_url).rstrip("/")} | headers
        if form.is_multipart:
            files = [(name, (None, value.encode())) for name, value in pairs]
            return await self.client.post(form.action, files=files, headers=sent)
        sent["Content-Type"] = "application/x-www-form-urlencoded"
        return await self.client.post(form.action, content=urlencode(pairs), headers=sent)

    async def log_in(self, user: str = "admin", password: str = PASSWORD) -> httpx.Response:
        """Log in."""
        form = (await self.page("/login")).form("/login")
        return await self.send(form, {"user": user, "password": password})


def read(answer: httpx.Response, status: int = 200) -> Page:
    """Read an answer as a page.

    Raises:
        AssertionError: it has another status.
    """
    if answer.status_code != status:
        raise AssertionError(f"{answer.request.url}: {answer.status_code}, not {status}\n{answer.text[:2000]}")
    return Page(answer.text)


@pytest_asyncio.fixture(loop_scope="session")
async def browser(rig: Rig) -> AsyncIterator[Browser]:
    """Give an administrator's browser."""
    async with rig.client() as client:
        made = Browser(client)
        await made.log_in()
        yield made
