//! `-o custom-columns=NAME:.metadata.name,NODE:.spec.nodeName`.

use drover_columns::fields::NONE;
use serde_json::Value;

use crate::jsonpath::Path;

/// Columns that the caller chose.
#[derive(Clone, Debug, PartialEq)]
pub(crate) struct Custom(Vec<(String, Path)>);

impl Custom {
    /// Reads `HEADER:path,HEADER:path`.
    pub(crate) fn parse(text: &str) -> Result<Self, String> {
        let column = |part: &str| {
            let (header, path) = part
                .split_once(':')
                .filter(|(header, path)| !header.is_empty() && !path.is_empty())
                .ok_or_else(|| format!("{part:?} is not HEADER:path, as in NAME:.metadata.name"))?;
            let path = path.strip_prefix('{').and_then(|path| path.strip_suffix('}')).unwrap_or(path);
            Ok((header.to_owned(), Path::parse(path)?))
        };
        text.split(',').map(column).collect::<Result<_, String>>().map(Self)
    }

    /// The headers.
    pub(crate) fn headers(&self) -> Vec<String> {
        self.0.iter().map(|(header, _)| header.clone()).collect()
    }

    /// The cells of an object.
    pub(crate) fn row(&self, object: &Value) -> Vec<String> {
        self.0.iter().map(|(_, path)| path.text(object).unwrap_or_else(|| NONE.to_owned())).collect()
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[test]
    fn every_column_is_a_header_and_a_path() {
        let custom = Custom::parse("NAME:.metadata.name,X:{.spec.x},Y:.spec.list[*]").unwrap();
        let object = json!({"metadata": {"name": "a"}, "spec": {"list": [1, 2]}});
        assert_eq!(custom.headers(), ["NAME", "X", "Y"]);
        assert_eq!(custom.row(&object), ["a", "<none>", "1,2"]);
        for bad in ["NAME", "NAME:", ":.x", "A:.x,"] {
            assert!(Custom::parse(bad).is_err(), "{bad}");
        }
    }
}
