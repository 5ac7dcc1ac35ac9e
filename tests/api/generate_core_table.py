"""Write operator/api/kagent_api/core_table.py from Kubernetes' own OpenAPI document.

A tool for people, run when the targeted Kubernetes moves:
    go mod download -json k8s.io/kubernetes@v1.36.2     # its Dir holds api/openapi-spec/v3/api__v1_openapi.json
    python tests/api/generate_core_table.py DIR/api/openapi-spec/v3/api__v1_openapi.json > core_table.py
"""

from __future__ import annotations

import json
import re
import sys
from pathlib import Path
from typing import Any, cast

ROOTS = (
    "Affinity", "Container", "EnvFromSource", "EnvVar", "LocalObjectReference", "PodSecurityContext",
    "ResourceRequirements", "SecurityContext", "Toleration", "Volume", "VolumeMount", "LabelSelector",
)  # fmt: skip
SCALARS = {"IntOrString": "intstr", "Quantity": "quantity"}
Json = dict[str, Any]


def short(reference: str) -> str:
    return reference.rsplit(".", 1)[1]


def type_code(schema: Json) -> str:
    """Return the table's word for a schema; '' is a plain string."""
    for part in (schema, *cast("list[Json]", schema.get("allOf", []))):
        if "$ref" in part:
            name = short(part["$ref"])
            return SCALARS.get(name, name)
    match schema["type"]:
        case "string":
            return ""
        case "integer":
            return schema.get("format", "int64")
        case "boolean":
            return "bool"
        case "array":
            keys = schema.get("x-kubernetes-list-map-keys")
            suffix = f"|{','.join(keys)}" if keys else "|set" if schema.get("x-kubernetes-list-type") == "set" else ""
            return f"{type_code(schema['items'])}[]{suffix}"
        case "object":
            return f"{type_code(schema['additionalProperties'])}{{}}"
        case other:
            raise SystemExit(f"no word for type {other}")


def field(name: str, schema: Json, required: bool) -> str:
    code = type_code(schema)
    default = schema.get("default")
    keep = default is not None and default != {} and not required
    return f"{name}{'!' if required else ''}{':' + code if code else ''}{'=' + json.dumps(default) if keep else ''}"


def main(source: Path) -> None:
    schemas = cast("Json", json.loads(source.read_text())["components"]["schemas"])
    by_name = {short(key): value for key, value in schemas.items()}
    rows: dict[str, str] = {}
    waiting: list[str] = list(ROOTS)
    while waiting:
        name = waiting.pop()
        if name in rows:
            continue
        if name == "ObjectMeta":  # of a volumeClaimTemplate: CRDs hold these five fields only
            rows[name] = "annotations:{} finalizers:[] labels:{} name namespace"
            continue
        schema = by_name[name]
        mandatory = set(cast("list[str]", schema.get("required", [])))
        fields = [field(key, value, key in mandatory) for key, value in sorted(schema.get("properties", {}).items())]
        atomic = "@atomic " if schema.get("x-kubernetes-map-type") == "atomic" else ""
        rows[name] = atomic + " ".join(fields)
        for key in re.findall(r":([A-Z]\w+)", rows[name]):
            waiting.append(key)
    print(HEADER)
    for name in sorted(rows):
        words, line = rows[name].split(" "), ""
        lines: list[str] = []
        for word in words:
            if len(line) + len(word) > 96:
                lines.append(line)
                line = ""
            line += f"{word} "
        lines.append(line.rstrip())
        if len(lines) == 1 and len(name) + len(lines[0]) < 106:
            print(f"    {name!r}: {lines[0]!r},".replace('"', '\\"').replace("'", '"'))
        else:
            body = "\n".join(f"        {text!r}".replace('"', '\\"').replace("'", '"') for text in lines)
            print(f'    "{name}": (\n{body}\n    ),')
    print("}")


HEADER = '''"""Fields of the core/v1 and meta/v1 objects that kagent's resources contain (Kubernetes 1.36).

One line a type: `name` is a string, `name:code` has another type (int32, int64, bool, quantity, intstr, a type of
this table), `[]` makes a list, `{}` a map, `|a,b` names the keys of a list that is a map, `!` marks a required field,
`=` a default. `@atomic` types are replaced as a whole by server-side apply. Written by
tests/api/generate_core_table.py from Kubernetes' OpenAPI document; only `core_schema` reads it.
"""

from __future__ import annotations

from typing import Final

__all__ = ["CORE_TYPES"]

CORE_TYPES: Final[dict[str, str]] = {'''

if __name__ == "__main__":
    main(Path(sys.argv[1]))
