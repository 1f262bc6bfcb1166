//go:build go1.24

package main

import "net/http"

func inTheClear() *http.Protocols {
	protocols := new(http.Protocols)
	protocols.SetUnencryptedHTTP2(true)
	return protocols
}

func serveHTTP2(address string, handler http.Handler) error {
	server := &http.Server{Addr: address, Handler: handler, Protocols: inTheClear()}
	return server.ListenAndServe()
}

func overHTTP2() http.RoundTripper { return &http.Transport{Protocols: inTheClear()} }
