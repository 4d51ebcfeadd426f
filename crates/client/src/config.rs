//! Where the server is and how to be let in: the part of a kubeconfig that Drover understands.

use std::fmt;
use std::io;
use std::path::Path;

use base64::Engine as _;
use base64::prelude::BASE64_STANDARD;
use serde_json::Value;

/// Where the server is and how to be let in. Its `Debug` form shows no token.
#[derive(Clone, PartialEq, Eq)]
pub struct ClientConfig {
    /// The host to connect to.
    pub host: String,
    /// The port.
    pub port: u16,
    /// The name that the server's certificate has to be for.
    pub server_name: String,
    /// The certificates, one of which has to have signed the server's.
    pub ca_pem: Vec<u8>,
    /// The bearer token.
    pub token: Option<String>,
    /// The namespace meant where none is named.
    pub namespace: Option<String>,
}

/// Why there is no client.
#[derive(Debug, thiserror::Error)]
pub enum ConfigError {
    /// Not a kubeconfig.
    #[error("the kubeconfig has no {0}")]
    Missing(String),
    /// Not the URL of an apiserver.
    #[error("{0:?} is not the https:// URL of an apiserver")]
    Url(String),
    /// Something Drover does not do.
    #[error("the kubeconfig sets {field}, which drover does not support: {instead}")]
    Unsupported {
        /// What is set.
        field: &'static str,
        /// What to do about it.
        instead: &'static str,
    },
    /// A file that it names.
    #[error("cannot read {path}, which the kubeconfig names as {field}")]
    File {
        /// Which field.
        field: &'static str,
        /// Which file.
        path: String,
        /// Why not.
        #[source]
        source: io::Error,
    },
    /// The CA is not one.
    #[error("the apiserver's CA cannot be used: {0}")]
    Ca(String),
    /// The name cannot be in a certificate.
    #[error("{0:?} is not a host name or address")]
    ServerName(String),
    /// The token cannot be sent.
    #[error("the token has characters that cannot be in a header")]
    Token,
}

/// What a kubeconfig is resolved with.
pub struct FromKubeconfig<'a> {
    /// The context to use instead of the current one.
    pub context: Option<&'a str>,
    /// Reads a file that it names; relative paths are relative to the kubeconfig.
    pub read: &'a dyn Fn(&Path) -> io::Result<Vec<u8>>,
}

impl ClientConfig {
    /// The server and user of a kubeconfig that was read from JSON or YAML.
    pub fn from_kubeconfig(kubeconfig: &Value, options: &FromKubeconfig<'_>) -> Result<Self, ConfigError> {
        let name = match options.context.or_else(|| text(kubeconfig, "current-context")) {
            Some(name) => name,
            None => return Err(ConfigError::Missing("current-context".into())),
        };
        let context = named(kubeconfig, "contexts", "context", name)?;
        let cluster_name = text(context, "cluster")
            .ok_or_else(|| ConfigError::Missing(format!("cluster in context {name:?}")))?;
        let cluster = named(kubeconfig, "clusters", "cluster", cluster_name)?;
        let user = match text(context, "user") {
            Some(user) => named(kubeconfig, "users", "user", user)?,
            None => &Value::Null,
        };
        refuse_unsupported(cluster, user)?;

        let server = text(cluster, "server")
            .ok_or_else(|| ConfigError::Missing(format!("server in cluster {cluster_name:?}")))?;
        let (host, port) = split_url(server)?;
        let ca_pem =
            match (text(cluster, "certificate-authority-data"), text(cluster, "certificate-authority")) {
                (Some(data), _) => {
                    BASE64_STANDARD.decode(data).map_err(|error| ConfigError::Ca(error.to_string()))?
                }
                (None, Some(path)) => options.file("certificate-authority", path)?,
                (None, None) => return Err(ConfigError::Missing("certificate-authority-data".into())),
            };
        let token = match (text(user, "token"), text(user, "tokenFile")) {
            (Some(token), _) => Some(token.to_owned()),
            (None, Some(path)) => {
                let bytes = options.file("tokenFile", path)?;
                Some(String::from_utf8(bytes).map_err(|_| ConfigError::Token)?.trim().to_owned())
            }
            (None, None) => None,
        };
        Ok(Self {
            server_name: text(cluster, "tls-server-name").unwrap_or(&host).to_owned(),
            host,
            port,
            ca_pem,
            token,
            namespace: text(context, "namespace").map(str::to_owned),
        })
    }

