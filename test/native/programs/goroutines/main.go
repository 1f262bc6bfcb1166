// Says in all that it sends which goroutine sends it; is asked by HTTP/1 and HTTP/2. Begins when it gets a line on stdin, ends when all is done.
package main

import (
	"bufio"
	"fmt"
	"io"
	"net"
	"net/http"
	"os"
	"regexp"
	"runtime"
	"strconv"
	"sync"
	"time"
)

const (
	speakers = 24
	clients  = 8
	requests = 6
	streams  = 3 // of each client's requests over HTTP/2, all clients by one connection
)

var ids = regexp.MustCompile(`^goroutine (\d+)|created by .* in goroutine (\d+)`)

// The goroutine that asks, and the one that began it, which Go tells since 1.21.
func who() (string, string) {
	stack := make([]byte, 16384)
	stack = stack[:runtime.Stack(stack, false)]
	var own, parent string
	for _, found := range ids.FindAllSubmatch(stack, -1) {
		if len(found[1]) > 0 {
			own = string(found[1])
		} else {
			parent = string(found[2])
		}
	}
	return own, parent
}

func must(err error) {
	if err != nil {
		panic(err)
	}
}

func together(count int, work func(n int)) {
	var all sync.WaitGroup
	for n := 0; n < count; n++ {
		n := n
		all.Add(1)
		go func() {
			defer all.Done()
			work(n)
		}()
	}
	all.Wait()
}

// A connection of its own for each goroutine.
func speak(address string) {
	connection, err := net.Dial("tcp", address)
	must(err)
	defer connection.Close()
	for n := 0; n < 4; n++ {
		own, parent := who()
		fmt.Fprintf(connection, "goroutine=%s parent=%s\n", own, parent)
		time.Sleep(time.Millisecond)
	}
}

func listen() net.Listener {
	listener, err := net.Listen("tcp", "127.0.0.1:0")
	must(err)
	return listener
}

func get(client *http.Client, url, rid string) {
	request, err := http.NewRequest("GET", url, nil)
	must(err)
	own, _ := who()
	request.Header.Set("X-Goroutine", own)
	request.Header.Set("X-Rid", rid)
	response, err := client.Do(request)
	must(err)
	_, err = io.Copy(io.Discard, response.Body)
	must(err)
	response.Body.Close()
}

func main() {
	sink, upstream, front := listen(), listen(), listen()
	go func() {
		for {
			connection, err := sink.Accept()
			must(err)
			go io.Copy(io.Discard, connection)
		}
	}()
	go http.Serve(upstream, http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		time.Sleep(time.Millisecond)
		io.WriteString(w, "price")
	}))
	// Fewer connections than there are calls at a time: they are handed from goroutine to goroutine.
	inside := &http.Client{Transport: &http.Transport{MaxConnsPerHost: 3, MaxIdleConnsPerHost: 3}}
	server, overHTTP2 := speaking()
	server.Handler = http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		rid, base := r.URL.Path[1:], "http://"+upstream.Addr().String()
		get(inside, base+"/own", rid)
		// Goroutines of goroutines, of which the first says nothing itself.
		together(1, func(int) { together(2, func(n int) { get(inside, base+"/child", rid) }) })
		pull(func() { get(inside, base+"/pulled", rid) })
		io.WriteString(w, rid)
	})
	go server.Serve(front)
	asked := clients * requests
	if overHTTP2 != nil {
		asked += clients * streams
	}
	fmt.Printf("front=%s upstream=%s calls=%d\n", front.Addr(), upstream.Addr(), asked*(3+pulls))
	bufio.NewReader(os.Stdin).ReadString('\n')
	together(speakers, func(int) { speak(sink.Addr().String()) })
	outside := &http.Client{Transport: &http.Transport{MaxIdleConnsPerHost: clients}}
	ask := func(client *http.Client, kind string, count int) {
		together(clients, func(n int) {
			for m := 0; m < count; m++ {
				get(client, "http://"+front.Addr().String()+"/"+kind+"-"+strconv.Itoa(n)+"-"+strconv.Itoa(m), "")
			}
		})
	}
	ask(outside, "rid", requests)
	if overHTTP2 != nil {
		ask(overHTTP2, "stream", streams)
	}
}
