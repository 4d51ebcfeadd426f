//! Entries of `managedFields` in and out.

use jiff::Timestamp;
use serde_json::{Map, Value, json};

use super::{ManagerId, Managers, Operation, Owned};
use crate::fields::{FieldSet, FieldsError};
use crate::time;

/// Entries that are read.
const MAX_ENTRIES: usize = 10_000;

/// Why a list of managed fields cannot be read.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum ManagedFieldsError {
    /// It is no list.
    #[error("managedFields is not a list")]
    NotAList,
    /// It has more than 10,000 entries.
    #[error("managedFields has more than {MAX_ENTRIES} entries")]
    TooMany,
    /// A member of an entry has a value that it cannot have.
    #[error("managedFields[{index}].{member} cannot be read")]
    Member {
        /// The entry.
        index: usize,
        /// The member.
        member: &'static str,
    },
    /// The fields of an entry cannot be read.
    #[error("managedFields[{index}].fieldsV1 cannot be read")]
    Fields {
        /// The entry.
        index: usize,
        /// Why.
        source: FieldsError,
    },
}

pub(super) fn decode(value: &Value) -> Result<Managers, ManagedFieldsError> {
    let list = value.as_array().ok_or(ManagedFieldsError::NotAList)?;
    if list.len() > MAX_ENTRIES {
        return Err(ManagedFieldsError::TooMany);
    }
    let mut managers = Managers::default();
    for (index, entry) in list.iter().enumerate() {
        let (id, owned) = decode_entry(index, entry)?;
        managers.0.insert(id, owned);
    }
    Ok(managers)
}

fn decode_entry(index: usize, entry: &Value) -> Result<(ManagerId, Owned), ManagedFieldsError> {
    let wrong = |member| ManagedFieldsError::Member { index, member };
    let text = |member: &'static str| match &entry[member] {
        Value::Null => Ok(""),
        Value::String(text) => Ok(text.as_str()),
        _ => Err(wrong(member)),
    };
    let operation = match text("operation")? {
        "Apply" => Operation::Apply,
        "Update" => Operation::Update,
        _ => return Err(wrong("operation")),
    };
    let api_version = text("apiVersion")?;
    if api_version.is_empty() {
        return Err(wrong("apiVersion"));
    }
    if text("fieldsType")? != "FieldsV1" {
        return Err(wrong("fieldsType"));
    }
    let time = match text("time")? {
        "" => None,
        text => Some(text.parse::<Timestamp>().map_err(|_| wrong("time"))?),
    };
    let fields = match &entry["fieldsV1"] {
        Value::Null => FieldSet::new(),
        fields => FieldSet::from_v1(fields).map_err(|source| ManagedFieldsError::Fields { index, source })?,
    };
    let id = ManagerId {
        manager: text("manager")?.to_owned(),
        operation,
        api_version: (operation == Operation::Update).then(|| api_version.to_owned()),
        subresource: text("subresource")?.to_owned(),
    };
    Ok((id, Owned { api_version: api_version.to_owned(), time: time.map(time::whole_seconds), fields }))
}

pub(super) fn encode(managers: &Managers) -> Value {
    let mut entries: Vec<_> = managers.0.iter().collect();
    entries.sort_by_key(|(id, owned)| {
        let second = owned.time.map_or(0, Timestamp::as_second);
        (id.operation, second, &id.manager, &owned.api_version, &id.subresource)
    });
    let encoded = entries.into_iter().map(|(id, owned)| {
        let mut entry = Map::new();
        entry.insert("manager".into(), id.manager.clone().into());
        entry.insert("operation".into(), id.operation.name().into());
        entry.insert("apiVersion".into(), owned.api_version.clone().into());
        if let Some(time) = owned.time {
            entry.insert("time".into(), time::text(time).into());
        }
        entry.insert("fieldsType".into(), "FieldsV1".into());
        entry.insert("fieldsV1".into(), owned.fields.to_v1());
        if !id.subresource.is_empty() {
            entry.insert("subresource".into(), id.subresource.clone().into());
        }
        Value::Object(entry)
    });
    encoded.collect::<Vec<_>>().into()
}

/// What a body that is not an apply says of managed fields.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum Given {
    /// Nothing that counts: the stored ones stay.
    Nothing,
    /// Nobody shall own anything.
    Reset,
    /// These.
    Managers(Managers),
}

/// Reads what a body says of managed fields.
pub(crate) fn given(body: &Value) -> Given {
    let Some(value) = body.pointer("/metadata/managedFields") else { return Given::Nothing };
    if *value == json!([]) || *value == json!([{}]) {
        return Given::Reset;
    }
    match decode(value) {
        Ok(managers) if !managers.is_empty() => Given::Managers(managers),
        Ok(_) | Err(_) => Given::Nothing,
    }
}
