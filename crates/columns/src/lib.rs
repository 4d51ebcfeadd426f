//! What a table shows of each kind: pure functions from an object and the time to a cell.
//!
//! The server makes its Tables of them and the command its own, so that both show the same. Absent: laying a table
//! out, and kinds that users define, whose columns they write themselves.

pub mod ages;
pub mod fields;

mod assignment;
mod config;
mod event;
mod node;
mod run;
mod workload;

use drover_types::Kind;
use jiff::Timestamp;
use serde_json::Value;

use crate::fields::{name, time};

pub use event::last_seen;
pub use run::{duration as run_duration, exit as run_exit};
pub use workload::{placement, schedule, state as task_state};

/// One column.
#[derive(Clone, Copy)]
pub struct Column {
    /// Its name, in capitals.
    pub header: &'static str,
    /// Whether it is shown with `-o wide` only.
    pub wide: bool,
    /// What it shows.
    pub cell: fn(&Value, Timestamp) -> String,
}

const fn column(header: &'static str, cell: fn(&Value, Timestamp) -> String) -> Column {
    Column { header, wide: false, cell }
}

const fn wide(header: &'static str, cell: fn(&Value, Timestamp) -> String) -> Column {
    Column { header, wide: true, cell }
}

const NAME: Column = column("NAME", |object, _| name(object).to_owned());
const AGE: Column =
    column("AGE", |object, now| ages::since(time(object, "/metadata/creationTimestamp"), now));

/// The columns of a kind.
pub fn of(kind: Kind) -> &'static [Column] {
    match kind {
        Kind::Timer => &workload::TIMER,
        Kind::Task => &workload::TASK,
        Kind::Service => &workload::SERVICE,
        Kind::Assignment => &assignment::COLUMNS,
        Kind::Run => &run::COLUMNS,
        Kind::Node => &node::NODE,
        Kind::NodePool => &node::POOL,
        Kind::Event => &event::COLUMNS,
        Kind::Secret => &config::SECRET,
        Kind::ConfigMap => &config::CONFIG_MAP,
        Kind::ServiceAccount => &config::SERVICE_ACCOUNT,
        Kind::Namespace => &config::NAMESPACE,
        Kind::Lease => &config::LEASE,
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    /// 2026-08-01T12:00:00Z, when all tests of tables look at the clock.
    pub(crate) fn noon() -> Timestamp {
        "2026-08-01T12:00:00Z".parse().unwrap()
    }

    /// The wide table of one object, cut into its cells by header.
    pub(crate) fn check(kind: Kind, object: &Value, want: &[(&str, &str)]) {
        let got: Vec<(&str, String)> =
            of(kind).iter().map(|column| (column.header, (column.cell)(object, noon()))).collect();
        let got: Vec<(&str, &str)> = got.iter().map(|(header, cell)| (*header, cell.as_str())).collect();
        assert_eq!(got, want);
    }

    #[test]
    fn an_object_without_spec_and_status_still_has_a_row() {
        for kind in Kind::ALL {
            for column in of(kind) {
                let cell = (column.cell)(&json!({}), noon());
                assert!(!cell.contains('\n'), "{kind:?} {}: {cell:?}", column.header);
            }
        }
    }
}
