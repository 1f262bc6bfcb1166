// A Go service whose handlers call another by gRPC, over one connection for all: `shop front` takes HTTP/1 and calls, `shop back` answers.
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
	"google.golang.org/grpc/metadata"
	"google.golang.org/protobuf/types/known/wrapperspb"
)

func must(err error) {
	if err != nil {
		panic(err)
	}
}

// Answers each call after 0 to 6 ms with what it was asked, and writes down whom it answered.
func price(_ any, ctx context.Context, decode func(any) error, _ grpc.UnaryServerInterceptor) (any, error) {
	asked := new(wrapperspb.StringValue)
	if err := decode(asked); err != nil {
		return nil, err
	}
	n := turn()
	time.Sleep(time.Duration(n*7%7) * time.Millisecond)
	book.Lock()
	fmt.Printf("answered %s\n", asked.Value)
	book.Unlock()
	return wrapperspb.String(fmt.Sprintf("price of %s, number %d", asked.Value, n)), nil
}

var book sync.Mutex
var turns int

func turn() int {
	book.Lock()
	defer book.Unlock()
	turns++
	return turns
}

func back() {
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
	connection, err := grpc.NewClient("passthrough:127.0.0.1:"+os.Getenv("SHOP_BACK_PORT"), grpc.WithTransportCredentials(insecure.NewCredentials()))
	must(err)
	http.HandleFunc("/work/", func(w http.ResponseWriter, r *http.Request) {
		rid := strings.TrimPrefix(r.URL.Path, "/work/")
		calls, _ := strconv.Atoi(r.URL.Query().Get("calls"))
		_, err := io.ReadAll(r.Body)
		must(err)
		ctx := r.Context()
		if os.Getenv("SHOP_TRACE") != "" {
			ctx = metadata.AppendToOutgoingContext(ctx, "x-request-id", r.Header.Get("X-Request-Id"))
		}
		// One first, the others side by side.
		said := new(wrapperspb.StringValue)
		must(connection.Invoke(ctx, "/shop.Prices/Price", wrapperspb.String(rid), said))
		var waiting sync.WaitGroup
		for n := 1; n < calls; n++ {
			waiting.Add(1)
			go func() {
				defer waiting.Done()
				must(connection.Invoke(ctx, "/shop.Prices/Price", wrapperspb.String(rid), new(wrapperspb.StringValue)))
			}()
		}
		waiting.Wait()
		fmt.Fprintf(w, "done: %s: %s\n", rid, said.Value)
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
