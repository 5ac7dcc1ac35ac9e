"""How resource types say what their CRD says: the base class, field markers and CEL rules.

Reading follows Go: an absent field is its zero value, an unknown one is ignored, limits are not checked. The API server
enforces the schema; the operator must still be able to read what an older or newer CRD let through. Nothing here
imports a Kubernetes client.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, ClassVar, TypeAlias, TypeVar, cast

from pydantic import BaseModel, ConfigDict, ValidationError
from pydantic.alias_generators import to_camel

from kagent_api.errors import InvalidSpec, ObjectRef

__all__ = ["FREE_FORM", "UNSET", "Core", "Crd", "JsonObject", "Rule", "Shape", "crd", "parse", "required", "wire_name"]

JsonObject: TypeAlias = dict[str, Any]

UNSET = object()

# Upstream's names that no rule of camel case yields; `model_config` belongs to pydantic.
_NAMES = {
    "openai": "openAI",
    "azure_openai": "azureOpenAI",
    "gemini_vertex_ai": "geminiVertexAI",
    "anthropic_vertex_ai": "anthropicVertexAI",
    "sap_ai_core": "sapAICore",
    "project_id": "projectID",
    "cache_ttl": "cacheTTL",
    "disable_system_cas": "disableSystemCAs",
    "allowed_user_ids": "allowedUserIDs",
    "allowed_user_ids_from": "allowedUserIDsFrom",
    "a2a_config": "a2aConfig",
    "model_config_name": "modelConfig",
}


def wire_name(attribute: str) -> str:
    """Return the JSON name of an attribute."""
    return _NAMES.get(attribute) or to_camel(attribute.removesuffix("_"))


@dataclass(frozen=True, slots=True)
class Crd:
    """What a field's CRD schema says beyond its type; ``keywords`` are OpenAPI's own."""

    required: bool = False
    default: object = UNSET
    keywords: tuple[tuple[str, object], ...] = ()


def crd(*, default: object = UNSET, **keywords: object) -> Crd:
    """Mark a field with OpenAPI keywords, or a default that the API server fills in."""
    return Crd(default=default, keywords=tuple(keywords.items()))


def required(**keywords: object) -> Crd:
    """Mark a field that the API server insists on; reading without it still yields the zero value."""
    return Crd(required=True, keywords=tuple(keywords.items()))


@dataclass(frozen=True, slots=True)
class Core:
    """Mark a value that is a core/v1 or meta/v1 object of this name, kept as it came."""

    name: str


FREE_FORM = crd(**{"x-kubernetes-preserve-unknown-fields": True})


@dataclass(frozen=True, slots=True)
class Rule:
    """A CEL rule (``self`` is the object of the class it stands on) and what its author is told."""

    rule: str
    message: str


class Shape(BaseModel):
    """An object of a resource: camelCase on the wire, snake_case here."""

    model_config = ConfigDict(
        alias_generator=wire_name,
        validate_by_name=True,
        validate_by_alias=True,
        extra="ignore",
        coerce_numbers_to_str=True,
        defer_build=True,
        protected_namespaces=(),
    )
    rules: ClassVar[tuple[Rule, ...]] = ()

    def to_wire(self) -> JsonObject:
        """Return the JSON object, without the fields that have no value."""
        return self.model_dump(mode="json", by_alias=True, exclude_none=True)


ShapeT = TypeVar("ShapeT", bound=Shape)


def parse(shape: type[ShapeT], obj: Mapping[str, Any]) -> ShapeT:
    """Read a raw object; raise InvalidSpec that names the object and the first field that does not fit."""
    try:
        return shape.model_validate(obj)
    except ValidationError as error:
        raw = obj.get("metadata")
        metadata = cast("JsonObject", raw) if isinstance(raw, dict) else {}
        ref = ObjectRef(
            str(obj.get("kind", shape.__name__)), str(metadata.get("namespace", "")), str(metadata.get("name", ""))
        )
        first = error.errors(include_url=False, include_context=False, include_input=False)[0]
        field = ".".join(str(step) for step in first["loc"])
        raise InvalidSpec(first["msg"], ref=ref, field=field, remedy="correct this field and apply again") from error
