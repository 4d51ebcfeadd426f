//! Objects in the form that a client asked for: as they are, their metadata alone, or rows of a Table.

use std::borrow::Cow;
use std::sync::Arc;

use bytes::Bytes;
use drover_columns::Column;
use drover_types::Kind;
use drover_world::Clock;
use serde_json::{Value, json};

use crate::events::Face;
use crate::keys;
use crate::negotiate::{self, Form};
use crate::query::Include;

/// Makes the answers of one request.
pub(crate) struct Presenter {
    kind: Kind,
    form: Form,
    include: Include,
    clock: Arc<dyn Clock>,
    face: Face,
    /// Columns are told once: later Tables of a watch have none.
    defined: bool,
}

impl Presenter {
    pub(crate) fn new(kind: Kind, form: Form, include: Include, clock: &Arc<dyn Clock>) -> Self {
        Self { kind, form, include, clock: clock.clone(), face: Face::Stored, defined: false }
    }

    /// With the names of this face.
    pub(crate) fn facing(self, face: Face) -> Self {
        Self { face, ..self }
    }

    /// What objects say that they are.
    pub(crate) fn api_version(&self) -> &'static str {
        self.face.api_version(self.kind)
    }

    /// Whether objects are answered as they are.
    pub(crate) fn is_plain(&self) -> bool {
        self.form == Form::Object && self.face == Face::Stored
    }

    /// The bytes of an object as it is answered.
    fn shown<'a>(&self, served: &'a [u8]) -> Cow<'a, [u8]> {
        if self.is_plain() {
            return Cow::Borrowed(served);
        }
        let object = serde_json::from_slice(served).unwrap_or(Value::Null);
        Cow::Owned(self.face.shown(&object).to_string().into_bytes())
    }

    /// One object.
    pub(crate) fn object<'a>(&self, object: &'a Value) -> Cow<'a, Value> {
        match self.form {
            Form::Object => self.face.shown(object),
            Form::Metadata(version) => Cow::Owned(negotiate::metadata_of(version, object)),
            Form::Table(version) => Cow::Owned(self.table(version, object, true)),
        }
    }

    /// A line of a watch.
    pub(crate) fn line(&mut self, word: &str, served: &[u8]) -> Bytes {
        match self.form {
            Form::Object => keys::line(word, &self.shown(served)),
            Form::Metadata(version) => keys::line(word, &negotiate::metadata_alone(version, served)),
            Form::Table(version) => {
                let object = serde_json::from_slice(served).unwrap_or(Value::Null);
                let first = !std::mem::replace(&mut self.defined, true);
                keys::line(word, self.table(version, &object, first).to_string().as_bytes())
            }
        }
    }

    /// The beginning of a list, up to its first item.
    pub(crate) fn list_head(&self, metadata: &Value) -> String {
        let (kind, version) = negotiate::list_head(self.form, self.kind, self.api_version());
        let items = match self.form {
            Form::Table(_) => format!("\"columnDefinitions\":{},\"rows\":[", self.definitions()),
            Form::Object | Form::Metadata(_) => "\"items\":[".to_owned(),
        };
        format!("{{\"kind\":\"{kind}\",\"apiVersion\":\"{version}\",\"metadata\":{metadata},{items}")
    }

    /// An item of a list.
    pub(crate) fn item<'a>(&self, served: &'a [u8]) -> Cow<'a, [u8]> {
        match self.form {
            Form::Object => self.shown(served),
            Form::Metadata(version) => Cow::Owned(negotiate::metadata_alone(version, served)),
            Form::Table(version) => {
                let object = serde_json::from_slice(served).unwrap_or(Value::Null);
                Cow::Owned(self.row(version, &object).to_string().into_bytes())
            }
        }
    }

    /// A Table of one row.
    fn table(&self, version: &str, object: &Value, with_definitions: bool) -> Value {
        let definitions = if with_definitions { self.definitions() } else { Value::Null };
        let revision = object.pointer("/metadata/resourceVersion").cloned().unwrap_or_else(|| "".into());
        json!({
            "kind": "Table", "apiVersion": version, "metadata": {"resourceVersion": revision},
            "columnDefinitions": definitions, "rows": [self.row(version, object)],
        })
    }

    fn row(&self, version: &str, object: &Value) -> Value {
        let now = self.clock.now();
        let cells: Vec<_> = self.columns().iter().map(|column| (column.cell)(object, now)).collect();
        let object = match self.include {
            Include::None => return json!({"cells": cells}),
            Include::Metadata => negotiate::metadata_of(version, object),
            Include::Object => self.face.shown(object).into_owned(),
        };
        json!({"cells": cells, "object": object})
    }

    fn columns(&self) -> &'static [Column] {
        drover_columns::of(self.kind)
    }

    fn definitions(&self) -> Value {
        let definition = |column: &Column| {
            let is_name = column.header == "NAME";
            json!({
                "name": title(column.header), "type": "string", "format": if is_name { "name" } else { "" },
                "description": format!("{} of a {}.", title(column.header), self.kind.names().kind),
                "priority": i32::from(column.wide),
            })
        };
        self.columns().iter().map(definition).collect()
    }
}

