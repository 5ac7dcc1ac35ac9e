"""Who one is talking to, as far as a header tells it; made from the cluster's objects, or empty without a cluster."""

from __future__ import annotations

from dataclasses import dataclass

from kagent_api.errors import ObjectRef

__all__ = ["ChatSubject"]


@dataclass(frozen=True, slots=True)
class ChatSubject:
    """An agent with what matters before one types. Raw texts.

    ``note`` is said plainly beside the model (``scripted offline model``); ``trouble`` is why the agent may not answer,
    with its ``remedy``.
    """

    ref: ObjectRef
    model: str = ""
    note: str = ""
    trouble: str = ""
    remedy: str = ""

    @property
    def title(self) -> str:
        return f"{self.ref.namespace}/{self.ref.name}" if self.ref.namespace else self.ref.name
