//! Laws of one run: its end, its tree, its output, its identity.

use serde_json::{Value, json};

use crate::agent::{Dir, Running, Seen, assignment, lines, phase, script, secret, text};

fn task(name: &str, template: Value) -> Value {
    assignment(name, "Task", json!({"template": template}))
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_run_records_its_exit_code_or_signal_and_what_it_used() {
    let dir = Dir::new();
    let mut agent = Running::start(&dir.data());
    let code = task("code", script("echo out; echo err >&2; exit 3"));
    agent.wants(1, vec![code, task("signal", script("kill -SEGV $$"))]).await;
    let run = agent.run("code", "Failed").await;
    assert_eq!(run.pointer("/status/exitCode"), Some(&json!(3)));
    assert_eq!(text(&run, "/status/reason"), "ExitCode");
    assert_eq!(text(&run, "/status/outputTail").lines().count(), 2);
    assert!(run.pointer("/status/usage/maxRssBytes").and_then(Value::as_u64).unwrap() > 0);
    assert_eq!(text(&run, "/metadata/ownerReferences/0/name"), "code-host-1");
    let run = agent.run("signal", "Failed").await;
    assert_eq!((text(&run, "/status/signal"), run.pointer("/status/exitCode")), ("SIGSEGV", None));
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn case_16_daemons_and_grandchildren_that_ignore_sigterm_are_gone_after_the_grace_period() {
    let dir = Dir::new();
    let mut agent = Running::start(&dir.data());
    let pids = dir.path().join("pids");
    // A daemon that its parent's death leaves behind, in a session of its own, without a mark in its environment.
    let daemon = format!(
        "(setsid env -i /bin/sh -c 'trap \"\" TERM HUP INT; echo $$ >> {}; while :; do /bin/sleep 600; done' &)",
        pids.display()
    );
    let stubborn = format!(
        "trap '' TERM; (trap '' TERM; exec sleep 600) & setsid sleep 600 & {daemon}; {daemon}; wait; sleep 600"
    );
    let mut template = script(&stubborn);
    template["process"]["terminationGracePeriod"] = json!("300ms");
    agent.wants(1, vec![assignment("web", "Service", json!({"template": template}))]).await;
    let run = agent.run("web", "Running").await;
    while lines(&pids).len() < 2 || agent.members(&run) < 7 {
        tokio::task::yield_now().await;
    }
    agent.wants(2, Vec::new()).await;
    let state = agent.state(&run);
    let ended = agent.run("web", "Failed").await;
    assert_eq!((text(&ended, "/status/signal"), text(&ended, "/status/reason")), ("SIGKILL", "Removed"));
    let tree = drover_spawn::Tree::of_run(text(&run, "/metadata/uid"), &state);
    assert!(tree.members().unwrap().is_empty(), "something of it lives");
    for pid in lines(&pids) {
        assert!(!std::path::Path::new("/proc").join(&pid).exists(), "the daemon {pid} lives on");
    }
    agent.until("ended", |seen| (seen.ended == ["web-host-1"]).then_some(())).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn what_a_main_process_leaves_behind_ends_with_it() {
    let dir = Dir::new();
    let mut agent = Running::start(&dir.data());
    agent.wants(1, vec![task("leaver", script("sleep 600 & setsid sleep 600 & exit 0"))]).await;
    let run = agent.run("leaver", "Succeeded").await;
    assert_eq!(agent.members(&run), 0);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_failed_attempt_is_tried_again_and_the_last_one_decides() {
    let dir = Dir::new();
    let mut agent = Running::start(&dir.data());
    let mut template = script("exit 1");
    template["retry"] = json!({"limit": 2, "backoff": "50ms"});
    agent.wants(1, vec![task("flaky", template)]).await;
    let outcome = |seen: &crate::agent::Seen| {
        let status = seen.statuses.get("flaky-host-1")?;
        (text(status, "/outcome") == "Failed").then(|| status.clone())
    };
    let status = agent.until("the outcome", outcome).await;
    let attempts: Vec<_> =
        agent.seen.runs_in("flaky", "Failed").iter().map(|run| run["spec"]["attempt"].clone()).collect();
    assert_eq!(attempts, [1, 2, 3]);
    assert!(!text(&status, "/startTime").is_empty() && !text(&status, "/completionTime").is_empty());
    assert_eq!(agent.seen.condition("flaky", "Ready"), Some(("False".into(), "Failed".into())));
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_run_into_its_timeout_is_timed_out_even_if_it_ends_well() {
    let dir = Dir::new();
    let mut agent = Running::start(&dir.data());
    let mut template = script("trap 'exit 0' TERM; sleep 600 & wait");
    template["timeout"] = json!("200ms");
    agent.wants(1, vec![task("slow", template)]).await;
    let run = agent.run("slow", "TimedOut").await;
    assert_eq!(text(&run, "/status/reason"), "Timeout");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn no_more_run_at_once_than_their_lane_allows() {
    let dir = Dir::new();
    let mut agent = Running::start(&dir.data());
    let log = dir.path().join("log");
    let body = format!("echo + >> {0}; sleep 0.05; echo - >> {0}", log.display());
    let laned = |index: usize| {
        let mut template = script(&body);
        template["lane"] = json!("narrow");
        task(&format!("t{index}"), template)
    };
    agent.wants_in_pool((0..6).map(laned).collect(), &[("narrow", 2)]).await;
    agent.until("all", |seen| (0..6).all(|i| seen.is_ready(&format!("t{i}"))).then_some(())).await;
    let mut at_once = 0_i32;
    for line in lines(&log) {
        at_once += if line == "+" { 1 } else { -1 };
        assert!((0..=2).contains(&at_once), "{at_once} at once");
    }
    assert_eq!(lines(&log).len(), 12);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn who_shares_a_mutex_never_runs_at_once_and_waits_visibly() {
    let dir = Dir::new();
    let mut agent = Running::start(&dir.data());
    let log = dir.path().join("log");
    let body = format!("echo + >> {0}; sleep 0.1; echo - >> {0}", log.display());
    let holder = |name: &str| {
        let mut template = script(&body);
        template["mutex"] = json!(["disk/$(NODE_NAME)"]);
        task(name, template)
    };
    agent.wants(1, vec![holder("a"), holder("b"), holder("c")]).await;
    agent.until("all", |seen| ["a", "b", "c"].iter().all(|name| seen.is_ready(name)).then_some(())).await;
    assert_eq!(lines(&log), ["+", "-", "+", "-", "+", "-"]);
    let waited = agent.seen.all.iter().any(|run| text(run, "/status/reason") == "WaitingForTurn");
    assert!(waited, "nobody was shown as waiting");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_process_gets_its_user_group_mask_directory_input_and_names() {
    if !rustix::process::geteuid().is_root() {
        return println!("skipped: only root may change users");
    }
    let dir = Dir::new();
    let mut agent = Running::start(&dir.data());
    let say = "id -u; id -g; umask; pwd; cat; echo $HOME; echo $DROVER_PARAM_SIZE $DROVER_NODE_NAME $DROVER_WORKLOAD";
    let template = json!({"process": {
        "script": say, "user": "65534", "group": "1", "umask": "027", "workingDir": "/tmp",
        "stdin": {"text": "from stdin\n"},
    }});
    let whole = json!({"template": template, "paramValues": {"size": 7}});
    agent.wants(1, vec![assignment("who", "Task", whole)]).await;
    let run = agent.run("who", "Succeeded").await;
    let said: Vec<&str> = text(&run, "/status/outputTail").lines().collect();
    assert_eq!(said[..5], ["65534", "1", "0027", "/tmp", "from stdin"]);
    assert_eq!(said[6], "7 host-1 who");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_secret_reaches_its_process_and_no_file_of_the_agent() {
    let dir = Dir::new();
    let mut agent = Running::start(&dir.data());
    let mut template = script("printf %s \"$TOKEN\" | wc -c");
    template["process"]["env"] =
        json!([{"name": "TOKEN", "valueFrom": {"secretKeyRef": {"name": "keys", "key": "token"}}}]);
    let hidden = "s3cret-value-nobody-may-read";
    agent.wants_with(1, vec![task("user", template)], vec![secret("keys", &[("token", hidden)])]).await;
    let run = agent.run("user", "Succeeded").await;
    assert_eq!(text(&run, "/status/outputTail").trim(), hidden.len().to_string());
    let mut left = vec![dir.data()];
    let mut files = 0;
    while let Some(path) = left.pop() {
        for entry in std::fs::read_dir(path).unwrap().flatten() {
            if entry.file_type().unwrap().is_dir() {
                left.push(entry.path());
                continue;
            }
            files += 1;
            let bytes = std::fs::read(entry.path()).unwrap();
            let found = bytes.windows(hidden.len()).any(|window| window == hidden.as_bytes());
            assert!(!found, "{} has the secret", entry.path().display());
        }
    }
    assert!(files > 4, "the agent's files were looked at");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_program_that_is_not_there_fails_and_says_so() {
    let dir = Dir::new();
    let mut agent = Running::start(&dir.data());
    agent.wants(1, vec![task("gone", json!({"process": {"command": ["/no/such/program"]}}))]).await;
    let run = agent.run("gone", "Failed").await;
    assert_eq!(text(&run, "/status/reason"), "StartFailed");
    assert!(text(&run, "/status/message").contains("/no/such/program"), "{run}");
    assert_eq!(run.pointer("/status/exitCode"), None);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_script_that_is_as_a_whole_a_parameter_is_what_the_caller_passed() {
    let dir = Dir::new();
    let mut agent = Running::start(&dir.data());
    let mut whole = task("whole", script("$(params.script)"));
    whole["spec"]["task"]["params"] = json!([{"name": "script", "required": true}]);
    whole["spec"]["task"]["paramValues"] =
        json!({"script": "echo \"$DROVER_NODE_NAME $HOME_SWEET\"; exit 4"});
    agent.wants(1, vec![whole]).await;
    let run = agent.run("whole", "Failed").await;
    assert_eq!(run.pointer("/status/exitCode"), Some(&json!(4)));
    assert_eq!(text(&run, "/status/outputTail"), "host-1 \n");
}

#[tokio::test]
async fn many_runs_due_at_once_do_not_keep_the_loop_from_its_messages() {
    let dir = Dir::new();
    let mut agent = Running::start(&dir.data());
    let names: Vec<String> = (0..200).map(|number| format!("t{number}")).collect();
    agent.wants(1, names.iter().map(|name| task(name, script("true"))).collect()).await;
    // All of them are due with the answer to this, and the loop and this test share one thread.
    let begun = std::fs::read_dir(dir.data().join("runs")).unwrap().count();
    assert!(begun < names.len(), "{begun} were started before anybody else had a turn");
    agent.handle.standing().await.unwrap();
    let all = |seen: &Seen| {
        let done = seen.runs.values().filter(|run| phase(run) == "Succeeded").count();
        (done == names.len()).then_some(())
    };
    agent.until("all of them", all).await;
    agent.stop().await;
}
