//! Those who change things over the API: one call each, and what they were told.

use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};

use drover_client::{Client, DeleteOptions, Error, PatchKind};
use serde_json::Value;

use super::ServerSite;
use crate::disk::SimDisk;
use crate::history::History;
use crate::life::Life;
use crate::net::{Link, SimDial};
use crate::seed::Seed;
use crate::step::{Answer, Call, Event, Part};

/// Calls the API as the administrator. Cheap to clone.
#[derive(Clone)]
pub struct Caller {
    client: Client,
    history: History,
    next: Arc<AtomicU64>,
}

/// A client of a part that never crashes.
pub(super) fn client(seed: Seed, name: &str, server: &ServerSite, link: &Link, token: &str) -> Client {
    let dial =
        SimDial { life: Life::new(SimDisk::default()), link: link.clone(), far: Arc::new(server.clone()) };
    Client::new(Arc::new(dial), "sim")
        .and_then(|client| client.with_token(token))
        .expect("host and token are header values")
        .with_entropy(Arc::new(seed.entropy(name)))
}

impl Caller {
    /// Over this link, with this token.
    pub fn new(seed: Seed, history: History, server: &ServerSite, link: &Link, token: &str) -> Self {
        let client = client(seed, "client", server, link, token);
        Self { client, history, next: Arc::default() }
    }

    /// Makes a call, once, and records what became of it.
    pub async fn call(&self, method: &'static str, path: &str, body: &Value) -> Result<Value, Error> {
        let call = Call { id: self.next.fetch_add(1, Ordering::Relaxed), method, path: path.to_owned() };
        self.history.step(Part::Client, Event::Asked(call.clone()));
        let answer: Result<Value, Error> = match method {
            "POST" => self.client.create(path, body).await,
            "PATCH" => self.client.patch(path, PatchKind::Merge, body).await,
            "DELETE" => self.client.delete(path, &DeleteOptions::default()).await,
            _ => self.client.get(path).await,
        };
        let told = match &answer {
            Ok(object) => {
                let revision = object["metadata"]["resourceVersion"].as_str();
                Answer::Done(revision.and_then(|text| text.parse().ok()))
            }
            Err(Error::Api(error)) => Answer::Refused(error.status.code, error.status.reason.clone()),
            Err(error) => Answer::Unknown(error.to_string()),
        };
        self.history.step(Part::Client, Event::Answered(call, told));
        answer
    }
}
