"""The reconcilers: level-triggered, one queue, reading copies kept by reflectors and writing only differences."""

from __future__ import annotations

from kagent_operator.reconcile.operator import WATCHED, Operator

__all__ = ["WATCHED", "Operator"]
