"""One registry of everything a person can do; it feeds `:`, palette, footer, help and key map. No Textual."""
