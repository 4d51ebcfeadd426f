//! The messages that are read: field numbers, JSON names and types.

/// A message.
#[derive(Debug)]
pub(super) struct Message {
    /// For errors.
    pub(super) name: &'static str,
    fields: &'static [Field],
}

/// A field of a message.
#[derive(Debug)]
pub(super) struct Field {
    number: u64,
    /// Its name in JSON.
    pub(super) name: &'static str,
    pub(super) type_: Type,
}

/// The type of a field.
#[derive(Debug)]
pub(super) enum Type {
    Text,
    Bytes,
    Integer,
    Bool,
    /// Seconds and nanoseconds; `micro` keeps the fraction.
    Time {
        micro: bool,
    },
    /// JSON in the first field of a message.
    Json,
    Message(fn() -> &'static Message),
    /// Of strings to this.
    Map(&'static Type),
    List(&'static Type),
    /// Known, and of no effect.
    Ignored,
}

use Type::{Bool, Bytes, Ignored, Integer, Json, List, Map, Text, Time};

impl Message {
    pub(super) fn field(&self, number: u64) -> Option<&Field> {
        self.fields.iter().find(|field| field.number == number)
    }
}

macro_rules! messages {
    ($($function:ident $name:literal { $($number:literal $field:literal $type:expr;)* })*) => {
        $(fn $function() -> &'static Message {
            static MESSAGE: Message = Message {
                name: $name,
                fields: &[$(Field { number: $number, name: $field, type_: $type },)*],
            };
            &MESSAGE
        })*
    };
}

const TIME: Type = Time { micro: false };
const MICRO_TIME: Type = Time { micro: true };

/// The message of a kind, if it is read.
pub(super) fn of(api_version: &str, kind: &str) -> Option<&'static Message> {
    Some(match (api_version, kind) {
        ("v1", "Namespace") => namespace(),
        ("v1", "Node") => node(),
        ("v1", "Secret") => secret(),
        ("v1", "ConfigMap") => config_map(),
        ("v1", "Event") => event(),
        ("v1", "ServiceAccount") => service_account(),
        ("authentication.k8s.io/v1", "TokenRequest") => token_request(),
        ("events.k8s.io/v1", "Event") => newer_event(),
        // Each group has it under its own name.
        (_, "DeleteOptions") => delete_options(),
        ("coordination.k8s.io/v1", "Lease") => lease(),
        ("authentication.k8s.io/v1", "SelfSubjectReview") => self_subject_review(),
        ("authentication.k8s.io/v1", "TokenReview") => token_review(),
        ("authorization.k8s.io/v1", "SelfSubjectAccessReview" | "SubjectAccessReview") => access_review(),
        ("authorization.k8s.io/v1", "SelfSubjectRulesReview") => rules_review(),
        _ => return None,
    })
}

messages! {
    object_meta "ObjectMeta" {
        1 "name" Text;
        2 "generateName" Text;
        3 "namespace" Text;
        4 "selfLink" Ignored;
        5 "uid" Text;
        6 "resourceVersion" Text;
        7 "generation" Integer;
        8 "creationTimestamp" TIME;
        9 "deletionTimestamp" TIME;
        10 "deletionGracePeriodSeconds" Integer;
        11 "labels" Map(&Text);
        12 "annotations" Map(&Text);
        13 "ownerReferences" List(&Type::Message(owner_reference));
        14 "finalizers" List(&Text);
        17 "managedFields" List(&Type::Message(managed_fields_entry));
    }
    owner_reference "OwnerReference" {
        1 "kind" Text;
        3 "name" Text;
        4 "uid" Text;
        5 "apiVersion" Text;
        6 "controller" Bool;
        7 "blockOwnerDeletion" Bool;
    }
    managed_fields_entry "ManagedFieldsEntry" {
        1 "manager" Text;
        2 "operation" Text;
        3 "apiVersion" Text;
        4 "time" TIME;
        6 "fieldsType" Text;
        7 "fieldsV1" Json;
        8 "subresource" Text;
    }
    delete_options "DeleteOptions" {
        1 "gracePeriodSeconds" Integer;
        2 "preconditions" Type::Message(preconditions);
        3 "orphanDependents" Bool;
        4 "propagationPolicy" Text;
        5 "dryRun" List(&Text);
    }
    preconditions "Preconditions" {
        1 "uid" Text;
        2 "resourceVersion" Text;
    }
    namespace "Namespace" {
        1 "metadata" Type::Message(object_meta);
        2 "spec" Type::Message(namespace_spec);
        3 "status" Ignored;
    }
    namespace_spec "NamespaceSpec" {
        1 "finalizers" List(&Text);
    }
    secret "Secret" {
        1 "metadata" Type::Message(object_meta);
        2 "data" Map(&Bytes);
        3 "type" Text;
        4 "stringData" Map(&Text);
        5 "immutable" Bool;
    }
    config_map "ConfigMap" {
        1 "metadata" Type::Message(object_meta);
        2 "data" Map(&Text);
        3 "binaryData" Map(&Bytes);
        4 "immutable" Bool;
    }
    node "Node" {
        1 "metadata" Type::Message(object_meta);
        2 "spec" Type::Message(node_spec);
        3 "status" Ignored;
    }
    node_spec "NodeSpec" {
        4 "unschedulable" Bool;
        5 "taints" List(&Type::Message(taint));
    }
    taint "Taint" {
        1 "key" Text;
        2 "value" Text;
        3 "effect" Text;
        4 "timeAdded" TIME;
    }
    event "Event" {
        1 "metadata" Type::Message(object_meta);
        2 "involvedObject" Type::Message(object_reference);
        3 "reason" Text;
        4 "message" Text;
        5 "source" Type::Message(event_source);
        6 "firstTimestamp" TIME;
        7 "lastTimestamp" TIME;
        8 "count" Integer;
        9 "type" Text;
        10 "eventTime" MICRO_TIME;
        11 "series" Type::Message(event_series);
        12 "action" Text;
        13 "related" Type::Message(object_reference);
        14 "reportingComponent" Text;
        15 "reportingInstance" Text;
    }
    service_account "ServiceAccount" {
        1 "metadata" Type::Message(object_meta);
        2 "secrets" List(&Type::Message(object_reference));
        3 "imagePullSecrets" List(&Type::Message(local_reference));
        4 "automountServiceAccountToken" Bool;
    }
    local_reference "LocalObjectReference" {
        1 "name" Text;
    }
    token_request "TokenRequest" {
        1 "metadata" Type::Message(object_meta);
        2 "spec" Type::Message(token_request_spec);
        3 "status" Ignored;
    }
    token_request_spec "TokenRequestSpec" {
        1 "audiences" List(&Text);
        3 "boundObjectRef" Type::Message(bound_object);
        4 "expirationSeconds" Integer;
    }
    bound_object "BoundObjectReference" {
        1 "kind" Text;
        2 "apiVersion" Text;
        3 "name" Text;
        4 "uid" Text;
    }
    newer_event "Event" {
        1 "metadata" Type::Message(object_meta);
        2 "eventTime" MICRO_TIME;
        3 "series" Type::Message(event_series);
        4 "reportingController" Text;
        5 "reportingInstance" Text;
        6 "action" Text;
        7 "reason" Text;
        8 "regarding" Type::Message(object_reference);
        9 "related" Type::Message(object_reference);
        10 "note" Text;
        11 "type" Text;
        12 "deprecatedSource" Type::Message(event_source);
        13 "deprecatedFirstTimestamp" TIME;
        14 "deprecatedLastTimestamp" TIME;
        15 "deprecatedCount" Integer;
    }
    event_series "EventSeries" {
        1 "count" Integer;
        2 "lastObservedTime" MICRO_TIME;
    }
    event_source "EventSource" {
        1 "component" Text;
        2 "host" Text;
    }
    object_reference "ObjectReference" {
        1 "kind" Text;
        2 "namespace" Text;
        3 "name" Text;
        4 "uid" Text;
        5 "apiVersion" Text;
        6 "resourceVersion" Text;
        7 "fieldPath" Text;
    }
    lease "Lease" {
        1 "metadata" Type::Message(object_meta);
        2 "spec" Type::Message(lease_spec);
    }
    lease_spec "LeaseSpec" {
        1 "holderIdentity" Text;
        2 "leaseDurationSeconds" Integer;
        3 "acquireTime" MICRO_TIME;
        4 "renewTime" MICRO_TIME;
        5 "leaseTransitions" Integer;
    }
    self_subject_review "SelfSubjectReview" {
        1 "metadata" Type::Message(object_meta);
        2 "status" Ignored;
    }
    token_review "TokenReview" {
        1 "metadata" Type::Message(object_meta);
        2 "spec" Type::Message(token_review_spec);
        3 "status" Ignored;
    }
    token_review_spec "TokenReviewSpec" {
        1 "token" Text;
        2 "audiences" List(&Text);
    }
    access_review "SubjectAccessReview" {
        1 "metadata" Type::Message(object_meta);
        2 "spec" Type::Message(access_review_spec);
        3 "status" Ignored;
    }
    access_review_spec "SubjectAccessReviewSpec" {
        1 "resourceAttributes" Type::Message(resource_attributes);
        2 "nonResourceAttributes" Type::Message(non_resource_attributes);
        3 "user" Text;
        4 "groups" List(&Text);
        6 "uid" Text;
    }
    resource_attributes "ResourceAttributes" {
        1 "namespace" Text;
        2 "verb" Text;
        3 "group" Text;
        4 "version" Text;
        5 "resource" Text;
        6 "subresource" Text;
        7 "name" Text;
    }
    non_resource_attributes "NonResourceAttributes" {
        1 "path" Text;
        2 "verb" Text;
    }
    rules_review "SelfSubjectRulesReview" {
        1 "metadata" Type::Message(object_meta);
        2 "spec" Type::Message(rules_review_spec);
        3 "status" Ignored;
    }
    rules_review_spec "SelfSubjectRulesReviewSpec" {
        1 "namespace" Text;
    }
}
