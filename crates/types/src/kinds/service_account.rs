//! ServiceAccount: who a program is. It keeps its Kubernetes shape; its tokens are asked for and never stored in it.

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use super::core::ObjectReference;
use crate::meta::ObjectMeta;

/// The annotation that says what the account may do.
pub const ROLE: &str = "drover.dev/role";
/// The one role there is: to read what is in the account's namespace, save Secrets.
pub const VIEW: &str = "view";
/// The account that every namespace has.
pub const DEFAULT: &str = "default";

/// `v1` ServiceAccount.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase", default)]
pub struct ServiceAccount {
    /// `v1`.
    pub api_version: String,
    /// `ServiceAccount`.
    pub kind: String,
    /// Standard metadata. The annotation `drover.dev/role: view` lets it read what is in its namespace, save Secrets.
    pub metadata: ObjectMeta,
    /// Kept for clients that write it; of no effect.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    #[schemars(extend("x-kubernetes-list-type" = "map", "x-kubernetes-list-map-keys" = ["name"]))]
    pub secrets: Vec<ObjectReference>,
    /// Kept for clients that write it; of no effect.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub image_pull_secrets: Vec<LocalReference>,
    /// Kept for clients that write it; of no effect.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub automount_service_account_token: Option<bool>,
}

/// An object of the same namespace.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase", default)]
pub struct LocalReference {
    /// Its name.
    #[serde(skip_serializing_if = "String::is_empty")]
    pub name: String,
}
