//! `kubectl create serviceaccount` and `create token`.

use super::found::with_each;

#[test]
fn every_kubectl_makes_accounts_and_the_newer_ones_tokens_that_open_what_they_should() {
    with_each(|kubectl| {
        let space = kubectl.namespace.clone().unwrap();
        kubectl.says(&["create", "serviceaccount", "ci"]);
        assert!(kubectl.says(&["get", "sa", "ci", "-o", "name"]).contains("serviceaccount/ci"));
        kubectl.says(&["annotate", "sa", "ci", "drover.dev/role=view"]);
        // A verb since 1.24.
        if kubectl.minor < 24 {
            return;
        }
        let token = kubectl.says(&["create", "token", "ci", "--duration=10m"]);
        let token = token.trim();
        assert!(token.starts_with("drs_"), "{token}");
        let short = kubectl.run(&["create", "token", "ci", "--duration=1m"]);
        assert!(short.stderr.contains("less than 10 minutes"), "{}", short.stderr);
        // In a kubeconfig with a certificate or token, --token wins.
        let as_ci = |arguments: &[&str]| kubectl.run(&[&["--token", token], arguments].concat());
        assert_eq!(as_ci(&["get", "configmaps"]).code, Some(0));
        let secrets = as_ci(&["get", "secrets"]);
        assert!(secrets.stderr.contains(&format!("system:serviceaccount:{space}:ci")), "{}", secrets.stderr);
        assert_eq!(as_ci(&["auth", "can-i", "list", "timers"]).stdout.trim(), "yes");
        // With the reason behind it.
        assert!(as_ci(&["auth", "can-i", "create", "timers"]).stdout.starts_with("no"));
        assert!(as_ci(&["create", "configmap", "x"]).stderr.contains("forbidden"));
        kubectl.says(&["delete", "sa", "ci"]);
        let gone = as_ci(&["get", "configmaps"]);
        assert!(gone.stderr.contains("nauthorized"), "{}", gone.stderr);
    });
}
