//! Requests: one answer each, within a deadline.

use std::sync::Arc;
use std::time::Duration;

use bytes::Bytes;
use drover_world::{Entropy, SystemEntropy};
use http::header::{ACCEPT, AUTHORIZATION, CONTENT_TYPE, HOST, USER_AGENT};
use http::{HeaderMap, HeaderValue, Method, StatusCode};
use http_body_util::{BodyExt, Full, Limited};
use hyper::body::Incoming;
use hyper_util::rt::TokioIo;
use serde::de::DeserializeOwned;
use serde::{Deserialize, Serialize};
use tokio::sync::Semaphore;

use crate::config::{ClientConfig, ConfigError};
use crate::dial::{BoxStream, Dial};
use crate::error::{ApiError, Error};
use crate::path::Query;
use crate::pool::{Pool, Sender};
use crate::tls::TlsDial;

const DEADLINE: Duration = Duration::from_secs(30);
const MAX_ANSWER: usize = 64 << 20;
const MAX_ERROR: usize = 1 << 20;
const MAX_LIST: usize = 200_000;
const PAGE: u32 = 500;
/// Requests under way at once from one client; others wait, within their deadline.
const MAX_CONCURRENT: usize = 64;
const JSON: &str = "application/json";

/// Talks to one apiserver. Cheap to clone; clones share the connections.
#[derive(Clone)]
pub struct Client {
    dial: Arc<dyn Dial>,
    host: HeaderValue,
    token: Option<HeaderValue>,
    agent: HeaderValue,
    deadline: Duration,
    pool: Arc<Pool>,
    permits: Arc<Semaphore>,
    entropy: Arc<dyn Entropy>,
}

/// A request to be sent with [`Client::send`].
#[derive(Clone, Debug)]
pub struct Request {
    /// What to do.
    pub method: Method,
    /// Where, with the query, encoded.
    pub path: String,
    /// More headers than the client sets by itself.
    pub headers: HeaderMap,
    /// What to send.
    pub body: Bytes,
}

/// An answer that was not an error.
#[derive(Clone, Debug)]
pub struct Response {
    /// A code below 400.
    pub status: StatusCode,
    /// Its headers.
    pub headers: HeaderMap,
    /// All of its body.
    pub body: Bytes,
}

/// How a patch is to be understood.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum PatchKind {
    /// RFC 7386.
    Merge,
    /// RFC 6902.
    Json,
    /// Server-side apply; the path has to have a `fieldManager`.
    Apply,
    /// Kubernetes' own: lists are merged by the keys of their items.
    Strategic,
}

impl PatchKind {
    /// The type of a request's body.
    pub const fn content_type(self) -> &'static str {
        match self {
            Self::Merge => "application/merge-patch+json",
            Self::Json => "application/json-patch+json",
            // JSON is YAML, and this is the type that Kubernetes clients send.
            Self::Apply => "application/apply-patch+yaml",
            Self::Strategic => "application/strategic-merge-patch+json",
        }
    }
}

/// Which objects to list.
#[derive(Clone, Debug, Default)]
pub struct ListOptions {
    /// By labels.
    pub label_selector: Option<String>,
    /// By fields.
    pub field_selector: Option<String>,
    /// How many in a page; 500 if absent.
    pub limit: Option<u32>,
}

/// How to delete.
#[derive(Clone, Debug, Default, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct DeleteOptions {
    /// `Background`, `Foreground` or `Orphan`.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub propagation_policy: Option<String>,
    /// Delete only the object that is meant.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub preconditions: Option<Preconditions>,
}

/// What has to hold of an object for a delete to go through.
#[derive(Clone, Debug, Default, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct Preconditions {
    /// It has this uid.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub uid: Option<String>,
    /// It is at this version.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub resource_version: Option<String>,
}

/// Objects, and the revision at which they were so.
#[derive(Clone, Debug, Deserialize)]
pub struct List<T> {
    /// About the list.
    #[serde(default)]
    pub metadata: ListMeta,
    /// The objects.
    #[serde(default = "Vec::new")]
    pub items: Vec<T>,
}

/// About a list.
#[derive(Clone, Debug, Default, Deserialize)]
#[serde(rename_all = "camelCase", default)]
pub struct ListMeta {
    /// The revision to watch from.
    pub resource_version: String,
    /// Where the next page begins; empty on the last one.
    #[serde(rename = "continue")]
    pub continue_token: String,
}

impl Client {
    /// A client over these connections. `host` is what the `Host` header says.
    pub fn new(dial: Arc<dyn Dial>, host: &str) -> Result<Self, ConfigError> {
        let host = HeaderValue::from_str(host).map_err(|_| ConfigError::ServerName(host.to_owned()))?;
        Ok(Self {
            dial,
            host,
            token: None,
            agent: HeaderValue::from_static(concat!("drover-client/", env!("CARGO_PKG_VERSION"))),
            deadline: DEADLINE,
            pool: Arc::default(),
            permits: Arc::new(Semaphore::new(MAX_CONCURRENT)),
            entropy: Arc::new(SystemEntropy),
        })
    }

