"""Structural schemas: defaulting, pruning, validation and CEL rules, for CRDs and built-in kinds alike."""
