"""Resource -> Row and lines of text, one module per kind: pure functions that sanitise everything from outside."""
