//! What a table shows of each kind: pure functions from an object and the time to a cell.

mod assignment;
mod config;
mod custom;
mod event;
mod node;
mod run;
mod workload;

use drover_types::Kind;
use jiff::Timestamp;
use serde_json::Value;

use crate::ages;
use crate::fields::{name, time};

pub(crate) use custom::Custom;
pub(crate) use event::last_seen;
pub(crate) use run::{duration as run_duration, exit as run_exit};
pub(crate) use workload::{placement, schedule, state as task_state};

/// One column.
#[derive(Clone, Copy)]
pub(crate) struct Column {
    /// Its name, in capitals.
    pub(crate) header: &'static str,
    /// Whether it is shown with `-o wide` only.
    pub(crate) wide: bool,
    /// What it shows.
    pub(crate) cell: fn(&Value, Timestamp) -> String,
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
pub(crate) fn of(kind: Kind) -> &'static [Column] {
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
        Kind::Namespace => &config::NAMESPACE,
        Kind::Lease => &config::LEASE,
    }
}

#[cfg(test)]
pub(crate) mod tests {
    use serde_json::json;

    use super::*;
    use crate::table;

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
            let rows: Vec<String> = of(kind).iter().map(|column| (column.cell)(&json!({}), noon())).collect();
            let headers: Vec<&str> = of(kind).iter().map(|column| column.header).collect();
            assert!(table::whole(&headers, &[rows]).lines().count() == 2, "{kind:?}");
        }
    }
}
