//! Requests to a server: through the product's own client where a request is only preparation, and over bare HTTP
//! where it is what is measured.

use std::path::Path;
use std::sync::Arc;

use anyhow::{Context, Result, bail};
use bytes::Bytes;
use drover_client::{Client, ClientConfig, Dial, TlsDial};
use http::header::{AUTHORIZATION, CONTENT_TYPE, HOST};
use http::{HeaderValue, Method, Request};
use http_body_util::{BodyExt, Full};
use hyper::client::conn::http1::{SendRequest, handshake};
use hyper_util::rt::TokioIo;
use serde_json::{Value, json};

/// A server as its administrator sees it.
#[derive(Clone)]
pub(crate) struct Api {
    pub(crate) client: Client,
    pub(crate) dial: Arc<dyn Dial>,
    pub(crate) host: String,
    token: String,
}

impl Api {
    /// Reads CA and token from the server's data directory.
    pub(crate) fn new(url: &str, data_dir: &Path) -> Result<Self> {
        let token = std::fs::read_to_string(data_dir.join("admin.token"))?.trim().to_owned();
        let ca = std::fs::read(data_dir.join("ca.crt"))?;
        let config = ClientConfig::from_url(url, ca, Some(token.clone()))?;
        let client = Client::from_config(&config)?;
        let dial = Arc::new(TlsDial::new(&config.host, config.port, &config.server_name, &config.ca_pem)?);
        Ok(Self { client, dial, host: config.authority(), token })
    }

    /// Waits until it answers.
    pub(crate) async fn ready(&self) -> Result<()> {
        let mut connection = self.connect().await?;
        connection.call(Method::GET, "/readyz", Bytes::new()).await?;
        Ok(())
    }

    /// A connection of its own.
    pub(crate) async fn connect(&self) -> Result<Connection> {
        let stream = self.dial.dial().await?;
        let (sender, connection) = handshake(TokioIo::new(stream)).await?;
        tokio::spawn(connection);
        Ok(Connection {
            sender,
            host: HeaderValue::from_str(&self.host)?,
            token: HeaderValue::from_str(&format!("Bearer {}", self.token))?,
        })
    }

    /// A token that any number of hosts may join with.
    pub(crate) async fn join_token(&self) -> Result<String> {
        let wish = json!({"role": "node", "allowedLabels": {}, "ttlSeconds": 86400});
        let answer: Value = self.client.create("/apis/drover.dev/v1/tokens", &wish).await?;
        Ok(answer["token"].as_str().context("an answer without a token")?.to_owned())
    }
}

/// One kept connection: HTTP/1.1 over TLS, one request at a time.
pub(crate) struct Connection {
    sender: SendRequest<Full<Bytes>>,
    host: HeaderValue,
    token: HeaderValue,
}

impl Connection {
    /// Sends a request; anything but success is an error. The body of the answer is read to its end.
    pub(crate) async fn call(&mut self, method: Method, path: &str, body: Bytes) -> Result<Bytes> {
        let mut request = Request::builder().method(method).uri(path).body(Full::new(body))?;
        let headers = request.headers_mut();
        headers.insert(HOST, self.host.clone());
        headers.insert(AUTHORIZATION, self.token.clone());
        headers.insert(CONTENT_TYPE, HeaderValue::from_static("application/json"));
        self.sender.ready().await?;
        let answer = self.sender.send_request(request).await?;
        let status = answer.status();
        let body = answer.into_body().collect().await?.to_bytes();
        if !status.is_success() {
            bail!("{path}: {status} {}", String::from_utf8_lossy(&body));
        }
        Ok(body)
    }
}