/// `LAST SEEN` as `Last Seen`: clients write it in capitals again.
fn title(header: &str) -> String {
    let mut begins = true;
    let letter = |c: char| {
        let written = if begins { c } else { c.to_ascii_lowercase() };
        begins = !c.is_alphanumeric();
        written
    };
    header.chars().map(letter).collect()
}

#[cfg(test)]
mod tests {
    use drover_world::World;

    use super::*;

    fn presenter(form: Form, include: Include) -> Presenter {
        Presenter::new(Kind::Timer, form, include, &World::system().clock)
    }

    const TABLE: Form = Form::Table("meta.k8s.io/v1");

    fn timer() -> Value {
        json!({
            "apiVersion": "drover.dev/v1", "kind": "Timer", "spec": {"every": "5m"},
            "metadata": {"name": "beat", "namespace": "a", "resourceVersion": "7"},
        })
    }

    #[test]
    fn a_table_has_a_cell_for_each_column_and_the_object_that_was_asked_for() {
        for include in [Include::None, Include::Metadata, Include::Object] {
            let table = presenter(TABLE, include).object(&timer()).into_owned();
            assert_eq!(
                (&table["kind"], &table["metadata"]["resourceVersion"]),
                (&"Table".into(), &"7".into())
            );
            let columns = table["columnDefinitions"].as_array().unwrap();
            assert_eq!((&columns[0]["name"], &columns[0]["format"]), (&"Name".into(), &"name".into()));
            assert!(columns.iter().any(|column| column["priority"] == 1));
            let row = &table["rows"][0];
            assert_eq!(row["cells"].as_array().unwrap().len(), columns.len());
            assert_eq!((&row["cells"][0], &row["cells"][1]), (&"beat".into(), &"every 5m".into()));
            let object = match include {
                Include::None => Value::Null,
                Include::Metadata => negotiate::metadata_of("meta.k8s.io/v1", &timer()),
                Include::Object => timer(),
            };
            assert_eq!(row["object"], object);
        }
    }

    #[test]
    fn a_watch_of_tables_tells_its_columns_once() {
        let mut presenter = presenter(TABLE, Include::Metadata);
        let bytes = timer().to_string();
        let mut read = |word: &str| -> Value {
            serde_json::from_slice(&presenter.line(word, bytes.as_bytes())).unwrap()
        };
        let (first, second) = (read("ADDED"), read("MODIFIED"));
        assert!(first["object"]["columnDefinitions"].is_array());
        assert!(second["object"]["columnDefinitions"].is_null());
        assert_eq!(first["object"]["rows"][0]["cells"][0], "beat");
    }

    #[test]
    fn headers_are_titles() {
        assert_eq!(title("LAST SEEN"), "Last Seen");
        assert_eq!(title("OFFLINE-AFTER"), "Offline-After");
    }
}
