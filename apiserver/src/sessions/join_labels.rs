//! Which labels a host may give itself as it joins. Pure.

use std::collections::BTreeMap;

/// Whether only operators and Drover itself set labels of this key.
pub(crate) fn is_reserved(key: &str) -> bool {
    let prefix = key.split_once('/').map_or("", |(prefix, _)| prefix);
    matches!(prefix, "drover.dev" | "kubernetes.io" | "node-restriction")
        || prefix.ends_with(".kubernetes.io")
}

/// Why such a label is refused.
pub(crate) fn reserved(key: &str, value: &str) -> String {
    format!(
        "the label {key}={value} is reserved: a node never gives itself labels under drover.dev/, kubernetes.io/ or \
         node-restriction/"
    )
}

/// Refuses the first label that the token does not allow, and says what it does allow.
pub(crate) fn check(
    asked: &BTreeMap<String, String>,
    allowed: &BTreeMap<String, Vec<String>>,
) -> Result<(), String> {
    for (key, value) in asked {
        if is_reserved(key) {
            return Err(reserved(key, value));
        }
        if !allowed.get(key).is_some_and(|values| values.contains(value)) {
            let pairs =
                allowed.iter().flat_map(|(key, values)| values.iter().map(move |v| format!("{key}={v}")));
            let pairs: Vec<_> = pairs.collect();
            let allows = if pairs.is_empty() { "no labels".into() } else { pairs.join(", ") };
            return Err(format!("the join token does not allow the label {key}={value}; it allows {allows}"));
        }
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_the_pairs_of_the_token_and_never_a_reserved_key() {
        let allowed = BTreeMap::from([
            ("zone".to_owned(), vec!["a".to_owned(), "b".to_owned()]),
            ("drover.dev/role".to_owned(), vec!["server".to_owned()]),
        ]);
        let asked = |key: &str, value: &str| BTreeMap::from([(key.to_owned(), value.to_owned())]);
        assert!(check(&BTreeMap::new(), &allowed).is_ok());
        assert!(check(&asked("zone", "b"), &allowed).is_ok());
        let refused = check(&asked("zone", "c"), &allowed).unwrap_err();
        assert!(refused.contains("zone=c") && refused.contains("zone=a, zone=b"), "{refused}");
        for key in
            ["drover.dev/role", "kubernetes.io/os", "topology.kubernetes.io/zone", "node-restriction/x"]
        {
            assert!(check(&asked(key, "server"), &allowed).is_err(), "{key}");
        }
        assert!(check(&asked("pool", "x"), &BTreeMap::new()).unwrap_err().contains("no labels"));
    }
}
