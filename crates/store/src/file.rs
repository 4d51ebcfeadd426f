//! Opening the file: made whole before it has its name, refused when it is newer, foreign or damaged.

use std::{
    fs::{File, OpenOptions, Permissions},
    io::{ErrorKind, Read},
    os::unix::fs::{OpenOptionsExt, PermissionsExt},
    path::{Path, PathBuf},
};

use drover_mutants::{Mutant, active};
use rusqlite::{Connection, OpenFlags, Transaction, TransactionBehavior};

use crate::{
    OpenError, Options, StoreError,
    error::is_full,
    read,
    schema::{APPLICATION_ID, MIGRATIONS, Meta},
};

/// The size up to which a start also checks each index against its table.
const FULL_CHECK_BYTES: i64 = 256 << 20;

/// How long a connection waits for a lock that another one holds.
pub(crate) const BUSY_WAIT: std::time::Duration = std::time::Duration::from_secs(5);

/// A connection that writes, to a database that is there and sound.
pub(crate) fn open(path: &Path, options: &Options) -> Result<Connection, OpenError> {
    if options.vfs.is_none() {
        match std::fs::metadata(path) {
            Ok(found) => {
                look(path, found.len())?;
                close_to_others(path, &found)?;
            }
            Err(error) if error.kind() == ErrorKind::NotFound => create(path, options)?,
            Err(source) => return Err(OpenError::Io { path: path.into(), source }),
        }
    }
    let conn = connect(path, options)?;
    let fail = |error| refuse(path, error);
    if options.vfs.is_some() && number(&conn, "schema_version").map_err(fail)? == 0 {
        fill(&conn, options).map_err(fail)?;
    }
    inspect(&conn, path)?;
    Ok(conn)
}

/// The database holds secrets. SQLite gives the log and the index the mode of the database.
pub(crate) const MODE: u32 = 0o600;

fn close_to_others(path: &Path, found: &std::fs::Metadata) -> Result<(), OpenError> {
    if found.permissions().mode() & 0o077 == 0 {
        return Ok(());
    }
    std::fs::set_permissions(path, Permissions::from_mode(MODE))
        .map_err(|source| OpenError::Io { path: path.into(), source })
}

/// A connection set up for writing.
pub(crate) fn connect(path: &Path, options: &Options) -> Result<Connection, OpenError> {
    let flags =
        OpenFlags::SQLITE_OPEN_READ_WRITE | OpenFlags::SQLITE_OPEN_CREATE | OpenFlags::SQLITE_OPEN_NO_MUTEX;
    let conn = with_flags(path, options, flags).map_err(|error| refuse(path, error))?;
    let limit = options.wal_bytes / 2;
    (|| {
        conn.busy_timeout(BUSY_WAIT)?;
        conn.set_prepared_statement_cache_capacity(64);
        // The page layout has to be chosen before the first table is. On a database that has one this would write, and
        // it is not known yet whether the database is ours to write to.
        if number(&conn, "page_count")? == 0 {
            set(&conn, "auto_vacuum = INCREMENTAL")?;
        }
        set(&conn, "journal_mode = WAL")?;
        let unsynced = active(Mutant::UnsyncedStore);
        set(&conn, if unsynced { "synchronous = OFF" } else { "synchronous = FULL" })?;
        set(&conn, "foreign_keys = ON")?;
        set(&conn, "temp_store = MEMORY")?;
        set(&conn, &format!("journal_size_limit = {limit}"))
    })()
    .map_err(|error: StoreError| refuse(path, error))?;
    Ok(conn)
}

/// A connection that only reads.
pub(crate) fn connect_reader(path: &Path, options: &Options) -> Result<Connection, OpenError> {
    let flags = OpenFlags::SQLITE_OPEN_READ_ONLY | OpenFlags::SQLITE_OPEN_NO_MUTEX;
    (|| {
        let conn = with_flags(path, options, flags)?;
        conn.busy_timeout(BUSY_WAIT)?;
        set(&conn, "query_only = ON")?;
        set(&conn, "temp_store = MEMORY")?;
        Ok(conn)
    })()
    .map_err(|error: StoreError| refuse(path, error))
}

fn with_flags(path: &Path, options: &Options, flags: OpenFlags) -> rusqlite::Result<Connection> {
    match &options.vfs {
        Some(vfs) => Connection::open_with_flags_and_vfs(path, flags, vfs.as_str()),
        None => Connection::open_with_flags(path, flags),
    }
}

