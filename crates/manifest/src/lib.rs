//! Manifests as text: the only crate that reads or writes YAML.
//!
//! - [`decode`] turns a stream of YAML or JSON documents into [`Document`]s, strictly: duplicate keys, keys that are
//!   no strings, alias bombs, `<<`, tags, NaN and deep nesting are refused, each where it stands in the text;
//! - [`locate`] finds the piece of text behind a field path, so that an error found much later (by a type, by the
//!   server) still points into the file;
//! - [`Diagnostic`] shows such an error: file, line, column, the line itself, a caret, the fix;
//! - [`load_paths`] reads files, folders and stdin; [`suggest`] guesses what was meant; [`emit`] writes YAML that
//!   readers of YAML 1.1 and 1.2 understand alike.
//!
//! Absent on purpose: knowledge of any kind's fields (that is `drover-types`), the network, and every conversion that
//! would change a value on its way through.

mod decode;
mod diagnostic;
mod emit;
mod field_path;
mod identity;
mod load;
mod locate;
mod render;
mod stream;
mod strict;
mod suggest;

pub use decode::{Document, Limits, decode, decode_bytes, decode_value};
pub use diagnostic::{Diagnostic, Location, Severity};
pub use emit::{emit, emit_all};
pub use field_path::{FieldPath, Segment};
pub use load::{LoadError, Recursion, SourceFile, load_paths};
pub use locate::{locate, locate_key};
pub use suggest::suggest;
