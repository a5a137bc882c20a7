"""A pod's or a notifier's config on its way in and out: merged and checked as a whole, secrets apart.

What comes in is strict JSON, raw texts (``set``) and secrets by path; what goes out shows a mask for
every secret that is set. Pure: nothing is stored here.
"""

from __future__ import annotations

from collections.abc import Mapping
from functools import cache
from typing import Any

import msgspec
from msgspec import UNSET, Struct, UnsetType

from agentpod_core import AgentAdapter, Problem, schema
from agentpod_core.schema import Accepted
from agentpod_core.values.pods import PodSpec
from agentpod_core.values.workload import SecretRef

ROOT = "$.config"
_MASK = {"$secret": True}


class Given(Struct, frozen=True, kw_only=True):
    """What somebody wants the config to be. ``is_patch``: ``config`` is a merge patch of what there is."""

    config: dict[str, Any] = {}
    set: Mapping[str, str] = {}
    secrets: Mapping[str, str] = {}
    is_patch: bool = False

    @classmethod
    def patch(
        cls, config: dict[str, Any] | UnsetType, texts: Mapping[str, str], secrets: Mapping[str, str]
    ) -> Given | UnsetType:
        """Give what a merge patch wants of the config; UNSET when it does not speak of it."""
        if config is UNSET and not texts and not secrets:
            return UNSET
        return cls(config={} if config is UNSET else config, set=texts, secrets=secrets, is_patch=True)

    def __repr__(self) -> str:
        return f"Given(set={sorted(self.set)}, secrets={sorted(self.secrets)}, is_patch={self.is_patch})"


@cache
def published(config_type: type[Struct]) -> dict[str, Any]:
    """Give the JSON Schema of a config type, made once."""
    return schema.json_schema(config_type)


def present(adapter: AgentAdapter[Any], spec: PodSpec) -> dict[str, Any]:
    """Give a stored config in the adapter's present shape, references in place of secrets; runs its code."""
    if spec.config_version == adapter.config_version:
        return spec.config
    return adapter.upgrade(spec.config_version, spec.config)


def shown(adapter: AgentAdapter[Any] | None, spec: PodSpec) -> dict[str, Any]:
    """Give a config for people: secrets masked. Without its adapter, by the shape of references."""
    masked = (
        masked_by_shape(spec.config)
        if adapter is None
        else schema.mask(published(adapter.config_type), present(adapter, spec))
    )
    return masked if isinstance(masked, dict) else {}


def check(config_type: type[Struct], given: Given, stored: dict[str, Any] | None = None) -> Accepted:
    """Put together what was given, over what is ``stored`` for a patch, and find everything wrong with it."""
    form = published(config_type)
    base: Any = schema.mask(form, stored) if given.is_patch and stored is not None else {}
    wanted = merge_patch(base, given.config) if given.is_patch else given.config
    accepted = schema.accept(form, wanted, texts=given.set, secret_texts=given.secrets, stored=stored)
    return msgspec.structs.replace(accepted, problems=below(accepted.problems))


def below(problems: list[Problem]) -> list[Problem]:
    """Move problems of a config to where the config is in a request."""
    return [msgspec.structs.replace(one, path=ROOT + one.path.removeprefix("$")) for one in problems]


def merge_patch(target: Any, patch: Any) -> Any:
    """Apply a JSON merge patch (RFC 7396)."""
    if not isinstance(patch, dict) or patch == _MASK:
        return patch
    merged = dict(target) if isinstance(target, dict) and target != _MASK else {}
    for key, value in patch.items():
        if value is None:
            merged.pop(key, None)
        else:
            merged[key] = merge_patch(merged.get(key), value)
    return merged


def differences(one: Any, other: Any, path: str = "config") -> list[str]:
    """List the places in which two configs differ, each as a dotted path; never what stands there."""
    if one == other:
        return []
    if not (isinstance(one, dict) and isinstance(other, dict)) or _MASK in (one, other):
        return [path]
    missing = object()
    names = dict.fromkeys([*one, *other])
    return [
        found
        for name in names
        for found in differences(one.get(name, missing), other.get(name, missing), f"{path}.{name}")
    ]


def references(value: Any) -> list[SecretRef]:
    """List the references to secrets in a stored config."""
    if isinstance(value, dict):
        found = _reference(value)
        return [found] if found else [ref for item in value.values() for ref in references(item)]
    return [ref for item in value for ref in references(item)] if isinstance(value, list) else []


def _reference(value: dict[str, Any]) -> SecretRef | None:
    if value.keys() != {"key", "store", "version"}:
        return None
    try:
        return msgspec.convert(value, SecretRef)
    except msgspec.ValidationError:
        return None


def masked_by_shape(value: Any) -> Any:
    """Mask what looks like a reference; for what nobody can tell the schema of."""
    if isinstance(value, dict):
        return dict(_MASK) if _reference(value) else {key: masked_by_shape(item) for key, item in value.items()}
    return [masked_by_shape(item) for item in value] if isinstance(value, list) else value
