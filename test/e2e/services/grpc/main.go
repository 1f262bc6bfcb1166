// A Go service whose handlers call another over one connection for all, by gRPC or by net/http's HTTP/2: `shop front` takes HTTP/1 and calls,
// `shop back` answers both.
package main

import (
	"context"
	"fmt"
	"io"
	"net"
	"net/http"
	"os"
	"strconv"
	"strings"
	"sync"
	"time"

	"google.golang.org/grpc"
	"google.golang.org/grpc/credentials/insecure"
	"google.golang.org/protobuf/types/known/wrapperspb"
)

func must(err error) {
	if err != nil {
		panic(err)
	}
}

// Answers after 0 to 6 ms with what it was asked, and writes down whom it answered.
func price(_ any, ctx context.Context, decode func(any) error, _ grpc.UnaryServerInterceptor) (any, error) {
	asked := new(wrapperspb.StringValue)
	if err := decode(asked); err != nil {
		return nil, err
	}
	return wrapperspb.String(answer(asked.Value)), nil
}

func answer(asked string) string {
	n := turn()
	time.Sleep(time.Duration(n%7) * time.Millisecond)
	book.Lock()
	defer book.Unlock()
	fmt.Printf("answered %s\n", asked)
	return fmt.Sprintf("price of %s, number %d", asked, n)
}

var book sync.Mutex
var turns int

func turn() int {
	book.Lock()
	defer book.Unlock()
	turns++
	return turns
}

// The same by net/http: the id comes in the body.
func answerHTTP2() {
	must(serveHTTP2("127.0.0.1:"+os.Getenv("SHOP_HTTP2_PORT"), http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		asked, err := io.ReadAll(r.Body)
		must(err)
		fmt.Fprint(w, answer(string(asked)))
	})))
}

func back() {
	go answerHTTP2()
	server := grpc.NewServer()
	server.RegisterService(&grpc.ServiceDesc{
		ServiceName: "shop.Prices", HandlerType: (*any)(nil),
		Methods: []grpc.MethodDesc{{MethodName: "Price", Handler: price}},
	}, nil)
	listener, err := net.Listen("tcp", "127.0.0.1:"+os.Getenv("SHOP_PORT"))
	must(err)
	must(server.Serve(listener))
}

func front() {
	// NewClient came with gRPC-Go 1.63.
	connection, err := grpc.Dial("127.0.0.1:"+os.Getenv("SHOP_BACK_PORT"), grpc.WithTransportCredentials(insecure.NewCredentials()))
	must(err)
	client := &http.Client{Transport: overHTTP2()}
	ask := func(ctx context.Context, rid string) string {
		if os.Getenv("SHOP_HTTP2_PORT") == "" {
			said := new(wrapperspb.StringValue)
			must(connection.Invoke(ctx, "/shop.Prices/Price", wrapperspb.String(rid), said))
			return said.Value
		}
		response, err := client.Post("http://127.0.0.1:"+os.Getenv("SHOP_HTTP2_PORT")+"/price", "text/plain", strings.NewReader(rid))
		must(err)
		defer response.Body.Close()
		said, err := io.ReadAll(response.Body)
		must(err)
		return string(said)
	}
	http.HandleFunc("/work/", func(w http.ResponseWriter, r *http.Request) {
		rid := strings.TrimPrefix(r.URL.Path, "/work/")
		calls, _ := strconv.Atoi(r.URL.Query().Get("calls"))
		_, err := io.ReadAll(r.Body)
		must(err)
		ctx := r.Context()
		// One first, the others side by side.
		said := ask(ctx, rid)
		var waiting sync.WaitGroup
		for n := 1; n < calls; n++ {
			waiting.Add(1)
			go func() {
				defer waiting.Done()
				ask(ctx, rid)
			}()
		}
		waiting.Wait()
		fmt.Fprintf(w, "done: %s: %s\n", rid, said)
	})
	must(http.ListenAndServe("127.0.0.1:"+os.Getenv("SHOP_PORT"), nil))
}

func main() {
	if len(os.Args) > 1 && os.Args[1] == "back" {
		back()
	} else {
		front()
	}
}