    /// The server at an `https://` URL.
    pub fn from_url(url: &str, ca_pem: Vec<u8>, token: Option<String>) -> Result<Self, ConfigError> {
        let (host, port) = split_url(url)?;
        Ok(Self { server_name: host.clone(), host, port, ca_pem, token, namespace: None })
    }

    /// `host:port`, an IPv6 address in brackets.
    pub fn authority(&self) -> String {
        if self.host.contains(':') {
            format!("[{}]:{}", self.host, self.port)
        } else {
            format!("{}:{}", self.host, self.port)
        }
    }
}

impl FromKubeconfig<'_> {
    fn file(&self, field: &'static str, path: &str) -> Result<Vec<u8>, ConfigError> {
        (self.read)(Path::new(path)).map_err(|source| ConfigError::File {
            field,
            path: path.to_owned(),
            source,
        })
    }
}

impl fmt::Debug for ClientConfig {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("ClientConfig")
            .field("host", &self.host)
            .field("port", &self.port)
            .field("server_name", &self.server_name)
            .field("namespace", &self.namespace)
            .finish_non_exhaustive()
    }
}

/// What is set and would silently not be done.
fn refuse_unsupported(cluster: &Value, user: &Value) -> Result<(), ConfigError> {
    if cluster["insecure-skip-tls-verify"] == true {
        return Err(ConfigError::Unsupported {
            field: "insecure-skip-tls-verify",
            instead: "name the cluster's CA in certificate-authority-data",
        });
    }
    if cluster.get("proxy-url").is_some() {
        return Err(ConfigError::Unsupported { field: "proxy-url", instead: "connect without a proxy" });
    }
    let has_token = user.get("token").is_some() || user.get("tokenFile").is_some();
    for field in ["exec", "auth-provider", "username", "client-certificate", "client-certificate-data"] {
        if !has_token && user.get(field).is_some() {
            return Err(ConfigError::Unsupported {
                field,
                instead: "use a token, from `drover token create user`",
            });
        }
    }
    Ok(())
}

fn text<'a>(value: &'a Value, field: &str) -> Option<&'a str> {
    value.get(field)?.as_str().filter(|text| !text.is_empty())
}

fn named<'a>(root: &'a Value, list: &str, field: &str, name: &str) -> Result<&'a Value, ConfigError> {
    root.get(list)
        .and_then(Value::as_array)
        .and_then(|entries| entries.iter().find(|entry| text(entry, "name") == Some(name)))
        .and_then(|entry| entry.get(field))
        .ok_or_else(|| ConfigError::Missing(format!("{field} {name:?}")))
}

