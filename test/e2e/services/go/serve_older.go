//go:build !go1.24

package main

import (
	"net/http"

	"golang.org/x/net/http2"
	"golang.org/x/net/http2/h2c"
)

// By x/net's server, where net/http's does not take HTTP/2 in the clear.
func serveBoth(address string) error {
	return http.ListenAndServe(address, h2c.NewHandler(http.DefaultServeMux, new(http2.Server)))
}
