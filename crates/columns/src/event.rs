//! Columns of Event.

use jiff::Timestamp;
use serde_json::Value;

use crate::ages;
use crate::fields::{NONE, number, text, text_or_none, time};
use crate::{Column, NAME, column, wide};

pub(super) const COLUMNS: [Column; 7] = [
    column("LAST SEEN", seen),
    column("TYPE", |object, _| text_or_none(object, "/type")),
    column("REASON", |object, _| text_or_none(object, "/reason")),
    column("OBJECT", |object, _| self::object(object)),
    column("MESSAGE", |object, _| text(object, "/message").trim().to_owned()),
    wide("SOURCE", |object, _| source(object)),
    wide("NAME", NAME.cell),
];

/// When it last happened.
pub fn last_seen(event: &Value) -> Option<Timestamp> {
    [
        "/series/lastObservedTime",
        "/lastTimestamp",
        "/eventTime",
        "/firstTimestamp",
        "/metadata/creationTimestamp",
    ]
    .iter()
    .find_map(|pointer| time(event, pointer))
}

fn seen(event: &Value, now: Timestamp) -> String {
    let last = ages::since(last_seen(event), now);
    match number(event, "/series/count").or_else(|| number(event, "/count")) {
        Some(count @ 2..) => {
            let first = time(event, "/firstTimestamp").or_else(|| time(event, "/eventTime"));
            format!("{last} (x{count} over {})", ages::since(first, now))
        }
        _ => last,
    }
}

/// What it is about.
fn object(event: &Value) -> String {
    match (text(event, "/involvedObject/kind"), text(event, "/involvedObject/name")) {
        ("", "") => NONE.to_owned(),
        (kind, name) => format!("{}/{name}", kind.to_ascii_lowercase()),
    }
}

fn source(event: &Value) -> String {
    let component = match text(event, "/reportingComponent") {
        "" => text_or_none(event, "/source/component"),
        component => component.to_owned(),
    };
    match text(event, "/source/host") {
        "" => component,
        host => format!("{component}, {host}"),
    }
}

#[cfg(test)]
mod tests {
    use drover_types::Kind;
    use serde_json::json;

    use crate::tests::check;

    #[test]
    fn an_event_says_how_often_and_since_when() {
        let event = json!({
            "metadata": {"name": "beat.1"}, "involvedObject": {"kind": "Timer", "name": "beat"},
            "type": "Warning", "reason": "Missed", "message": "two ticks\n", "count": 4,
            "firstTimestamp": "2026-08-01T11:00:00Z", "lastTimestamp": "2026-08-01T11:59:50Z",
            "source": {"component": "agent", "host": "a"},
        });
        check(
            Kind::Event,
            &event,
            &[
                ("LAST SEEN", "10s (x4 over 60m)"),
                ("TYPE", "Warning"),
                ("REASON", "Missed"),
                ("OBJECT", "timer/beat"),
                ("MESSAGE", "two ticks"),
                ("SOURCE", "agent, a"),
                ("NAME", "beat.1"),
            ],
        );
    }

    #[test]
    fn an_event_that_goes_on_counts_in_its_series() {
        let event = json!({
            "metadata": {"name": "beat.1"}, "eventTime": "2026-08-01T11:00:00.000000Z", "count": 0,
            "series": {"count": 3, "lastObservedTime": "2026-08-01T11:59:55.000000Z"},
        });
        assert_eq!((super::COLUMNS[0].cell)(&event, crate::tests::noon()), "5s (x3 over 60m)");
    }
}
