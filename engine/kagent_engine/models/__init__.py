"""Models: one small streaming protocol (``base``) and its implementations."""
