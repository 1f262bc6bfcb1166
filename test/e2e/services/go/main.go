// A Go service as it is usually written: net/http on both sides, errgroup, pgx, database/sql and go-redis from pools smaller than the load. What it does
// for a request it does likewise where that comes over HTTP/2, or by gRPC.
package main

import (
	"context"
	"fmt"
	"io"
	"net/http"
	"os"
	"strconv"
	"strings"
	"time"

	"github.com/jackc/pgx/v5"
	"github.com/jackc/pgx/v5/pgxpool"
	"github.com/jackc/pgx/v5/stdlib"
	"github.com/redis/go-redis/v9"
	"golang.org/x/sync/errgroup"
)

const connections = 4

var upstream = "http://127.0.0.1:" + os.Getenv("SHOP_UPSTREAM_PORT")
var client = &http.Client{Transport: &http.Transport{MaxConnsPerHost: connections, MaxIdleConnsPerHost: connections}}

func must(err error) {
	if err != nil {
		panic(err)
	}
}

// One GET, or a POST where there is a body; the answer is read to its end, so that the connection is used again.
func fetch(ctx context.Context, rid, what, body string) error {
	method, content := "GET", io.Reader(nil)
	if body != "" {
		method, content = "POST", strings.NewReader(body)
	}
	request, err := http.NewRequestWithContext(ctx, method, fmt.Sprintf("%s/%s/%s", upstream, what, rid), content)
	if err != nil {
		return err
	}
	request.Header.Set("X-Rid", rid)
	response, err := client.Do(request)
	if err != nil {
		return err
	}
	defer response.Body.Close()
	_, err = io.Copy(io.Discard, response.Body)
	return err
}

func main() {
	background := context.Background()
	config, err := pgxpool.ParseConfig(os.Getenv("SHOP_PG"))
	must(err)
	config.MaxConns = connections
	// The id stands in the statement itself, as a comment: each is another one, and none is prepared.
	config.ConnConfig.DefaultQueryExecMode = pgx.QueryExecModeExec
	pool, err := pgxpool.NewWithConfig(background, config)
	must(err)
	// As many again, by database/sql.
	sql := stdlib.OpenDB(*config.ConnConfig)
	sql.SetMaxOpenConns(connections)
	cache := redis.NewClient(&redis.Options{
		Addr: "127.0.0.1:" + os.Getenv("SHOP_REDIS_PORT"), PoolSize: connections, PoolTimeout: 30 * time.Second, DisableIndentity: true,
	})

	work := func(ctx context.Context, rid string, calls int, asked string) {
		must(cache.Set(ctx, "seen:"+rid, 1, 0).Err())
		// Side by side, and one of them with another beside it.
		group, within := errgroup.WithContext(ctx)
		for n := 0; n < calls; n++ {
			group.Go(func() error { return fetch(within, rid, "price", "") })
		}
		group.Go(func() error {
			inner, deeper := errgroup.WithContext(within)
			inner.Go(func() error { return cache.Get(deeper, "seen:"+rid).Err() })
			_, err := pool.Exec(within, "select pg_sleep(0.001) /* "+rid+" */")
			if err != nil {
				return err
			}
			return inner.Wait()
		})
		must(group.Wait())
		_, err := sql.ExecContext(ctx, "insert into orders (rid, price) values ('"+rid+"', 1)")
		must(err)
		must(fetch(ctx, rid, "total", "total of "+rid+asked))
	}

	http.HandleFunc("/work/", func(w http.ResponseWriter, r *http.Request) {
		rid := strings.TrimPrefix(r.URL.Path, "/work/")
		calls, _ := strconv.Atoi(r.URL.Query().Get("calls"))
		asked, err := io.ReadAll(r.Body)
		must(err)
		work(r.Context(), rid, calls, string(asked))
		if r.URL.Query().Get("after") == "1" {
			go func() {
				time.Sleep(20 * time.Millisecond)
				must(fetch(background, rid, "audit", ""))
			}()
		}
		fmt.Fprintf(w, "done: %s\n", rid)
	})
	// Over HTTP/2 and by gRPC the id is all that is asked.
	http.HandleFunc("/price", func(w http.ResponseWriter, r *http.Request) {
		rid, err := io.ReadAll(r.Body)
		must(err)
		work(r.Context(), string(rid), 2, "")
		fmt.Fprintf(w, "price of %s", rid)
	})
	if port := os.Getenv("SHOP_GRPC_PORT"); port != "" {
		go serveGRPC(port, func(ctx context.Context, rid string) string {
			work(ctx, rid, 2, "")
			return "price of " + rid
		})
	}
	if id := os.Getenv("SHOP_REFRESH_ID"); id != "" {
		go func() {
			for range time.Tick(7 * time.Millisecond) {
				must(cache.Get(background, "refresh:"+id).Err())
			}
		}()
		must(cache.Set(background, "refresh:"+id, 1, 0).Err())
	}
	must(serveBoth("127.0.0.1:" + os.Getenv("SHOP_PORT")))
}
