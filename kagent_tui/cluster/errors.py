"""What the TUI itself refuses, and how a refusal of the API server is told to a person.

KagentError
└── ReadOnly   writing is switched off here; the person switches it on (F2) or not
"""

from __future__ import annotations

from typing import NamedTuple

from kagent_api.errors import KagentError, ObjectRef
from kagent_tui.cluster.kinds import AGENT, resource_of

__all__ = ["Explanation", "ReadOnly", "explain"]

LOCAL_REMEDY = "no cluster at hand? `kagent-tui local up` starts one here, `kagent-tui demo` one with sample agents"
CRD_REMEDY = "install them: kagent-operator crds | kubectl apply --server-side -f -"


class ReadOnly(KagentError):
    """Writing is switched off for this context."""

    def __init__(self, ref: ObjectRef) -> None:
        super().__init__("writing is switched off", ref=ref, remedy="F2 switches it on")


class Explanation(NamedTuple):
    """What is wrong in one sentence, and what to do."""

    message: str
    remedy: str


def explain(error: KagentError, *, kind: str = AGENT, server: str = "", namespace: str = "") -> Explanation:
    """Say what an error of listing or connecting means; raw text, callers clean it."""
    from kagent_api.kube import Forbidden, KubeconfigError, NotFound, Unauthorized, Unreachable

    where = f"in namespace {namespace}" if namespace else "in all namespaces"
    match error:
        case KubeconfigError():
            return Explanation(error.message, f"{error.remedy}; {LOCAL_REMEDY}" if error.remedy else LOCAL_REMEDY)
        case Unauthorized():
            remedy = error.remedy or "log in to the cluster again, then press ctrl+r"
            return Explanation(f"the cluster does not accept these credentials (expired?): {error.message}", remedy)
        case Forbidden():
            resource = resource_of(kind)
            wanted = f"get, list and watch on {resource.plural}.{resource.group or 'core'}"
            return Explanation(
                f"you may not list {resource.qualified} {where}: {error.message}",
                f"ask for a role with {wanted}, or choose a namespace you may read with :ns NAME",
            )
        case NotFound():
            return Explanation(
                f"this cluster has no kagent CRDs ({resource_of(kind).qualified} is not served)", CRD_REMEDY
            )
        case Unreachable():
            at = f" at {server}" if server else ""
            return Explanation(f"no answer from the cluster{at}: {error.message}", LOCAL_REMEDY)
        case _:
            return Explanation(error.message, error.remedy)
