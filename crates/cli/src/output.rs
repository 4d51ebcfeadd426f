//! Objects on stdout in the format that was asked for: all at once, or one by one as they change.

use drover_types::{Kind, Scope};
use jiff::Timestamp;
use serde_json::{Value, json};

use crate::command_line::Format;
use crate::resources::shown;
use crate::table::Table;
use crate::terminal;
use drover_columns::Column;
use drover_columns::fields::{name, namespace};

/// Prints objects of one kind.
pub(crate) struct Printer<'a> {
    kind: Kind,
    format: &'a Format,
    /// Whether a table has a column for namespaces.
    namespaces: bool,
    headers: bool,
    colours: bool,
    table: Option<Table>,
}

impl<'a> Printer<'a> {
    /// For objects of a kind; `namespaces`: of all of them.
    pub(crate) fn new(kind: Kind, format: &'a Format, namespaces: bool) -> Self {
        let namespaces = namespaces && kind.names().scope == Scope::Namespaced;
        Self { kind, format, namespaces, headers: true, colours: terminal::stdout_colour(), table: None }
    }

    /// Without the first line of a table.
    pub(crate) fn without_headers(mut self, without: bool) -> Self {
        self.headers = !without;
        self
    }

    /// Objects, as they are printed one after another.
    pub(crate) fn print(&mut self, objects: &[Value], now: Timestamp) -> String {
        match self.format {
            Format::Table | Format::Wide | Format::Custom(_) => self.rows(objects, now),
            Format::Json => objects.iter().map(|object| format!("{object}\n")).collect(),
            Format::Yaml => {
                objects.iter().map(|object| format!("---\n{}", drover_manifest::emit(object))).collect()
            }
            Format::Name => {
                objects.iter().map(|object| format!("{}\n", shown(self.kind, name(object)))).collect()
            }
            Format::JsonPath(template) => {
                objects.iter().map(|object| format!("{}\n", template.fill(object))).collect()
            }
        }
    }

    fn columns(&self) -> impl Iterator<Item = &'static Column> {
        let wide = *self.format == Format::Wide;
        drover_columns::of(self.kind).iter().filter(move |column| wide || !column.wide)
    }

    fn row(&self, object: &Value, now: Timestamp) -> Vec<String> {
        let mut row = Vec::new();
        if self.namespaces {
            row.push(namespace(object).to_owned());
        }
        match self.format {
            Format::Custom(custom) => row.extend(custom.row(object)),
            _ => row.extend(self.columns().map(|column| (column.cell)(object, now))),
        }
        row
    }

    fn rows(&mut self, objects: &[Value], now: Timestamp) -> String {
        let rows: Vec<Vec<String>> = objects.iter().map(|object| self.row(object, now)).collect();
        let mut out = String::new();
        let mut table = match self.table.take() {
            Some(table) => table,
            None => {
                let mut headers = if self.namespaces { vec!["NAMESPACE".to_owned()] } else { Vec::new() };
                match self.format {
                    Format::Custom(custom) => headers.extend(custom.headers()),
                    _ => headers.extend(self.columns().map(|column| column.header.to_owned())),
                }
                let mut table = Table::new(headers).coloured(self.colours);
                table.fit(&rows);
                if self.headers {
                    out.push_str(&table.head());
                }
                table
            }
        };
        table.fit(&rows);
        out.extend(rows.iter().map(|row| table.line(row)));
        self.table = Some(table);
        out
    }
}

/// Objects as one document: one that was asked for by name as itself, several as a `List`, as kubectl prints them.
pub(crate) fn document(single: bool, mut objects: Vec<Value>) -> Value {
    match objects.pop() {
        Some(only) if single && objects.is_empty() => only,
        last => {
            objects.extend(last);
            json!({ "apiVersion": "v1", "kind": "List", "metadata": {"resourceVersion": ""}, "items": objects })
        }
    }
}

#[cfg(test)]
pub(crate) mod tests {
    use super::*;

    /// 2026-08-01T12:00:00Z, when all tests of tables look at the clock.
    pub(crate) fn noon() -> Timestamp {
        "2026-08-01T12:00:00Z".parse().unwrap()
    }

    fn config(space: &str, name: &str) -> Value {
        json!({"metadata": {"name": name, "namespace": space}})
    }

    #[test]
    fn rows_that_come_later_stand_below_the_first() {
        let mut printer = Printer::new(Kind::ConfigMap, &Format::Table, true);
        let first = printer.print(&[config("default", "a-long-name")], noon());
        let then = printer.print(&[config("x", "b")], noon());
        assert_eq!(
            first + &then,
            "NAMESPACE   NAME          DATA   AGE\n\
             default     a-long-name   0      <none>\n\
             x           b             0      <none>\n"
        );
    }

    #[test]
    fn one_object_by_name_is_itself_and_several_are_a_list() {
        assert_eq!(document(true, vec![json!(1)]), json!(1));
        assert_eq!(document(false, vec![json!(1)])["items"], json!([1]));
        assert_eq!(document(true, vec![json!(1), json!(2)])["items"], json!([1, 2]));
        assert_eq!(document(true, Vec::new())["items"], json!([]));
        let mut printer = Printer::new(Kind::ConfigMap, &Format::Name, false);
        assert_eq!(printer.print(&[config("x", "b")], noon()), "configmap/b\n");
    }
}
