"""Ways through the API server to running Pods: HTTP proxies, logs and port-forward."""
