"""Drafts: YAML text, validation, diff, conflicts, and the way to the API server. No Textual."""
