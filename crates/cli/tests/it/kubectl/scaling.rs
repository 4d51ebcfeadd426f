//! `kubectl scale`.

use super::found::{Kubectl, with_each};

const SERVICE: &str = "\
apiVersion: drover.dev/v1
kind: Service
metadata: {name: web}
spec: {template: {process: {command: [/bin/cat]}}}
";

const TIMER: &str = "\
apiVersion: drover.dev/v1
kind: Timer
metadata: {name: beat}
spec: {every: 5m, template: {process: {command: [/bin/true]}}}
";

fn replicas(kubectl: &Kubectl) -> String {
    kubectl.says(&["get", "service", "web", "-o", "jsonpath={.spec.replicas}"])
}

#[test]
fn every_kubectl_scales_a_service() {
    with_each(|kubectl| {
        kubectl.write("web.yaml", SERVICE);
        kubectl.says(&["apply", "-f", "web.yaml"]);
        let said = kubectl.says(&["scale", "service/web", "--replicas=3"]);
        assert_eq!(said, "service.drover.dev/web scaled\n");
        assert_eq!(replicas(kubectl), "3");
        let wrong = kubectl.run(&["scale", "service", "web", "--current-replicas=7", "--replicas=4"]);
        assert_eq!(wrong.code, Some(1), "{}", wrong.stdout);
        assert!(wrong.stderr.contains("Expected replicas to be 7, was 3"), "{}", wrong.stderr);
        assert_eq!(replicas(kubectl), "3");
        kubectl.says(&["scale", "service", "web", "--current-replicas=3", "--replicas=4"]);
        assert_eq!(replicas(kubectl), "4");
        kubectl.says(&["scale", "-f", "web.yaml", "--replicas=0"]);
        assert_eq!(replicas(kubectl), "0");
        let many = kubectl.run(&["scale", "service/web", "--replicas=1001"]);
        assert_eq!(many.code, Some(1), "{}", many.stdout);
        assert!(many.stderr.contains("must be at most 1000"), "{}", many.stderr);
        assert_eq!(replicas(kubectl), "0");
        if kubectl.minor >= 27 {
            let table = kubectl.says(&["get", "service", "web", "--subresource=scale"]);
            let rows: Vec<Vec<&str>> = table.lines().map(|line| line.split_whitespace().collect()).collect();
            assert_eq!(rows[0][..3], ["NAME", "DESIRED", "AVAILABLE"]);
            assert_eq!(rows[1][..2], ["web", "0"]);
            let patch = r#"{"spec":{"replicas":2}}"#;
            kubectl.says(&["patch", "service", "web", "--subresource=scale", "--type=merge", "-p", patch]);
            assert_eq!(replicas(kubectl), "2");
        }
    });
}

#[test]
fn every_kubectl_is_told_that_a_timer_has_no_count() {
    with_each(|kubectl| {
        kubectl.write("timer.yaml", TIMER);
        kubectl.says(&["create", "-f", "timer.yaml"]);
        let refused = kubectl.run(&["scale", "timer/beat", "--replicas=3"]);
        assert_eq!(refused.code, Some(1), "{}", refused.stdout);
        let said = &refused.stderr;
        assert!(
            said.contains("could not find the requested resource") || said.contains("could not find scale"),
            "{said}"
        );
    });
}
