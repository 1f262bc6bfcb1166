// The shop on Go: net/http and pgx from a pool, statements prepared on first use, results in binary.
package main

import (
	"bytes"
	"context"
	"crypto/hmac"
	"crypto/sha256"
	"encoding/hex"
	"encoding/json"
	"fmt"
	"io"
	"net/http"
	"os"
	"strconv"
	"strings"
	"time"

	"github.com/jackc/pgx/v5"
	"github.com/jackc/pgx/v5/pgxpool"
)

var changes = [10]string{1: "rename", 2: "add", 3: "drop", 4: "parameter", 5: "reorder", 6: "twice", 7: "status"}
var pool *pgxpool.Pool
var upstream = "http://127.0.0.1:" + os.Getenv("SHOP_UPSTREAM_PORT")

type values map[string]any

func changeOf(n int) string {
	if os.Getenv("SHOP_CHANGE") != "yes" {
		return ""
	}
	return changes[n%10]
}

func sign(person int) string {
	mac := hmac.New(sha256.New, []byte("key of the shop"))
	fmt.Fprint(mac, person)
	return fmt.Sprintf("%d.%s", person, hex.EncodeToString(mac.Sum(nil)))
}

func answer(w http.ResponseWriter, status int, body values) {
	w.Header().Set("Content-Type", "application/json")
	w.WriteHeader(status)
	json.NewEncoder(w).Encode(body)
}

func must(err error) {
	if err != nil {
		panic(err)
	}
}

func login(w http.ResponseWriter, r *http.Request) {
	var asked struct{ Name, Secret string }
	must(json.NewDecoder(r.Body).Decode(&asked))
	var id int
	var secret string
	var since time.Time
	err := pool.QueryRow(r.Context(), "select id, secret, since from users where name = $1", asked.Name).Scan(&id, &secret, &since)
	if err != nil || secret != asked.Secret {
		answer(w, 401, values{"error": "who?"})
		return
	}
	answer(w, 200, values{"token": sign(id), "since": since})
}

func whoIs(r *http.Request) (int, string, float64, bool) {
	token := strings.TrimPrefix(r.Header.Get("Authorization"), "Bearer ")
	id, _ := strconv.Atoi(strings.Split(token, ".")[0])
	if !hmac.Equal([]byte(sign(id)), []byte(token)) {
		return 0, "", 0, false
	}
	var name string
	var rate float64
	must(pool.QueryRow(r.Context(), "select name, rate from users where id = $1", id).Scan(&name, &rate))
	return id, name, rate, true
}

func price(rid string, n int) (any, error) {
	request, _ := http.NewRequest("GET", fmt.Sprintf("%s/price/%d?pad=10", upstream, n), nil)
	request.Header.Set("X-Rid", rid)
	response, err := http.DefaultClient.Do(request)
	if err != nil {
		return nil, err
	}
	defer response.Body.Close()
	var said struct{ Price int }
	err = json.NewDecoder(response.Body).Decode(&said)
	return said.Price, err
}

func order(w http.ResponseWriter, r *http.Request) {
	n, _ := strconv.Atoi(strings.TrimPrefix(r.URL.Path, "/orders/"))
	change := changeOf(n)
	_, name, rate, known := whoIs(r)
	if !known {
		answer(w, 401, values{"error": "who?"})
		return
	}
	one := values{}
	item := func() {
		var id, cost int
		var called string
		var weight float64
		must(pool.QueryRow(r.Context(), "select id, name, price, weight from items where id = $1", n%50).Scan(&id, &called, &cost, &weight))
		one = values{"id": id, "name": called, "price": cost, "weight": weight}
	}
	var sold int
	count := func() {
		must(pool.QueryRow(r.Context(), "select count(*) from placed where item = $1", n%50).Scan(&sold))
	}
	if change == "reorder" {
		count()
		item()
	} else {
		item()
		count()
	}
	if change == "add" {
		var dearer int
		if err := pool.QueryRow(r.Context(), "select count(*) as dearer from items where price > $1", one["price"]).Scan(&dearer); err != nil {
			fmt.Fprintln(os.Stderr, err)
		}
	}
	left := []string{}
	if change != "drop" {
		from := 100 + n%50
		if change == "parameter" {
			from++
		}
		rows, err := pool.Query(r.Context(), "select name from items where price > $1 and weight < $2 order by id limit 3", from, 50.5)
		must(err)
		left, err = pgx.CollectRows(rows, pgx.RowTo[string])
		must(err)
	}
	rid := r.Header.Get("X-Rid")
	value, err := price(rid, n)
	must(err)
	if change == "twice" {
		price(rid, n)
	}
	body, _ := json.Marshal(values{"n": n, "user": name})
	request, _ := http.NewRequest("POST", upstream+"/audit", bytes.NewReader(body))
	request.Header.Set("Content-Type", "application/json")
	request.Header.Set("X-Rid", rid)
	posted, err := http.DefaultClient.Do(request)
	must(err)
	io.Copy(io.Discard, posted.Body)
	posted.Body.Close()
	status, field := 200, "item"
	if change == "status" {
		status = 203
	}
	if change == "rename" {
		field = "what"
	}
	answer(w, status, values{"n": n, "user": name, "rate": rate, field: one, "sold": sold, "left": left, "value": value})
}

func place(w http.ResponseWriter, r *http.Request) {
	id, _, _, known := whoIs(r)
	if !known {
		answer(w, 401, values{"error": "who?"})
		return
	}
	var asked struct{ Item, Quantity int }
	must(json.NewDecoder(r.Body).Decode(&asked))
	var placed int
	must(pgx.BeginFunc(r.Context(), pool, func(tx pgx.Tx) error {
		return tx.QueryRow(r.Context(), "insert into placed (person, item, quantity) values ($1, $2, $3) returning id", id, asked.Item, asked.Quantity).Scan(&placed)
	}))
	answer(w, 201, values{"id": placed})
}

func main() {
	config, err := pgxpool.ParseConfig(os.Getenv("SHOP_PG"))
	must(err)
	config.MaxConns = 6
	pool, err = pgxpool.NewWithConfig(context.Background(), config)
	must(err)
	must(pool.Ping(context.Background()))
	http.HandleFunc("/login", login)
	http.HandleFunc("/orders", place)
	http.HandleFunc("/orders/", order)
	must(http.ListenAndServe("127.0.0.1:"+os.Getenv("SHOP_PORT"), nil))
}
