//! What the help of a verb shows below its flags: how it is used, and what else decides what it does.

pub(super) const DEV: &str = "\
Examples:
  drover dev -f manifests/quickstart
  drover dev --listen 127.0.0.1:0 --data-dir /tmp/try

Ctrl-C ends it and what it started; the next start on the same data directory goes on from there.
DROVER_LOG says how much is logged on stderr: `info`, or `drover_node_agent=debug,warn`.";

pub(super) const SERVER: &str = "\
Examples:
  drover server --data-dir /var/lib/drover --listen 0.0.0.0:7443 --advertise hub.example.com
  KUBECONFIG=/var/lib/drover/kubeconfig drover get nodes

DROVER_LOG says how much is logged on stderr: `info`, or `drover_reconciler=debug,info`.";

pub(super) const AGENT: &str = "\
Examples:
  drover agent --server https://hub.example.com:7443 --token-file join.token --data-dir /var/lib/drover

The token is needed once: from then on the host has a credential of its own in its data directory.
DROVER_LOG says how much is logged on stderr: `info`, or `drover_node_agent=debug,info`.";

pub(super) const APPLY: &str = "\
Examples:
  drover apply -f beat.yaml
  drover apply -R -f manifests --dry-run=server
  cat beat.yaml | drover apply -f -
  drover apply --prune --applyset web -f web

It is server-side apply: fields that a manifest no longer lists go, and fields that others own are theirs until
--force-conflicts. kubectl reads and writes apply sets in the same way; one is kept by one of the two at a time.";

pub(super) const DIFF: &str = "\
Examples:
  drover diff -f beat.yaml
  drover diff -R -f manifests -o json

Exit code 0 says that nothing would change, 1 that something would, 2 that it cannot be told. Values of Secrets are
not shown.";

pub(super) const EDIT: &str = "\
Examples:
  drover edit timer beat
  VISUAL='code --wait' drover edit service/web

The editor is VISUAL, else EDITOR, else vi.";

pub(super) const PATCH: &str = "\
Examples:
  drover patch timer beat -p 'spec: {suspend: true}'
  drover patch timer beat --type=json -p '[{\"op\": \"remove\", \"path\": \"/spec/suspend\"}]'
  drover patch service/web --subresource=scale -p '{\"spec\": {\"replicas\": 3}}'";

pub(super) const LABEL: &str = "\
Examples:
  drover label node web-1 tier=web
  drover label timers --all team=ops old-label-
  drover label timer beat tier=db --overwrite";

pub(super) const ANNOTATE: &str = "\
Examples:
  drover annotate timer beat owner='the web team'
  drover annotate timers -l tier=web note-";

pub(super) const SCALE: &str = "\
Examples:
  drover scale service/web --replicas=3
  drover scale services -l tier=web --current-replicas=2 --replicas=4";

pub(super) const GET: &str = "\
Examples:
  drover get timers
  drover get runs -l drover.dev/workload-name=beat -w
  drover get timer beat -o yaml
  drover get nodes -o jsonpath='{.items[*].metadata.name}'";

pub(super) const DESCRIBE: &str = "\
Examples:
  drover describe timer beat
  drover describe node/web-1";

pub(super) const DELETE: &str = "\
Examples:
  drover delete timer beat
  drover delete -f manifests
  drover delete tasks -l team=web --wait=false";

pub(super) const WAIT: &str = "\
Examples:
  drover wait --for=condition=Complete task/migrate --timeout=5m
  drover wait --for=jsonpath='{.status.ready}'=3 service/web
  drover wait --for=delete timer/beat";

pub(super) const LOGS: &str = "\
Examples:
  drover logs timer/beat
  drover logs -f service/web --node web-1 --tail 20
  drover logs beat-c99d18cd6fdb --timestamps";

pub(super) const RUN: &str = "\
Examples:
  drover run deploy --node web-1 -p version=1.4 --follow
  drover run deploy -l tier=web -p version=1.4 --wait --timeout 5m
  drover run deploy --node web-1 -p version=1.4 --idempotency-key release-1.4";

pub(super) const TRIGGER: &str = "\
Examples:
  drover trigger beat
  drover trigger beat --node web-1";

pub(super) const EVENTS: &str = "\
Examples:
  drover events -w
  drover events --for service/web";

pub(super) const TOKEN: &str = "\
Examples:
  drover token create node --allow-label tier=web > join.token
  drover token create node --node-name web-1 --ttl 1h
  drover token create user --name ci";

pub(super) const BACKUP: &str = "\
Examples:
  drover backup /backup/drover-$(date +%F)
  drover backup --data-dir /var/lib/drover /backup/drover

The file holds the CA's key and the administrator's token: whoever can read it can be the server. It is made with
mode 0600, and has its name only once it is whole and its sum was checked.";

pub(super) const RESTORE: &str = "\
Examples:
  drover restore /backup/drover-2026-11-25 --data-dir /var/lib/drover

What changed after the backup was made is gone from the server. Agents are told everything anew and tell what became
of it; they run nothing a second time. Hosts that joined after the backup have to join again.";

pub(super) const KUBECONFIG: &str = "\
Examples:
  drover kubeconfig --server https://hub.example.com:7443 > ~/.kube/config";

pub(super) const EXPLAIN: &str = "\
Examples:
  drover explain timer
  drover explain service.spec.restart
  drover explain task.spec --recursive";

pub(super) const COMPLETION: &str = "\
Examples:
  source <(drover completion bash)
  drover completion zsh > ~/.zfunc/_drover";
