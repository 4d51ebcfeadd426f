//! Values are secrets for all the store knows: `Debug` tells how long they are, and no more.

use std::fmt::{Debug, Formatter, Result};

use crate::{ChangeKind, Encoded, KeyValue, Object, Op};

struct Length(usize);

impl Debug for Length {
    fn fmt(&self, f: &mut Formatter<'_>) -> Result {
        write!(f, "<{} bytes>", self.0)
    }
}

impl Debug for KeyValue {
    fn fmt(&self, f: &mut Formatter<'_>) -> Result {
        let Self { key, value, create_revision, mod_revision } = self;
        f.debug_struct("KeyValue")
            .field("key", key)
            .field("value", &Length(value.len()))
            .field("create_revision", create_revision)
            .field("mod_revision", mod_revision)
            .finish()
    }
}

impl Debug for Op {
    fn fmt(&self, f: &mut Formatter<'_>) -> Result {
        match self {
            Self::Put { key, value } => {
                f.debug_struct("Put").field("key", key).field("value", &Length(value.len())).finish()
            }
            Self::Delete { key } => f.debug_struct("Delete").field("key", key).finish(),
        }
    }
}

impl Debug for ChangeKind {
    fn fmt(&self, f: &mut Formatter<'_>) -> Result {
        match self {
            Self::Put { value } => f.debug_struct("Put").field("value", &Length(value.len())).finish(),
            Self::Delete { last } => f.debug_struct("Delete").field("last", &Length(last.len())).finish(),
        }
    }
}

impl Debug for Object {
    fn fmt(&self, f: &mut Formatter<'_>) -> Result {
        let Self { key, mod_revision, create_revision, bytes, event: _ } = self;
        f.debug_struct("Object")
            .field("key", key)
            .field("mod_revision", mod_revision)
            .field("create_revision", create_revision)
            .field("bytes", &Length(bytes.len()))
            .finish_non_exhaustive()
    }
}

impl Debug for Encoded {
    fn fmt(&self, f: &mut Formatter<'_>) -> Result {
        f.debug_struct("Encoded").field("bytes", &Length(self.bytes.len())).finish_non_exhaustive()
    }
}

#[cfg(test)]
mod tests {
    use bytes::Bytes;

    use super::*;
    use crate::{Commit, Txn, TxnOutcome};

    #[test]
    fn no_value_shows_in_debug() {
        let secret = || Bytes::from_static(b"hunter2");
        let change = |kind| crate::Change { key: Bytes::from_static(b"k"), create_revision: 1, kind };
        let held =
            KeyValue { key: secret().slice(..0), value: secret(), create_revision: 1, mod_revision: 1 };
        let changes =
            vec![change(ChangeKind::Put { value: secret() }), change(ChangeKind::Delete { last: secret() })];
        let object = Object {
            key: Bytes::new(),
            mod_revision: 1,
            create_revision: 1,
            bytes: secret(),
            event: secret(),
        };
        let shown = [
            format!("{:?}", Txn::new().put("k", secret())),
            format!("{:?}", TxnOutcome::Conflict { key: Bytes::new(), current: Some(held) }),
            format!("{:?}", Commit { revision: 1, changes }),
            format!("{object:?} {:?}", Encoded { bytes: secret(), event: secret() }),
        ];
        for text in shown {
            assert!(!text.contains("hunter2") && text.contains("<7 bytes>"), "{text}");
        }
    }
}