    /// A client over TLS to the server that a configuration names.
    pub fn from_config(config: &ClientConfig) -> Result<Self, ConfigError> {
        let dial = TlsDial::new(&config.host, config.port, &config.server_name, &config.ca_pem)?;
        let client = Self::new(Arc::new(dial), &config.authority())?;
        match &config.token {
            Some(token) => client.with_token(token),
            None => Ok(client),
        }
    }

    /// Sends this bearer token.
    pub fn with_token(mut self, token: &str) -> Result<Self, ConfigError> {
        let mut value = HeaderValue::from_str(&format!("Bearer {token}")).map_err(|_| ConfigError::Token)?;
        value.set_sensitive(true);
        self.token = Some(value);
        Ok(self)
    }

    /// Gives each call so long instead of 30 seconds; a watch or a stream has it for its beginning.
    #[must_use]
    pub fn with_deadline(mut self, deadline: Duration) -> Self {
        self.deadline = deadline;
        self
    }

    /// Takes the jitter of reflectors from here.
    #[must_use]
    pub fn with_entropy(mut self, entropy: Arc<dyn Entropy>) -> Self {
        self.entropy = entropy;
        self
    }

    pub(crate) fn entropy(&self) -> Arc<dyn Entropy> {
        Arc::clone(&self.entropy)
    }

    /// Reads an object.
    pub async fn get<T: DeserializeOwned>(&self, path: &str) -> Result<T, Error> {
        decode(&self.send(Request::new(Method::GET, path)).await?.body)
    }

    /// Lists all pages, as they were at one revision.
    pub async fn list<T: DeserializeOwned>(
        &self,
        path: &str,
        options: &ListOptions,
    ) -> Result<List<T>, Error> {
        let mut all = self.list_page(path, options, None).await?;
        while !all.metadata.continue_token.is_empty() {
            let token = std::mem::take(&mut all.metadata.continue_token);
            let page: List<T> = self.list_page(path, options, Some(&token)).await?;
            all.items.extend(page.items);
            if all.items.len() > MAX_LIST {
                return Err(Error::TooLarge { limit: MAX_LIST, what: "objects" });
            }
            all.metadata.continue_token = page.metadata.continue_token;
        }
        Ok(all)
    }

    /// Lists one page, beginning where `continue_token` says.
    pub async fn list_page<T: DeserializeOwned>(
        &self,
        path: &str,
        options: &ListOptions,
        continue_token: Option<&str>,
    ) -> Result<List<T>, Error> {
        let path = Query::new(path)
            .with_some("labelSelector", options.label_selector.as_deref())
            .with_some("fieldSelector", options.field_selector.as_deref())
            .with("limit", &options.limit.unwrap_or(PAGE).to_string())
            .with_some("continue", continue_token)
            .into_path();
        self.get(&path).await
    }

    /// Posts an object, or whatever else the path takes.
    pub async fn create<B: Serialize, T: DeserializeOwned>(&self, path: &str, body: &B) -> Result<T, Error> {
        self.with_body(Method::POST, path, JSON, body).await
    }

    /// Replaces an object.
    pub async fn replace<B: Serialize, T: DeserializeOwned>(&self, path: &str, body: &B) -> Result<T, Error> {
        self.with_body(Method::PUT, path, JSON, body).await
    }

    /// Patches an object.
    pub async fn patch<B: Serialize, T: DeserializeOwned>(
        &self,
        path: &str,
        kind: PatchKind,
        body: &B,
    ) -> Result<T, Error> {
        self.with_body(Method::PATCH, path, kind.content_type(), body).await
    }

    /// Deletes an object. The answer is the object while finalizers hold it, else a `Status`.
    pub async fn delete(&self, path: &str, options: &DeleteOptions) -> Result<serde_json::Value, Error> {
        self.with_body(Method::DELETE, path, JSON, options).await
    }

    async fn with_body<B: Serialize, T: DeserializeOwned>(
        &self,
        method: Method,
        path: &str,
        content_type: &'static str,
        body: &B,
    ) -> Result<T, Error> {
        let mut request = Request::new(method, path);
        request.body = serde_json::to_vec(body).map_err(Error::Encode)?.into();
        request.headers.insert(CONTENT_TYPE, HeaderValue::from_static(content_type));
        decode(&self.send(request).await?.body)
    }

    /// Sends any request. An answer of 400 or above is an [`Error::Api`].
    pub async fn send(&self, request: Request) -> Result<Response, Error> {
        self.within_deadline(async {
            // The semaphore is never closed.
            let _permit = self.permits.acquire().await;
            let (answer, sender) = self.exchange(&request).await?;
            let (parts, body) = answer.into_parts();
            let body = collect(body, MAX_ANSWER).await?;
            self.pool.give(sender);
            if parts.status.as_u16() >= 400 {
                return Err(ApiError::from_answer(parts.status, &parts.headers, &body).into());
            }
            Ok(Response { status: parts.status, headers: parts.headers, body })
        })
        .await
    }

