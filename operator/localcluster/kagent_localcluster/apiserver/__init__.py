"""An embedded Kubernetes API server: SQLite underneath, plain ASGI on top, and the API's rules in between.

``ApiServer`` (see ``server``) is all that others need. It must never depend on what runs Pods: that comes in through
``seams.PodBackend``.
"""

from __future__ import annotations

from kagent_localcluster.apiserver.server import ApiServer

__all__ = ["ApiServer"]
