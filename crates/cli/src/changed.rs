//! What a verb that changes objects says of each: a line, its name, or, at the end, all of them as data.

use anyhow::Result;
use drover_types::Kind;
use serde_json::Value;

use crate::command_line::{DryRun, NameOrData};
use crate::output::document;
use crate::resources::shown;
use crate::terminal;
use drover_columns::fields::name;

/// Says what was changed, while it is.
pub(crate) struct Changed {
    output: Option<NameOrData>,
    suffix: &'static str,
    objects: Vec<Value>,
}

impl Changed {
    /// As `-o` and `--dry-run` say.
    pub(crate) fn new(output: Option<NameOrData>, dry_run: DryRun) -> Self {
        let suffix = match dry_run {
            DryRun::None => "",
            DryRun::Client => " (dry run)",
            DryRun::Server => " (server dry run)",
        };
        Self { output, suffix, objects: Vec::new() }
    }

    /// One object, as it is now, and what became of it.
    pub(crate) fn say(&mut self, kind: Kind, object: Value, word: &str) -> Result<()> {
        match self.output {
            None | Some(NameOrData::Name) => self.gone(kind, name(&object), word),
            Some(NameOrData::Json | NameOrData::Yaml) => {
                self.objects.push(object);
                Ok(())
            }
        }
    }

    /// One object of which there is nothing left to show.
    pub(crate) fn gone(&self, kind: Kind, name: &str, word: &str) -> Result<()> {
        let shown = shown(kind, name);
        match self.output {
            None => terminal::report(&format!("{shown} {word}{}\n", self.suffix)),
            Some(NameOrData::Name) => terminal::report(&format!("{shown}\n")),
            Some(NameOrData::Json | NameOrData::Yaml) => Ok(()),
        }
    }

    /// The data, if that was asked for: one object as itself, several as a list.
    pub(crate) fn end(self) -> Result<()> {
        let all = |objects: Vec<Value>| document(objects.len() == 1, objects);
        match self.output {
            Some(NameOrData::Json) => terminal::report(&format!("{:#}\n", all(self.objects))),
            Some(NameOrData::Yaml) => terminal::report(&drover_manifest::emit(&all(self.objects))),
            None | Some(NameOrData::Name) => Ok(()),
        }
    }
}