/// What SQLite would take for an empty database, or not for one at all, is not ours to overwrite.
fn look(path: &Path, length: u64) -> Result<(), OpenError> {
    let io = |source| OpenError::Io { path: path.into(), source };
    let mut head = Vec::new();
    File::open(path).map_err(io)?.take(100).read_to_end(&mut head).map_err(io)?;
    if head.len() < 100 {
        return Err(OpenError::Corrupt {
            path: path.into(),
            detail: format!("it is cut off at {length} bytes"),
        });
    }
    if !head.starts_with(b"SQLite format 3\0") {
        return Err(OpenError::NotAStore { path: path.into(), detail: "it is no SQLite database".into() });
    }
    // A log may hold the pages the file lacks; without one the file must be as long as it says it is.
    let logged = std::fs::metadata(beside(path, "-wal")).is_ok_and(|log| log.len() > 0);
    let page = match u64::from(u16::from_be_bytes([head[16], head[17]])) {
        1 => 65536,
        size => size,
    };
    let whole = u64::from(u32::from_be_bytes([head[28], head[29], head[30], head[31]])) * page;
    if !logged && length < whole {
        let detail = format!("it is cut off: {length} of {whole} bytes are there");
        return Err(OpenError::Corrupt { path: path.into(), detail });
    }
    Ok(())
}

/// Builds a new database beside its place and moves it there whole, so that a file cut short is never mistaken for
/// one that was just being made.
fn create(path: &Path, options: &Options) -> Result<(), OpenError> {
    let wal = beside(path, "-wal");
    if wal.exists() {
        let detail = format!("the database is gone, its log {} is there", wal.display());
        return Err(OpenError::Corrupt { path: path.into(), detail });
    }
    let draft = beside(path, ".new");
    for leftover in [draft.clone(), beside(&draft, "-wal"), beside(&draft, "-shm")] {
        match std::fs::remove_file(&leftover) {
            Err(source) if source.kind() != ErrorKind::NotFound => {
                return Err(OpenError::Io { path: leftover, source });
            }
            _ => {}
        }
    }
    let io = |source| OpenError::Io { path: path.into(), source };
    OpenOptions::new().write(true).create_new(true).mode(MODE).open(&draft).map_err(io)?;
    let conn = connect(&draft, options)?;
    fill(&conn, options).map_err(|error| refuse(path, error))?;
    // The last connection to close moves the log into the database and syncs it.
    conn.close().map_err(|(_, error)| refuse(path, error))?;
    File::open(&draft).and_then(|file| file.sync_all()).map_err(io)?;
    std::fs::rename(&draft, path).map_err(io)?;
    let parent = path.parent().filter(|parent| !parent.as_os_str().is_empty()).unwrap_or(Path::new("."));
    File::open(parent).and_then(|parent| parent.sync_all()).map_err(io)
}

/// Gives an empty database its tables.
pub(crate) fn make(conn: &Connection) -> Result<(), StoreError> {
    let transaction = Transaction::new_unchecked(conn, TransactionBehavior::Immediate)?;
    make_in(&transaction)?;
    Ok(transaction.commit()?)
}

fn make_in(transaction: &Transaction<'_>) -> Result<(), StoreError> {
    set(transaction, &format!("application_id = {APPLICATION_ID}"))?;
    MIGRATIONS.iter().enumerate().try_for_each(|(index, script)| advance(transaction, index, script))
}

/// All in one transaction: a crash leaves a database with everything or one that is filled again.
fn fill(conn: &Connection, options: &Options) -> Result<(), StoreError> {
    let transaction = Transaction::new_unchecked(conn, TransactionBehavior::Immediate)?;
    make_in(&transaction)?;
    let epoch = uuid::Builder::from_random_bytes((options.entropy)().to_be_bytes()).into_uuid();
    Meta { epoch, revision: 0, compacted: 0 }.save(&transaction)?;
    Ok(transaction.commit()?)
}

fn advance(transaction: &Transaction<'_>, index: usize, script: &str) -> Result<(), StoreError> {
    transaction.execute_batch(script)?;
    set(transaction, &format!("user_version = {}", index + 1))
}

/// Takes the schema to the last of these, each step in a transaction with the number that says it was made.
pub(crate) fn migrate(conn: &Connection, migrations: &[&str]) -> Result<(), StoreError> {
    let version = number(conn, "user_version")?;
    for (index, script) in migrations.iter().enumerate().skip(usize::try_from(version).unwrap_or(0)) {
        let transaction = conn.unchecked_transaction()?;
        advance(&transaction, index, script)?;
        transaction.commit()?;
    }
    Ok(())
}

