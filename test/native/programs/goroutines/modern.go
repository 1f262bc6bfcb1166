//go:build go1.24

package main

import (
	"iter"
	"net/http"
)

const pulls = 1

// By a goroutine that is not queued to run, but switched to.
func pull(work func()) {
	next, stop := iter.Pull(func(yield func(int) bool) {
		work()
		yield(1)
	})
	next()
	stop()
}

func speaking() (*http.Server, *http.Client) {
	both, only := new(http.Protocols), new(http.Protocols)
	both.SetHTTP1(true)
	both.SetUnencryptedHTTP2(true)
	only.SetUnencryptedHTTP2(true)
	return &http.Server{Protocols: both}, &http.Client{Transport: &http.Transport{Protocols: only}}
}
