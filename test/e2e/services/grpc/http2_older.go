//go:build !go1.24

package main

import (
	"crypto/tls"
	"net"
	"net/http"

	"golang.org/x/net/http2"
	"golang.org/x/net/http2/h2c"
)

// By x/net's, where net/http does not speak HTTP/2 in the clear.
func serveHTTP2(address string, handler http.Handler) error {
	return http.ListenAndServe(address, h2c.NewHandler(handler, new(http2.Server)))
}

func overHTTP2() http.RoundTripper {
	return &http2.Transport{AllowHTTP: true, DialTLS: func(network, address string, _ *tls.Config) (net.Conn, error) { return net.Dial(network, address) }}
}
