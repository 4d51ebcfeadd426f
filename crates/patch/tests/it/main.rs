//! What patches and applies make of objects.

mod conflicts;
mod generated;
mod hostile;
mod json_patches;
mod kubectl;
mod laws;
mod managed_fields;
mod pruning;
mod setting;
mod shapes;
mod strategic;
mod updates;
mod upgrade;
