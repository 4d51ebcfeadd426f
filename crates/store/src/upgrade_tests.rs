//! An upgrade of the schema that is killed before each of its changes to the disk. This version has one schema, so the
//! next one is played by another script; what carries it out is what a start runs.

use std::path::Path;
use std::process::Command;

use rusqlite::Connection;

use crate::{Engine, Options, Txn, file, schema::MIGRATIONS};

const FILE: &str = "DROVER_STORE_UPGRADE_FILE";
const HALTED: i32 = 99;
const ROWS: usize = 50;

/// The schema after the last: a column that every row gets a value in, and an index.
fn next() -> Vec<&'static str> {
    let script = "ALTER TABLE kv ADD COLUMN size INTEGER;
        UPDATE kv SET size = length(value);
        CREATE INDEX kv_size ON kv (size);";
    MIGRATIONS.iter().copied().chain([script]).collect()
}

/// The program that is killed. As a test of its own it does nothing.
#[test]
fn the_upgrade_that_gets_killed() {
    let Some(path) = std::env::var_os(FILE) else { return };
    let conn = file::connect(Path::new(&path), &Options::new(|| 1)).unwrap();
    file::migrate(&conn, &next()).unwrap();
    conn.close().unwrap();
}

/// A store of this version's schema, with something in it.
fn filled(path: &Path) {
    let mut engine = Engine::open(path, Options { reserve_bytes: 0, ..Options::new(|| 1) }).unwrap();
    for index in 0..ROWS {
        engine.apply(&[Txn::new().put(format!("k/{index:02}"), "value".repeat(100))]).unwrap();
    }
}

/// Whether it has the new schema; it has all of the old one or all of the new one, and every row.
fn upgraded(path: &Path) -> bool {
    let conn = Connection::open(path).unwrap();
    let number = |sql: &str| conn.query_row(sql, [], |row| row.get::<_, i64>(0)).unwrap();
    let version = number("PRAGMA user_version");
    let column = number("SELECT count(*) FROM pragma_table_info('kv') WHERE name = 'size'");
    let index = number("SELECT count(*) FROM sqlite_schema WHERE name = 'kv_size'");
    let check: String = conn.query_row("PRAGMA integrity_check", [], |row| row.get(0)).unwrap();
    assert_eq!((check.as_str(), number("SELECT count(*) FROM kv")), ("ok", ROWS as i64));
    let new = version == MIGRATIONS.len() as i64 + 1;
    assert!(new || version == MIGRATIONS.len() as i64, "version {version}");
    assert_eq!((column, index), (i64::from(new), i64::from(new)), "half of a schema at version {version}");
    if new {
        assert_eq!(number("SELECT count(*) FROM kv WHERE size = 500"), ROWS as i64);
    }
    new
}

#[test]
#[expect(clippy::print_stderr, reason = "says why it does not run")]
fn case_12_an_upgrade_that_is_killed_half_way_leaves_the_old_schema_or_the_new_one() {
    let folder = tempfile::tempdir().unwrap();
    let shim = folder.path().join("halt.so");
    let source = concat!(env!("CARGO_MANIFEST_DIR"), "/tests/it/halt.c");
    let built = Command::new("cc").args(["-shared", "-fPIC", "-o"]).arg(&shim).arg(source).status();
    if !built.is_ok_and(|status| status.success()) {
        eprintln!("skipped: there is no C compiler `cc` here");
        return;
    }
    let upgrade = |path: &Path, step: u32| {
        let status = Command::new(std::env::current_exe().unwrap())
            .args(["--exact", "upgrade_tests::the_upgrade_that_gets_killed"])
            .env(FILE, path)
            .env("DROVER_HALT", step.to_string())
            .env("LD_PRELOAD", &shim)
            .output()
            .unwrap()
            .status;
        assert!(status.success() || status.code() == Some(HALTED), "{status}");
        status.success()
    };
    let (mut killed, mut old, mut new) = (0, 0, 0);
    let whole = folder.path().join("whole.db");
    filled(&whole);
    for step in 1.. {
        let path = folder.path().join(format!("{step}.db"));
        std::fs::copy(&whole, &path).unwrap();
        let whole = upgrade(&path, step);
        if whole {
            assert!(upgraded(&path));
            break;
        }
        killed += 1;
        if upgraded(&path) {
            new += 1;
        } else {
            old += 1;
            // This version goes on with it, as if nothing had been tried.
            Engine::open(&path, Options { reserve_bytes: 0, ..Options::new(|| 1) }).unwrap();
        }
        // And the next try takes it on, however far the last one was.
        assert!(upgrade(&path, 0) && upgraded(&path), "after step {step}");
    }
    assert!(killed > 5 && old > 0 && new > 0, "{killed} were killed: {old} before, {new} after");
}
