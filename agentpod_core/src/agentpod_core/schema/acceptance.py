"""Takes what a user sent for a config, all the way to what can be stored.

One order for every way in: JSON, then the raw texts of ``--set``, then secrets, then what is
stored in place of masks, then every check. It stores nothing.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from msgspec import Struct

from agentpod_core.errors import Problem
from agentpod_core.schema import paths, secrets
from agentpod_core.schema.checking import problem, problems
from agentpod_core.schema.coercion import coerce


class Accepted(Struct, frozen=True, kw_only=True):
    """What came of it: the value without secret texts, these by dotted path, and all problems.

    With problems the rest is of no use. Without, store the secrets and ``put_refs`` what that gave.
    """

    value: Any
    secrets: dict[str, str]
    problems: list[Problem]

    def __repr__(self) -> str:
        """Leave the secrets out."""
        return f"Accepted(secrets={sorted(self.secrets)}, problems={self.problems!r})"


def accept(
    schema: dict[str, Any],
    given: Any = None,
    *,
    texts: Mapping[str, str] | None = None,
    secret_texts: Mapping[str, str] | None = None,
    stored: Any = None,
) -> Accepted:
    """Take what a user sent: JSON, raw texts at dotted paths, and secrets at dotted paths.

    ``stored`` is the config as it is now, with references; masks in ``given`` and blank secrets
    stand for what it holds. For a change in part, ``given`` is ``mask(schema, stored)`` with the
    change merged in. A secret among ``texts`` is refused (it would show in a list of processes),
    and so is a reference: users have no business to point at stored secrets.
    """
    texts, secret_texts = texts or {}, secret_texts or {}
    base, found = _without_references(schema, {} if given is None else given)
    misplaced = [path for path in texts if secrets.is_secret(schema, path)]
    found += [problem(paths.keys(path), "SecretInSet", field=path) for path in misplaced]
    value, unread = coerce(schema, {path: text for path, text in texts.items() if path not in misplaced}, base)
    found += unread
    before = secrets.split_secrets(schema, base)[1]
    smuggled = {path for path, text in secrets.split_secrets(schema, value)[1].items() if before.get(path) != text}
    found += [problem(paths.keys(path), "SecretInSet", field=path) for path in sorted(smuggled)]
    plain = [path for path in secret_texts if not secrets.is_secret(schema, path)]
    found += [problem(paths.keys(path), "NotASecret", field=path) for path in plain]
    value, unread = coerce(schema, {path: text for path, text in secret_texts.items() if path not in plain}, value)
    found += unread
    value, unset = secrets.unmask(schema, value, stored)
    known = {one.path for one in [*found, *unset]}
    # What could not be read is absent from the value; saying that it is missing too would mislead.
    found += unset + [one for one in problems(schema, value) if one.path not in known]
    return Accepted(
        **dict(zip(("value", "secrets"), secrets.split_secrets(schema, value), strict=True)), problems=found
    )


def _without_references(schema: dict[str, Any], given: Any) -> tuple[Any, list[Problem]]:
    found: list[Problem] = []

    def check(keys: tuple[paths.Key, ...], secret: Any) -> Any:
        if secrets.as_ref(secret) is None:
            return secret
        found.append(problem(keys, "InvalidType", expected=["string"], given="object"))
        return None

    return secrets.replace_secrets(schema, given, check), found
