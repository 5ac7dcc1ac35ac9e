//go:build tools

// Package controlplane holds nothing: it makes `go mod` keep what the build of kube-apiserver needs.
package controlplane

import (
	_ "k8s.io/kubernetes/cmd/kube-apiserver"
)
