"""The one door to Kubernetes: kubeconfig, client, reflector. Nothing here knows what an agent is."""

from __future__ import annotations

from kagent_api.kube.access import Access, Tls, list_contexts, load_access
from kagent_api.kube.client import KubeClient, ObjectList, WatchEvent
from kagent_api.kube.errors import (
    AlreadyExists,
    Cause,
    Conflict,
    Forbidden,
    Gone,
    Invalid,
    KubeconfigError,
    KubeError,
    NoKubeconfig,
    NotFound,
    ServerBusy,
    Unauthorized,
    Unreachable,
)
from kagent_api.kube.kubeconfig import ContextInfo
from kagent_api.kube.reflector import Backoff, Delta, LinkState, Reflector
from kagent_api.kube.resources import JsonObject, Resource

__all__ = [
    "Access", "AlreadyExists", "Backoff", "Cause", "Conflict", "ContextInfo", "Delta", "Forbidden", "Gone", "Invalid",
    "JsonObject", "KubeClient", "KubeError", "KubeconfigError", "LinkState", "NoKubeconfig", "NotFound", "ObjectList",
    "Reflector", "Resource", "ServerBusy", "Tls", "Unauthorized", "Unreachable", "WatchEvent", "list_contexts",
    "load_access",
]  # fmt: skip