/// Everything a start checks, in the order that gives the clearest refusal; nothing is changed before it passed.
fn inspect(conn: &Connection, path: &Path) -> Result<(), OpenError> {
    let fail = |error| refuse(path, error);
    let application = number(conn, "application_id").map_err(fail)?;
    if application != APPLICATION_ID {
        let detail = format!("it is another program's database (application_id {application:#x})");
        return Err(OpenError::NotAStore { path: path.into(), detail });
    }
    let (found, known) = (number(conn, "user_version").map_err(fail)?, MIGRATIONS.len() as i64);
    if found > known {
        return Err(OpenError::NewerSchema { path: path.into(), found, known });
    }
    let pages = number(conn, "page_count").map_err(fail)?;
    let small = pages * number(conn, "page_size").map_err(fail)? <= FULL_CHECK_BYTES;
    let check = if small { "integrity_check(1)" } else { "quick_check(1)" };
    let verdict: String = conn
        .query_row(&format!("PRAGMA {check}"), [], |row| row.get(0))
        .map_err(|error| fail(error.into()))?;
    if verdict != "ok" {
        return Err(OpenError::Corrupt { path: path.into(), detail: verdict });
    }
    migrate(conn, MIGRATIONS).map_err(fail)?;
    if tables(conn).map_err(fail)? != expected().map_err(fail)? {
        let detail = "its tables are not those this program makes".into();
        return Err(OpenError::Corrupt { path: path.into(), detail });
    }
    read::verify(conn).map_err(fail)
}

/// The text of the schema, which no check of SQLite's looks at: a damaged index definition would hide rows.
fn tables(conn: &Connection) -> Result<Vec<[Option<String>; 4]>, StoreError> {
    let mut statement = conn.prepare("SELECT type, name, tbl_name, sql FROM sqlite_schema ORDER BY name")?;
    let rows = statement.query_map([], |row| Ok([row.get(0)?, row.get(1)?, row.get(2)?, row.get(3)?]))?;
    Ok(rows.collect::<rusqlite::Result<_>>()?)
}

fn expected() -> Result<Vec<[Option<String>; 4]>, StoreError> {
    let fresh = Connection::open_in_memory()?;
    migrate(&fresh, MIGRATIONS)?;
    tables(&fresh)
}

pub(crate) fn beside(path: &Path, suffix: &str) -> PathBuf {
    let mut name = path.as_os_str().to_owned();
    name.push(suffix);
    name.into()
}

/// A pragma that sets; some of them answer with a row.
pub(crate) fn set(conn: &Connection, pragma: &str) -> Result<(), StoreError> {
    let mut statement = conn.prepare(&format!("PRAGMA {pragma}"))?;
    let mut rows = statement.query([])?;
    while rows.next()?.is_some() {}
    Ok(())
}

pub(crate) fn number(conn: &Connection, pragma: &str) -> Result<i64, StoreError> {
    Ok(conn.query_row(&format!("PRAGMA {pragma}"), [], |row| row.get(0))?)
}

/// Says why this file is not opened.
pub(crate) fn refuse(path: &Path, error: impl Into<StoreError>) -> OpenError {
    use rusqlite::ErrorCode::{DatabaseCorrupt, DiskFull, NotADatabase};
    let path = path.to_path_buf();
    match error.into() {
        StoreError::DiskFull => OpenError::DiskFull { path },
        StoreError::Corrupt { detail } => OpenError::Corrupt { path, detail },
        StoreError::Backend(source) => match source.downcast_ref::<rusqlite::Error>() {
            Some(error) if is_full(error) => OpenError::DiskFull { path },
            Some(rusqlite::Error::SqliteFailure(failure, text)) => match failure.code {
                NotADatabase => {
                    OpenError::NotAStore { path, detail: "SQLite does not know its header".into() }
                }
                DiskFull => OpenError::DiskFull { path },
                DatabaseCorrupt => {
                    OpenError::Corrupt { path, detail: text.clone().unwrap_or_else(|| failure.to_string()) }
                }
                _ => {
                    OpenError::Sqlite { path, source: rusqlite::Error::SqliteFailure(*failure, text.clone()) }
                }
            },
            _ => OpenError::Corrupt { path, detail: source.to_string() },
        },
        other => OpenError::Corrupt { path, detail: other.to_string() },
    }
}
