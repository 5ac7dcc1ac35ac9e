"""``make bench``: what this machine takes for the figures the README states. Measures; asserts nothing."""
