//go:build go1.24

package main

import "net/http"

// Takes HTTP/1 and, in the clear, HTTP/2.
func serveBoth(address string) error {
	protocols := new(http.Protocols)
	protocols.SetHTTP1(true)
	protocols.SetUnencryptedHTTP2(true)
	server := &http.Server{Addr: address, Protocols: protocols}
	return server.ListenAndServe()
}
