//! The operations of a kind: its paths, verbs, parameters and bodies.

use drover_types::{Kind, Scope};
use serde_json::{Map, Value, json};

use super::schema_name;
use super::schemas::{SCALE, meta, reference};
use crate::{content, scale};

/// A parameter in the query: its name, its type and what it does.
type Parameter = (&'static str, &'static str, &'static str);

const WRITE: [Parameter; 3] = [
    ("dryRun", "string", "`All`: say what would happen, and change nothing."),
    ("fieldManager", "string", "Who writes; the User-Agent up to its first slash if absent."),
    (
        "fieldValidation",
        "string",
        "What becomes of unknown and duplicate fields: `Strict` refuses them, `Warn` (default) drops them with a \
         warning, `Ignore` drops them.",
    ),
];
const SELECT: [Parameter; 2] = [
    ("labelSelector", "string", "Only objects with such labels."),
    ("fieldSelector", "string", "Only objects with such fields."),
];
const LIST: [Parameter; 8] = [
    ("limit", "integer", "The most items on a page."),
    ("continue", "string", "Where a page begins, from the page before."),
    ("resourceVersion", "string", "A revision: see resourceVersionMatch, or where a watch begins."),
    ("resourceVersionMatch", "string", "`Exact` or `NotOlderThan`."),
    ("watch", "boolean", "Changes instead of a list."),
    ("allowWatchBookmarks", "boolean", "Tell now and then up to where the watch has everything."),
    ("sendInitialEvents", "boolean", "Begin a watch with what there is, and say when that ends."),
    ("timeoutSeconds", "integer", "How long a watch lasts."),
];
const DELETE: [Parameter; 2] = [
    ("propagationPolicy", "string", "`Background` (default), `Foreground` or `Orphan`."),
    ("gracePeriodSeconds", "integer", "Not used."),
];

fn query<'a>(parameters: impl IntoIterator<Item = &'a Parameter>) -> Vec<Value> {
    let one = |(name, type_, description): &Parameter| {
        json!({
            "name": name, "in": "query", "description": description,
            "schema": {"type": type_, "uniqueItems": true},
        })
    };
    parameters.into_iter().map(one).collect()
}

fn in_path(name: &str, description: &str) -> Value {
    json!({"name": name, "in": "path", "required": true, "description": description, "schema": {"type": "string"}})
}

/// One operation.
struct Operation<'a> {
    /// Group, version and kind.
    about: (&'a str, &'a str, &'a str),
    action: &'a str,
    description: String,
    parameters: Vec<Value>,
    /// Content types and schema.
    body: Option<(&'a [&'a str], Value)>,
    answer: Value,
}

impl Operation<'_> {
    fn encode(self) -> Value {
        let (group, version, kind) = self.about;
        let content = |types: &[&str], schema: &Value| {
            let each = types.iter().map(|type_| ((*type_).to_owned(), json!({"schema": schema})));
            each.collect::<Map<_, _>>()
        };
        let mut operation = json!({
            "description": self.description, "parameters": self.parameters,
            "responses": {
                "200": {"description": "OK", "content": content(&["application/json"], &self.answer)},
                "401": {"description": "Unauthorized"},
            },
            "x-kubernetes-action": self.action,
            "x-kubernetes-group-version-kind":
                {"group": group, "version": version, "kind": kind},
        });
        if let Some((types, schema)) = self.body {
            operation["requestBody"] = json!({"content": content(types, &schema), "required": true});
        }
        operation
    }
}

/// All paths of a kind.
pub(super) fn paths(kind: Kind) -> Map<String, Value> {
    let names = kind.names();
    let own = reference(&schema_name(kind));
    let list = reference(&format!("{}List", schema_name(kind)));
    let objects: &[&str] = &content::OBJECT_TYPES;
    let patches = content::patch_types(kind);
    let operation = |action, description: &str, parameters, body, answer: &Value| {
        let description = format!("{description} {}.", names.kind);
        let about = (names.group, names.version, names.kind);
        Operation { about, action, description, parameters, body, answer: answer.clone() }.encode()
    };
    let listed = || query(SELECT.iter().chain(&LIST));
    let part = |answer: &Value| {
        json!({
            "get": operation("get", "Read the", Vec::new(), None, answer),
            "put": operation("put", "Replace the", query(&WRITE), Some((objects, answer.clone())), answer),
            "patch": operation("patch", "Change the", query(&WRITE), Some((patches, meta("Patch"))), answer),
        })
    };
    let space = in_path("namespace", "The namespace.");
    let placed = |mut item: Value, namespaced: bool, named: bool| {
        let namespace = namespaced.then(|| space.clone());
        let name = named.then(|| in_path("name", "The name of the object."));
        item["parameters"] = namespace.into_iter().chain(name).collect();
        item
    };
    let namespaced = names.scope == Scope::Namespaced;
    let mut paths = Map::new();
    let collection = kind.path(namespaced.then_some("{namespace}"));
    let options = Some((objects, meta("DeleteOptions")));
    paths.insert(
        collection.clone(),
        placed(
            json!({
                "get": operation("list", "List or watch objects of kind", listed(), None, &list),
                "post": operation("post", "Create a", query(&WRITE), Some((objects, own.clone())), &own),
                "delete": operation(
                    "deletecollection",
                    "Delete objects of kind",
                    query(SELECT.iter().chain(&DELETE).chain(&WRITE[..1])),
                    options.clone(),
                    &meta("Status"),
                ),
            }),
            namespaced,
            false,
        ),
    );
    if namespaced {
        let everywhere =
            operation("list", "List or watch objects of all namespaces, of kind", listed(), None, &list);
        paths.insert(kind.path(None), json!({"get": everywhere}));
    }
    let mut object = part(&own);
    let parameters = query(DELETE.iter().chain(&WRITE[..1]));
    object["delete"] = operation("delete", "Delete the", parameters, options, &meta("Status"));
    paths.insert(format!("{collection}/{{name}}"), placed(object, namespaced, true));
    if names.has_status {
        paths.insert(format!("{collection}/{{name}}/status"), placed(part(&own), namespaced, true));
    }
    if scale::of(kind).is_some() {
        paths.insert(format!("{collection}/{{name}}/scale"), placed(of_scale(), namespaced, true));
    }
    paths
}

/// The operations of `/scale`.
fn of_scale() -> Value {
    let scale = reference(SCALE);
    let operation = |action, description: &str, parameters, body| {
        let (about, answer) = (scale::SCALE, scale.clone());
        Operation { about, action, description: description.into(), parameters, body, answer }.encode()
    };
    json!({
        "get": operation("get", "Read how many there are to be.", Vec::new(), None),
        "put": operation("put", "Say how many there are to be.", query(&WRITE), Some((&scale::BODIES, scale.clone()))),
        "patch": operation(
            "patch", "Say how many there are to be.", query(&WRITE), Some((&scale::PATCHES, meta("Patch"))),
        ),
    })
}
