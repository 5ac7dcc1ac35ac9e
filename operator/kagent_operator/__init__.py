"""The controller of kagent.dev on plain Kubernetes, and its HTTP API. Importing this package imports nothing heavy."""