fn split_url(url: &str) -> Result<(String, u16), ConfigError> {
    // The error is shown to people: not what may be a password.
    let bad = || match url.rsplit_once('@') {
        Some((_, rest)) => ConfigError::Url(format!("https://…@{rest}")),
        None => ConfigError::Url(url.to_owned()),
    };
    let uri: http::Uri = url.parse().map_err(|_| bad())?;
    if uri.scheme_str() != Some("https") || uri.path() != "/" || uri.query().is_some() {
        return Err(bad());
    }
    if uri.authority().is_some_and(|authority| authority.as_str().contains('@')) {
        // A name and password here would not be used, and be shown wherever the URL is.
        return Err(bad());
    }
    let host = uri.host().ok_or_else(bad)?;
    let host = match host.strip_prefix('[').and_then(|rest| rest.strip_suffix(']')) {
        Some(address) => address.parse::<std::net::Ipv6Addr>().map(|_| address).map_err(|_| bad())?,
        None if host.is_empty() || host.contains(['[', ']', ':']) => return Err(bad()),
        None => host,
    };
    Ok((host.to_owned(), uri.port_u16().unwrap_or(443)))
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    const OPTIONS: FromKubeconfig<'static> =
        FromKubeconfig { context: None, read: &|path| Ok(format!("of {}\n", path.display()).into_bytes()) };

    fn kubeconfig() -> Value {
        json!({
            "apiVersion": "v1", "kind": "Config", "current-context": "c",
            "contexts": [{"name": "c", "context": {"cluster": "k", "user": "u", "namespace": "n"}}],
            "clusters": [{"name": "k", "cluster": {
                "server": "https://[::1]:7443", "certificate-authority-data": "Y2E="}}],
            "users": [{"name": "u", "user": {"token": "t0ps3cret"}}],
        })
    }

    #[test]
    fn a_kubeconfig_gives_server_ca_token_and_namespace() {
        let config = ClientConfig::from_kubeconfig(&kubeconfig(), &OPTIONS).unwrap();
        assert_eq!((config.host.as_str(), config.port, config.server_name.as_str()), ("::1", 7443, "::1"));
        assert_eq!(config.authority(), "[::1]:7443");
        assert_eq!(config.ca_pem, b"ca");
        assert_eq!(config.token.as_deref(), Some("t0ps3cret"));
        assert_eq!(config.namespace.as_deref(), Some("n"));
        assert!(!format!("{config:?}").contains("t0ps3cret"));
    }

    #[test]
    fn files_that_it_names_are_read() {
        let mut value = kubeconfig();
        value["clusters"][0]["cluster"] = json!({"server": "https://host", "certificate-authority": "ca.pem",
            "tls-server-name": "drover"});
        value["users"][0]["user"] = json!({"tokenFile": "token"});
        let config = ClientConfig::from_kubeconfig(&value, &OPTIONS).unwrap();
        assert_eq!((config.port, config.server_name.as_str()), (443, "drover"));
        assert_eq!(config.ca_pem, b"of ca.pem\n");
        assert_eq!(config.token.as_deref(), Some("of token"));
    }

    #[test]
    fn what_would_silently_not_be_done_is_refused() {
        for (pointer, setting) in [
            ("/clusters/0/cluster", json!({"insecure-skip-tls-verify": true, "server": "https://h"})),
            ("/clusters/0/cluster", json!({"proxy-url": "http://p", "server": "https://h"})),
            ("/users/0/user", json!({"exec": {}})),
            ("/users/0/user", json!({"client-certificate-data": "x"})),
        ] {
            let mut value = kubeconfig();
            *value.pointer_mut(pointer).unwrap() = setting;
            let error = ClientConfig::from_kubeconfig(&value, &OPTIONS).unwrap_err();
            assert!(matches!(error, ConfigError::Unsupported { .. }), "{error}");
        }
    }

    #[test]
    fn what_is_missing_is_named() {
        let other = FromKubeconfig { context: Some("nope"), ..OPTIONS };
        let error = ClientConfig::from_kubeconfig(&kubeconfig(), &other).unwrap_err();
        assert_eq!(error.to_string(), "the kubeconfig has no context \"nope\"");
        for url in [
            "http://h",
            "https://h/path",
            "h:7443",
            "",
            "https://e[::1]:7443",
            "https://[h]:7443",
            "https://name:word@h:7443",
        ] {
            assert!(ClientConfig::from_url(url, Vec::new(), None).is_err(), "{url}");
        }
    }

    #[test]
    fn a_password_in_a_url_is_refused_and_not_shown() {
        let error = split_url("https://name:hunter2@host:7443").unwrap_err().to_string();
        assert!(error.contains("@host:7443") && !error.contains("hunter2"), "{error}");
    }
}