    /// Gets an answer whose body comes as it is made, for example a followed log.
    pub async fn stream(&self, request: Request) -> Result<ByteStream, Error> {
        self.within_deadline(async {
            let (answer, _sender) = self.exchange(&request).await?;
            let (parts, body) = answer.into_parts();
            if parts.status.as_u16() >= 400 {
                let body = collect(body, MAX_ERROR).await?;
                return Err(ApiError::from_answer(parts.status, &parts.headers, &body).into());
            }
            Ok(ByteStream { status: parts.status, headers: parts.headers, body })
        })
        .await
    }

    pub(crate) async fn within_deadline<T>(
        &self,
        work: impl Future<Output = Result<T, Error>>,
    ) -> Result<T, Error> {
        match tokio::time::timeout(self.deadline, work).await {
            Ok(result) => result,
            Err(_) => Err(Error::Deadline(self.deadline)),
        }
    }

    pub(crate) async fn dial(&self) -> Result<BoxStream, Error> {
        self.dial.dial().await.map_err(Error::Dial)
    }

    /// The headers that every request bears.
    pub(crate) fn headers(&self, headers: &mut HeaderMap) {
        headers.insert(HOST, self.host.clone());
        headers.insert(USER_AGENT, self.agent.clone());
        if let Some(token) = &self.token {
            headers.insert(AUTHORIZATION, token.clone());
        }
    }

    pub(crate) fn host(&self) -> &str {
        self.host.to_str().unwrap_or("localhost")
    }

    fn build(&self, request: &Request) -> Result<http::Request<Full<Bytes>>, Error> {
        let mut http = http::Request::builder()
            .method(request.method.clone())
            .uri(&request.path)
            .body(Full::new(request.body.clone()))
            .map_err(Error::Request)?;
        http.headers_mut().insert(ACCEPT, HeaderValue::from_static(JSON));
        for (name, value) in &request.headers {
            http.headers_mut().insert(name, value.clone());
        }
        self.headers(http.headers_mut());
        Ok(http)
    }

    async fn exchange(&self, request: &Request) -> Result<(http::Response<Incoming>, Sender), Error> {
        let mut http = self.build(request)?;
        while let Some(mut sender) = self.pool.take() {
            if sender.ready().await.is_err() {
                continue;
            }
            match sender.try_send_request(http).await {
                Ok(answer) => return Ok((answer, sender)),
                Err(mut error) => match error.take_message() {
                    // Nothing of it was written, so it may go out again whatever it is.
                    Some(unsent) => http = unsent,
                    // The server closed the connection while it was idle, most likely; once more, on a new one.
                    None if request.method.is_idempotent() => {
                        http = self.build(request)?;
                        break;
                    }
                    None => return Err(Error::Broken(error.into_error())),
                },
            }
        }
        let stream = self.dial().await?;
        let (mut sender, connection) =
            hyper::client::conn::http1::handshake(TokioIo::new(stream)).await.map_err(Error::Broken)?;
        tokio::spawn(async move {
            // Whoever waits for an answer gets this error too.
            if let Err(error) = connection.await {
                tracing::debug!(%error, "a connection to the apiserver ended");
            }
        });
        let answer = sender.send_request(http).await.map_err(Error::Broken)?;
        Ok((answer, sender))
    }
}

impl Request {
    /// Without headers or body.
    pub fn new(method: Method, path: &str) -> Self {
        Self { method, path: path.to_owned(), headers: HeaderMap::new(), body: Bytes::new() }
    }
}

/// An answer whose body comes as it is made. Dropping it closes the connection.
#[derive(Debug)]
pub struct ByteStream {
    /// A code below 400.
    pub status: StatusCode,
    /// Its headers.
    pub headers: HeaderMap,
    body: Incoming,
}

impl ByteStream {
    /// The next bytes, or none at the end.
    pub async fn next(&mut self) -> Result<Option<Bytes>, Error> {
        while let Some(frame) = self.body.frame().await {
            if let Ok(data) = frame.map_err(Error::Broken)?.into_data() {
                return Ok(Some(data));
            }
        }
        Ok(None)
    }
}

fn decode<T: DeserializeOwned>(body: &[u8]) -> Result<T, Error> {
    // An answer without a body is read as null: a caller who asked for nothing gets it.
    let body = if body.is_empty() { b"null" } else { body };
    serde_json::from_slice(body).map_err(Error::Decode)
}

async fn collect(body: Incoming, limit: usize) -> Result<Bytes, Error> {
    match Limited::new(body, limit).collect().await {
        Ok(collected) => Ok(collected.to_bytes()),
        Err(error) => Err(match error.downcast::<hyper::Error>() {
            Ok(error) => Error::Broken(*error),
            Err(_) => Error::TooLarge { limit, what: "bytes" },
        }),
    }
}
