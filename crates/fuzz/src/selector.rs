//! Label and field selectors, and names in a template.

use std::collections::BTreeMap;

use drover_types::selector::{LabelSelector, parse_fields};
use drover_types::substitute::substitute;

pub(crate) fn selector(data: &[u8]) {
    let Ok(text) = std::str::from_utf8(data) else { return };
    let _ = parse_fields(text);
    let _ = substitute(text, |name| (name.len() < 9).then(|| name.to_owned()));
    let Ok(selector) = LabelSelector::parse(text) else { return };
    let mut labels = BTreeMap::new();
    let _ = selector.matches(&labels);
    for requirement in &selector.0 {
        let value = requirement.values.first().cloned().unwrap_or_default();
        labels.insert(requirement.key.clone(), value);
    }
    let all = selector.0.iter().all(|requirement| requirement.matches(&labels));
    assert_eq!(selector.matches(&labels), all);
}
