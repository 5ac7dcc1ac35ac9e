"""The terminal UI of kagent and its command line. Importing this package imports nothing heavy."""
