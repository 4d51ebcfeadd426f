//! Answers in gzip.

use std::io::Read as _;

use drover_client::{Request, Response};
use flate2::read::GzDecoder;
use hyper::Method;
use serde_json::{Value, json};

use crate::cluster::Cluster;

const CONFIG: &str = "/api/v1/namespaces/default/configmaps";

async fn read(cluster: &Cluster, path: &str, headers: &[(&'static str, &str)]) -> Response {
    let mut request = Request::new(Method::GET, path);
    for (name, value) in headers {
        request.headers.insert(*name, value.parse().unwrap());
    }
    cluster.admin().send(request).await.unwrap()
}

fn unpacked(answer: &Response) -> Vec<u8> {
    let mut whole = Vec::new();
    GzDecoder::new(&answer.body[..]).read_to_end(&mut whole).unwrap();
    whole
}

fn encoding(answer: &Response) -> Option<&str> {
    answer.headers.get("content-encoding").map(|value| value.to_str().unwrap())
}

/// Ten objects of 40 KB, no two pieces of which are alike to a compressor.
async fn fill(cluster: &Cluster) {
    for n in 0..10_u64 {
        let text: String = (0..2000_u64)
            .map(|k| format!("{:020}", (n * 2000 + k).wrapping_mul(0x9E37_79B9_7F4A_7C15)))
            .collect();
        cluster.create(CONFIG, &json!({"metadata": {"name": format!("c{n}")}, "data": {"text": text}})).await;
    }
}

#[tokio::test]
async fn a_large_answer_comes_compressed_to_those_who_take_it_and_says_the_same() {
    let cluster = Cluster::new().await;
    fill(&cluster).await;
    for form in ["application/json", "application/json;as=Table;v=v1;g=meta.k8s.io"] {
        let path = format!("{CONFIG}?includeObject=Object");
        let plain = read(&cluster, &path, &[("accept", form)]).await;
        assert_eq!((encoding(&plain), plain.headers["vary"].to_str().unwrap()), (None, "Accept-Encoding"));
        let small =
            read(&cluster, &path, &[("accept", form), ("accept-encoding", "gzip, deflate, br")]).await;
        assert_eq!(encoding(&small), Some("gzip"));
        assert!(small.body.len() < plain.body.len() * 3 / 4, "{} of {}", small.body.len(), plain.body.len());
        let told: Value = serde_json::from_slice(&unpacked(&small)).unwrap();
        assert_eq!(told, serde_json::from_slice::<Value>(&plain.body).unwrap());
    }
    let refused = read(&cluster, CONFIG, &[("accept-encoding", "gzip;q=0")]).await;
    assert_eq!(encoding(&refused), None);
    let one = read(&cluster, &format!("{CONFIG}/c1"), &[("accept-encoding", "gzip")]).await;
    assert_eq!(encoding(&one), None, "too small to be worth it");
}

#[tokio::test]
async fn a_watch_is_never_compressed() {
    let cluster = Cluster::new().await;
    fill(&cluster).await;
    let mut request = Request::new(Method::GET, &format!("{CONFIG}?watch=true"));
    request.headers.insert("accept-encoding", "gzip".parse().unwrap());
    let mut stream = cluster.admin().stream(request).await.unwrap();
    assert!(!stream.headers.contains_key("content-encoding"));
    let first = stream.next().await.unwrap().unwrap();
    assert!(first.starts_with(b"{\"type\":\"ADDED\""));
}
