"""From command-line options to a client: which context, which namespaces. Blocking (it reads files): call it in a
thread."""

from __future__ import annotations

import re
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING

from kagent_api.names import CONTROLLER_NAMESPACE

if TYPE_CHECKING:
    from kagent_api.kube import ContextInfo, KubeClient

__all__ = ["Opened", "Options", "contexts", "is_production", "open_client"]

PRODUCTION = "prod(uction)?"


def is_production(context: str, pattern: str = PRODUCTION) -> bool:
    """Tell whether a context's name says that people depend on it; nothing is written there before F2.

    The pattern must be a word of its own in the name: "prod-eu" and "eu_production", not "reproduce".
    """
    return re.search(f"(?<![a-z])(?:{pattern})(?![a-z])", context, re.IGNORECASE) is not None


@dataclass(frozen=True, slots=True)
class Options:
    """What the person asked for; None and () where nothing was said."""

    kubeconfig: str | None = None
    context: str | None = None
    namespaces: tuple[str, ...] = ()
    all_namespaces: bool = False
    readonly: bool = False

    def with_context(self, name: str) -> Options:
        """The same for another context; namespaces belong to the context they were chosen in."""
        return replace(self, context=name, namespaces=(), all_namespaces=False)

    def with_namespaces(self, names: tuple[str, ...]) -> Options:
        """The same for other namespaces; none means all."""
        return replace(self, namespaces=names, all_namespaces=not names)


@dataclass(frozen=True, slots=True)
class Opened:
    """A client, the namespaces to show, and where to fall back when all of them may not be listed."""

    client: KubeClient
    namespaces: tuple[str, ...]
    fallback: tuple[str, ...] = ()


def open_client(options: Options) -> Opened:
    """Read the kubeconfig and build a client; contacts nobody.

    Without options the context's own namespace is shown; a context that has none (or `default`, where kagent hardly
    ever is) shows all, and falls back to kagent's own namespace where listing all is forbidden.

    Raises:
        KubeconfigError: with the file, the entry and the remedy.
    """
    from kagent_api.kube import KubeClient, load_access

    access = load_access(options.kubeconfig, options.context)
    client = KubeClient(access)
    if options.all_namespaces:
        return Opened(client, ())
    if options.namespaces:
        return Opened(client, options.namespaces)
    if access.namespace != "default":
        return Opened(client, (access.namespace,))
    return Opened(client, (), (CONTROLLER_NAMESPACE,))


def contexts(options: Options) -> list[ContextInfo]:
    """Return the contexts of the kubeconfig in use. Raises KubeconfigError."""
    from kagent_api.kube import list_contexts

    return list_contexts(options.kubeconfig)
