// A Rust service: axum on tokio's threads, which share all tasks; reqwest's pool, at most four calls at a time.
use axum::extract::{Path, Query, State};
use axum::routing::get;
use std::collections::HashMap;
use std::sync::Arc;
use tokio::sync::Semaphore;
use tokio::task::JoinSet;

const CONNECTIONS: usize = 4;

struct Shop {
    upstream: String,
    client: reqwest::Client,
    turns: Semaphore,
}

impl Shop {
    /// One GET, or a POST where there is a body; says what came back.
    async fn call(&self, rid: &str, what: &str, body: Option<String>) -> String {
        let _turn = self.turns.acquire().await.unwrap();
        let url = format!("{}/{what}/{rid}", self.upstream);
        let request = match body {
            None => self.client.get(url),
            Some(body) => self.client.post(url).body(body),
        };
        request.header("x-rid", rid).send().await.unwrap().text().await.unwrap()
    }
}

async fn work(State(shop): State<Arc<Shop>>, Path(rid): Path<String>, Query(asked): Query<HashMap<String, String>>) -> String {
    let calls: usize = asked["calls"].parse().unwrap();
    // Side by side, each in a task of its own, that any thread may run.
    let mut prices = JoinSet::new();
    for n in 0..calls {
        let (shop, rid) = (shop.clone(), rid.clone());
        prices.spawn(async move { shop.call(&rid, &format!("price/{n}"), None).await });
    }
    let prices = prices.join_all().await.join(",");
    let total = shop.call(&rid, "total", Some(format!("total of {rid}"))).await;
    format!("{{\"rid\":\"{rid}\",\"prices\":[{prices}],\"total\":{total}}}")
}

#[tokio::main]
async fn main() {
    let port = |name: &str| std::env::var(name).unwrap();
    let shop = Arc::new(Shop {
        upstream: format!("http://127.0.0.1:{}", port("SHOP_UPSTREAM_PORT")),
        client: reqwest::Client::builder().pool_max_idle_per_host(CONNECTIONS).build().unwrap(),
        turns: Semaphore::new(CONNECTIONS),
    });
    let app = axum::Router::new().route("/work/{rid}", get(work)).with_state(shop);
    let listener = tokio::net::TcpListener::bind(format!("127.0.0.1:{}", port("SHOP_PORT"))).await.unwrap();
    axum::serve(listener, app).await.unwrap();
}
