//go:build tools

// Package etcd holds nothing: it makes `go mod` keep what the build of etcd needs.
package etcd

import (
	_ "go.etcd.io/etcd/server/v3"
)
