"""Which representation a client wants, and what it sent.

Answers are JSON (or YAML when asked), as whole objects, as Tables or as metadata only. Protobuf is read, because typed
kubectl commands send nothing else, and never written.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any, Literal

import orjson

from kagent_localcluster.apiserver.jsonvalue import is_object
from kagent_localcluster.errors import BadRequest, NotAcceptable, UnsupportedMediaType
from kagent_localcluster.seams import JsonObject

__all__ = ["Format", "choose_format", "decode_object", "encode", "read_yaml"]

_PROTOBUF = "application/vnd.kubernetes.protobuf"
_JSON_TYPES = frozenset({"", "application/json", "*/*", "application/*"})
_YAML_TYPES = frozenset({"application/yaml", "application/x-yaml", "text/yaml"})


@dataclass(frozen=True)
class Format:
    """What to answer with; ``shape`` is "" for whole objects."""

    media: Literal["json", "yaml"] = "json"
    shape: Literal["", "Table", "PartialObjectMetadata", "PartialObjectMetadataList"] = ""
    version: str = "v1"

    @property
    def api_version(self) -> str:
        """Return the version of Tables and PartialObjectMetadata."""
        return f"meta.k8s.io/{self.version}"

    @property
    def content_type(self) -> str:
        return "application/json" if self.media == "json" else "application/yaml"


def choose_format(accept: str, *, collection: str = "") -> Format:
    """Return the first acceptable representation; ``collection`` names the kind of list that is asked for.

    Raises:
        NotAcceptable: the client takes only what is not served here (protobuf, CBOR), or one object for a list.
    """
    if not accept:
        return Format()
    for part in accept.split(","):
        media, *parameters = (piece.strip() for piece in part.split(";"))
        options = dict(parameter.split("=", 1) for parameter in parameters if "=" in parameter)
        kind: Literal["json", "yaml"] | None = (
            "json" if media in _JSON_TYPES else "yaml" if media in _YAML_TYPES else None
        )
        if kind is None:
            continue
        wanted = options.get("as", "")
        if not wanted:
            return Format(kind)
        version = options.get("v", "")
        if options.get("g") != "meta.k8s.io" or version not in ("v1", "v1beta1"):
            continue
        if collection and wanted == "PartialObjectMetadata":
            raise NotAcceptable(f"you requested {wanted}, but the requested object is a list ({collection})")
        if wanted in ("Table", "PartialObjectMetadata", "PartialObjectMetadataList"):
            return Format(kind, wanted, version)
    raise NotAcceptable(
        "only the following media types are accepted: application/json, application/yaml, "
        "application/json;as=Table;v=v1;g=meta.k8s.io, application/json;as=PartialObjectMetadata;v=v1;g=meta.k8s.io"
    )


def encode(form: Format, value: Any) -> bytes:
    """Return the value in the chosen media type."""
    if form.media == "json":
        return orjson.dumps(value)
    import yaml

    return yaml.safe_dump(value, sort_keys=False, allow_unicode=True).encode()


def decode_object(content_type: str, body: bytes) -> JsonObject:
    """Return the object in a request body.

    Raises:
        UnsupportedMediaType: neither JSON, YAML nor Kubernetes protobuf.
        BadRequest: the body does not parse, or holds no object.
    """
    if content_type == _PROTOBUF:
        from kagent_localcluster.apiserver.protobuf import decode

        return decode(body)
    if content_type in _YAML_TYPES:
        value = read_yaml(body)
    elif content_type in _JSON_TYPES or content_type == "text/plain":
        try:
            value = orjson.loads(body)
        except orjson.JSONDecodeError as error:
            raise BadRequest(f"couldn't get version/kind; json parse error: {error}") from error
    else:
        raise UnsupportedMediaType(
            "the body of the request was in an unknown format - accepted media types include: application/json, "
            f"application/yaml, {_PROTOBUF}"
        )
    if not is_object(value):
        raise BadRequest("couldn't get version/kind; json parse error: the body holds no object")
    return value


def read_yaml(body: bytes) -> Any:
    """Parse YAML 1.1 with JSON's types.

    Raises:
        BadRequest: the text is no YAML.
    """
    try:
        return orjson.loads(body)  # JSON is YAML, and what clients of server-side apply mostly send: 200 times faster
    except orjson.JSONDecodeError:
        import yaml

    try:
        value = yaml.load(body, Loader=getattr(yaml, "CSafeLoader", yaml.SafeLoader))  # noqa: S506 both are safe
        return orjson.loads(orjson.dumps(value, option=orjson.OPT_NON_STR_KEYS))
    except (yaml.YAMLError, orjson.JSONEncodeError) as error:
        raise BadRequest(f"error converting YAML to JSON: {error}") from error
