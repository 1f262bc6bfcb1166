//go:build !go1.24

package main

import "net/http"

// What came with Go 1.23 and 1.24 is left out: coroutines, and HTTP/2 in the clear.
const pulls = 0

func pull(func()) {}

func speaking() (*http.Server, *http.Client) { return new(http.Server), nil }
