"""Settings as people write them: YAML whose keys stand there once, and what breaks a rule in words of YAML."""

from __future__ import annotations

from difflib import get_close_matches
from typing import Any, get_args

import yaml
from pydantic import BaseModel, ValidationError
from pydantic_core import ErrorDetails

PLAIN = {  # pydantic's kinds of offence, as a user of YAML would name what is wanted
    "string_type": "text, in quotes where it looks like a number ('0111')",
    "tuple_type": "a list such as [a, b]",
    "model_type": "a mapping such as {name: value}",
    "dict_type": "a mapping such as {name: value}",
    "model_attributes_type": "a mapping such as {kind: name}",
}


def load_yaml(text: str) -> Any:
    """Plain content.

    Raises:
        yaml.YAMLError: no YAML, or a key twice in a mapping.
        ValueError: a value such as 2024-02-30.
    """
    return yaml.load(text, _UniqueKeys)


class _UniqueKeys(yaml.SafeLoader):
    """Refuses a mapping that names a key twice, of which YAML would keep the last in silence."""

    def compose_mapping_node(self, anchor: Any) -> yaml.MappingNode:
        node: yaml.MappingNode = super().compose_mapping_node(anchor)
        seen: set[str] = set()
        for key, _ in node.value:
            if not isinstance(key, yaml.ScalarNode) or key.tag.endswith(":merge"):
                continue
            if key.value in seen:
                problem = f"the key {key.value!r} stands there twice"
                raise yaml.constructor.ConstructorError("in a mapping", node.start_mark, problem, key.start_mark)
            seen.add(key.value)
        return node


def broken_rules(error: ValidationError, root: type[BaseModel], name: str) -> str:
    """What pydantic found, in words for the person who wrote the settings.

    Args:
        error: of the validation.
        root: what was validated.
        name: of the whole, where the offence has no place within.
    """
    found = error.errors()
    told = [f for f in found if f["type"] != "too_short" or not any(_is_within(other, f) for other in found)]
    return "; ".join(f"{'.'.join(map(str, f['loc'])) or name} {_offence(f, root)}" for f in told)


def _is_within(inner: ErrorDetails, outer: ErrorDetails) -> bool:
    """Whether it is about a part of the other's value: a list is too short for having lost what was wrong in it."""
    depth = len(outer["loc"])
    return len(inner["loc"]) > depth and inner["loc"][:depth] == outer["loc"]


def _offence(found: ErrorDetails, root: type[BaseModel]) -> str:
    kind, message = found["type"], found["msg"]
    if kind == "extra_forbidden":
        return "is no setting" + meant(str(found["loc"][-1]), _settings_beside(found["loc"], root))
    if kind.startswith("union_tag"):
        return _unknown_kind(found)
    if kind == "value_error":
        return "is wrong: " + message.removeprefix("Value error, ")
    if kind == "missing":
        return "must be given"
    if kind in PLAIN:
        return f"must be {PLAIN[kind]}, got {found['input']!r}"
    return f"is wrong: {message[0].lower()}{message[1:]}, got {found['input']!r}"


def _unknown_kind(found: ErrorDetails) -> str:
    """Of a block that is chosen by its kind."""
    context = found.get("ctx", {})
    if "expected_tags" not in context:
        return "must say its kind, as in {kind: name}"
    known = [tag.strip(" '") for tag in context["expected_tags"].split(",")]
    given = str(context["tag"])
    return f"must be one of {', '.join(f'{{kind: {tag}}}' for tag in known)}, got kind {given!r}{meant(given, known)}"


def meant(given: str, known: list[str], cutoff: float = 0.6) -> str:
    """The known name that is nearest, as the end of a sentence; nothing where none is near."""
    near = get_close_matches(given, known, n=1, cutoff=cutoff)
    return f"; is {near[0]} meant?" if near else ""


def _settings_beside(place: tuple[int | str, ...], root: type[BaseModel]) -> list[str]:
    """The settings that may stand where `place`, a path of keys and kinds, does not."""
    sections: list[type[BaseModel]] = [root]
    for key in place[:-1]:
        inner = [s for section in sections if key in section.model_fields for s in _sections(section, str(key))]
        of_kind = [section for section in sections if "kind" in section.model_fields]
        sections = inner or [section for section in of_kind if section.model_fields["kind"].default == key] or sections
    return [name for section in sections for name in section.model_fields]


def _sections(section: type[BaseModel], field: str) -> list[type[BaseModel]]:
    """The sections that a field can hold, alone, in a union or in a mapping."""

    def within(kind: Any) -> list[type[BaseModel]]:
        if isinstance(kind, type) and issubclass(kind, BaseModel):
            return [kind]
        return [found for part in get_args(kind) for found in within(part)]

    return within(section.model_fields[field].annotation)
