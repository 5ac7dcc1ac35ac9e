"""A Kubernetes API server and process runner for one machine. Knows Kubernetes and nothing of kagent."""
