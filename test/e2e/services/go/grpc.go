package main

import (
	"context"
	"net"
	"os"
	"strconv"

	"google.golang.org/grpc"
	"google.golang.org/protobuf/types/known/wrapperspb"
)

// shop.Prices/Price, as the service of `../grpc` asks for it.
func serveGRPC(port string, answer func(context.Context, string) string) {
	price := func(_ any, ctx context.Context, decode func(any) error, _ grpc.UnaryServerInterceptor) (any, error) {
		asked := new(wrapperspb.StringValue)
		if err := decode(asked); err != nil {
			return nil, err
		}
		return wrapperspb.String(answer(ctx, asked.Value)), nil
	}
	workers, _ := strconv.ParseUint(os.Getenv("SHOP_GRPC_WORKERS"), 10, 32)
	server := grpc.NewServer(grpc.NumStreamWorkers(uint32(workers)))
	server.RegisterService(&grpc.ServiceDesc{
		ServiceName: "shop.Prices", HandlerType: (*any)(nil),
		Methods: []grpc.MethodDesc{{MethodName: "Price", Handler: price}},
	}, nil)
	listener, err := net.Listen("tcp", "127.0.0.1:"+port)
	must(err)
	must(server.Serve(listener))
}
