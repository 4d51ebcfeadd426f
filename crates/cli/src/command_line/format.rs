//! `-o`: how data is printed.

use std::str::FromStr;

use clap::ValueEnum;

use crate::custom_columns::Custom;
use crate::jsonpath::Template;

/// For people or for machines.
#[derive(Clone, Copy, PartialEq, Eq, ValueEnum)]
pub(crate) enum Output {
    /// For people.
    Text,
    /// For machines.
    Json,
}

/// What is printed of objects that were changed.
#[derive(Clone, Copy, PartialEq, Eq, ValueEnum)]
pub(crate) enum NameOrData {
    /// `kind/name`.
    Name,
    /// The objects.
    Json,
    /// The objects.
    Yaml,
}

/// How objects are printed.
#[derive(Clone, Debug, PartialEq)]
pub(crate) enum Format {
    /// A table.
    Table,
    /// A table with every column.
    Wide,
    /// JSON.
    Json,
    /// YAML.
    Yaml,
    /// `kind/name`.
    Name,
    /// What paths lead to.
    JsonPath(Template),
    /// A table of columns that the caller chose.
    Custom(Custom),
}

impl FromStr for Format {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        if let Some(template) = text.strip_prefix("jsonpath=") {
            return Template::parse(template).map(Self::JsonPath);
        }
        if let Some(columns) = text.strip_prefix("custom-columns=") {
            return Custom::parse(columns).map(Self::Custom);
        }
        match text {
            "table" => Ok(Self::Table),
            "wide" => Ok(Self::Wide),
            "json" => Ok(Self::Json),
            "yaml" => Ok(Self::Yaml),
            "name" => Ok(Self::Name),
            "jsonpath" => Err("write the path too, as in -o jsonpath='{.metadata.name}'".into()),
            "custom-columns" => Err("write the columns too, as in -o custom-columns=NAME:.metadata.name".into()),
            _ if text.starts_with("go-template") || text.starts_with("jsonpath-") || text.starts_with("custom-columns-") => {
                Err("not supported; use jsonpath=, custom-columns= or json".into())
            }
            _ => Err("one of wide, json, yaml, name, jsonpath=TEMPLATE, custom-columns=HEADER:PATH,... is expected".into()),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_format_is_known_or_refused_with_what_there_is() {
        assert_eq!("wide".parse(), Ok(Format::Wide));
        assert!(matches!("jsonpath={.a}".parse(), Ok(Format::JsonPath(_))));
        assert!(matches!("custom-columns=A:.a".parse(), Ok(Format::Custom(_))));
        for (bad, why) in [
            ("jsonpath", "path too"),
            ("jsonpath={range .items[*]}", "range"),
            ("go-template={{.a}}", "not supported"),
            ("jsno", "yaml"),
        ] {
            assert!(bad.parse::<Format>().unwrap_err().contains(why), "{bad}");
        }
    }
}
