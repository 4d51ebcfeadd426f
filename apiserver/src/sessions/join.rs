//! How a host becomes a node: a join token is shown once, a Node is made or found, and a credential given.

use std::collections::BTreeMap;

use drover_store::{Txn, TxnOutcome};
use drover_types::Kind;
use drover_types::validate::names;
use drover_wire::{HOST_ID_DIGITS, JoinRequest, JoinResponse, MAX_LABELS, is_host_id};
use serde_json::{Value, json};

use super::credential::Claim;
use super::{Sessions, join_labels, node_writer};
use crate::error::ApiError;
use crate::identity::Role;
use crate::objects::{ATTEMPTS, Place};
use crate::query::FieldValidation;
use crate::{admission, keys, prepare};

const HOSTNAME: &str = "kubernetes.io/hostname";
/// The label of the host that the server itself runs on.
const SERVER: (&str, &str) = ("drover.dev/role", "server");

type Labels = BTreeMap<String, String>;

impl Sessions {
    /// Joins with a join token.
    pub(super) async fn join(
        &self,
        role: &Role,
        node: &str,
        request: JoinRequest,
    ) -> Result<JoinResponse, ApiError> {
        let Role::Join { allowed_labels, node_name } = role else {
            let detail = "joining takes a join token, from `drover token create node`";
            return Err(ApiError::forbidden(Kind::Node, node, detail));
        };
        if let Some(only) = node_name.as_ref().filter(|only| *only != node) {
            let detail = format!("the join token is for the node {only:?} only");
            return Err(ApiError::forbidden(Kind::Node, node, &detail));
        }
        if request.labels.len() > MAX_LABELS {
            return Err(ApiError::bad_request(format!("labels: at most {MAX_LABELS} are allowed")));
        }
        if !is_host_id(&request.host_id) {
            return Err(ApiError::bad_request(format!("hostId: must be {HOST_ID_DIGITS} hex digits")));
        }
        join_labels::check(&request.labels, allowed_labels)
            .map_err(|detail| ApiError::forbidden(Kind::Node, node, &detail))?;
        let claim = Claim::Host { id: &request.host_id, invited: node_name.is_some() };
        self.admit_host(node, claim, request.labels, &Labels::new()).await
    }

    /// Joins the server's own host.
    pub(crate) async fn join_local(&self, node: &str) -> Result<JoinResponse, ApiError> {
        let labels = Labels::from([(SERVER.0.to_owned(), SERVER.1.to_owned())]);
        self.admit_host(node, Claim::Server, Labels::new(), &labels).await
    }

    /// Makes or finds the Node and gives it a credential, in one transaction. Labels in `new` are set on a new Node
    /// only, those in `always` on any.
    async fn admit_host(
        &self,
        node: &str,
        claim: Claim<'_>,
        new: Labels,
        always: &Labels,
    ) -> Result<JoinResponse, ApiError> {
        let at = Place { kind: Kind::Node, namespace: None, name: node };
        let objects = &self.0.objects;
        for _ in 0..ATTEMPTS {
            let held = objects.find(at)?;
            let txn = Txn::new().when(at.key(), held.as_ref().map_or(0, |held| held.revision));
            let (txn, uid) = match &held {
                None => {
                    let value = self.new_node(node, new.clone(), always)?;
                    let uid = prepare::text(&value, "uid").to_owned();
                    (txn.put(at.key(), keys::encode(&value)), uid)
                }
                Some(held) if prepare::is_deleting(&held.object) => {
                    return Err(ApiError::conflict_because(Kind::Node, node, "it is being deleted"));
                }
                Some(held) => {
                    let more =
                        node_writer::changed(held, |node| node.metadata.labels.extend(always.clone()))?;
                    let txn = match more {
                        Some(next) => txn.put(at.key(), keys::encode(&next)),
                        None => txn,
                    };
                    (txn, prepare::text(&held.object, "uid").to_owned())
                }
            };
            let (txn, token) = self.issue(txn, node, &uid, claim).await?;
            if let TxnOutcome::Committed { .. } = objects.commit(txn).await? {
                self.0.registry.end(node, &uid, "the node joined anew and has another credential");
                return Ok(JoinResponse { node_uid: uid, token });
            }
        }
        Err(ApiError::conflict(Kind::Node, node))
    }

    fn new_node(&self, node: &str, mut labels: Labels, always: &Labels) -> Result<Value, ApiError> {
        let world = &self.0.objects.world;
        labels.extend(always.clone());
        // A longer name is a name all the same, but not a label value.
        if names::is_label_value(node) {
            labels.insert(HOSTNAME.into(), node.into());
        }
        let mut value = json!({"metadata": {"name": node, "labels": labels}, "spec": {}});
        prepare::create(Kind::Node, &mut value, world.uuid_v4().to_string(), world.clock.now());
        Ok(admission::admit(Kind::Node, value, None, &[], FieldValidation::Strict)?.0)
    }
}
