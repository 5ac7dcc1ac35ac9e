"""Nobody gives rights they do not hold: the check on writing roles and bindings.

As in Kubernetes, whoever may ``escalate`` a role, or ``bind`` one, is free of it.
"""

from __future__ import annotations

from kagent_localcluster.apiserver.auth.rbac import Attributes, Authorizer, Rule, parse_rule
from kagent_localcluster.apiserver.auth.users import User
from kagent_localcluster.apiserver.jsonvalue import dig, objects_at
from kagent_localcluster.apiserver.storage import Storage
from kagent_localcluster.errors import Forbidden
from kagent_localcluster.seams import JsonObject

__all__ = ["RBAC_GROUP", "refuse_escalation"]

RBAC_GROUP = "rbac.authorization.k8s.io"


def refuse_escalation(
    authorizer: Authorizer, storage: Storage, user: User, new: JsonObject, old: JsonObject | None
) -> None:
    """Refuse a role or binding that gives more than the user has.

    Raises:
        Forbidden: naming the role and the user.
    """
    namespace, name = new["metadata"].get("namespace", ""), new["metadata"]["name"]
    if new["kind"] in ("Role", "ClusterRole"):
        plural = "roles" if new["kind"] == "Role" else "clusterroles"
        if old is not None and new.get("rules") == old.get("rules"):
            return
        asked = Attributes("escalate", RBAC_GROUP, plural, "", namespace, name)
        wanted = [parse_rule(rule) for rule in objects_at(new, "rules")]
    else:
        role_kind, role_name = dig(new, "roleRef", "kind"), str(dig(new, "roleRef", "name") or "")
        plural = "roles" if role_kind == "Role" else "clusterroles"
        place = namespace if role_kind == "Role" else ""
        asked = Attributes("bind", RBAC_GROUP, plural, "", namespace, role_name)
        record = storage.get(f"{RBAC_GROUP}/{plural}", place, role_name)
        wanted: list[Rule] = list(authorizer.role_rules(record.load())) if record else []
    if authorizer.allows(user, asked) or not (missing := authorizer.missing(user, namespace, wanted)):
        return
    written = new["kind"].lower() + "s"
    groups = " ".join(f'"{group}"' for group in user.groups)
    raise Forbidden(
        f'{written}.{RBAC_GROUP} "{name}" is forbidden: user "{user.name}" (groups=[{groups}]) is attempting to grant '
        "RBAC permissions not currently held:\n" + "\n".join(_compacted(missing)),
        kind=written,
        name=name,
        group=RBAC_GROUP,
    )


def _compacted(missing: list[Attributes]) -> list[str]:
    """Write rights down as Kubernetes does: one line for a resource with all its verbs."""
    verbs: dict[str, list[str]] = {}
    for right in missing:
        if right.path:
            what = f'NonResourceURLs:["{right.path}"]'
        else:
            what = f'APIGroups:["{right.group}"], Resources:["{right.full_resource}"]'
            what += f', ResourceNames:["{right.name}"]' if right.name else ""
        held = verbs.setdefault(what, [])
        if right.verb not in held:
            held.append(right.verb)
    listed = ((what, " ".join(f'"{verb}"' for verb in held)) for what, held in verbs.items())
    return sorted(f"{{{what}, Verbs:[{held}]}}" for what, held in listed)
