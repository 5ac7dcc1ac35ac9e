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
    if not authorizer.allows(user, asked) and not authorizer.covers(user, namespace, wanted):
        raise Forbidden(
            f'{plural}.{RBAC_GROUP} "{asked.name}" is forbidden: user "{user.name}" (groups={list(user.groups)}) is '
            "attempting to grant RBAC permissions not currently held",
            kind=plural,
            name=asked.name,
            group=RBAC_GROUP,
        )
