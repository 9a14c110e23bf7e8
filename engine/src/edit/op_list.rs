//! Operation lists: JSON such as `[{"op":"grow","label":1,"mm":3},{"op":"undo"}]`.

use std::collections::BTreeMap;

use serde::Serialize;
use serde_json::Value;

use super::{Delta, EditLabels, History, Op, Scene, apply};
use crate::event::Control;
use crate::words::of_serde;
use crate::{Error, ErrorKind, Result};

/// An entry of an operation list.
#[derive(Clone, Debug, PartialEq)]
pub enum ListedOp {
    /// An operation.
    Edit(Op),
    /// Undoes the last operation in effect.
    Undo,
    /// Redoes the operation that was undone last.
    Redo,
}

/// Result of an operation of a list.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct Outcome {
    /// Name of the operation, `undo` or `redo`.
    pub op: String,
    /// Voxels whose label changed.
    pub voxels_changed: usize,
    /// Smallest voxel index (i, j, k) and largest, inclusive, of the changed voxels.
    pub changed_box: Option<[[usize; 3]; 2]>,
    /// Voxels of every label after the operation.
    pub label_voxels: BTreeMap<u16, usize>,
    /// Volume of every label after the operation, in millilitres.
    pub label_volumes_ml: BTreeMap<u16, f64>,
}

/// Alternative names of keys, each with the current name.
const ALIASES: [(&str, &str); 1] = [("axis", "plane")];

/// Reads an operation list.
///
/// # Errors
/// An unknown operation or key, or a missing or invalid value. The error names the operation by its number, from 1.
pub fn parse(json: &str) -> Result<Vec<ListedOp>> {
    let list: Vec<Value> =
        serde_json::from_str(json).map_err(|why| Error::config("ops", "JSON", format!("expected a list: {why}")))?;
    let named = |n: usize, error: Error| in_operation(n, &error);
    list.iter().enumerate().map(|(n, value)| listed(value).map_err(|error| named(n, error))).collect()
}

fn listed(value: &Value) -> Result<ListedOp> {
    let Some(name) = value.get("op").and_then(Value::as_str).map(str::to_owned) else {
        return Err(Error::config("op", "missing", "an operation is an object with its name as \"op\""));
    };
    let given: Vec<String> = value.as_object().map(|fields| fields.keys().cloned().collect()).unwrap_or_default();
    if let Some((_, found)) = [("undo", ListedOp::Undo), ("redo", ListedOp::Redo)].into_iter().find(|(n, _)| *n == name)
    {
        check_keys(&given, &["op".to_owned()])?;
        return Ok(found);
    }
    let op = operation(value, &name)?;
    // Flattened fields keep serde from refusing unknown keys, so the keys are compared with those of the serialised operation.
    check_against(value, &serde_json::to_value(&op).unwrap_or_default())?;
    op.check()?;
    Ok(ListedOp::Edit(op))
}

/// Reads an operation. An error names the key with the wrong value, which serde does not: the key whose value is in serde's
/// message, and without which the message changes.
fn operation(value: &Value, name: &str) -> Result<Op> {
    let read = |value: &Value| serde_json::from_value::<Op>(value.clone()).map_err(|why| why.to_string());
    read(value).map_err(|why| {
        let quoted = match (why.split('"').nth(1), why.split('`').nth(1)) {
            (Some(text), _) => format!("\"{text}\""),
            (None, Some(other)) => other.to_owned(),
            (None, None) => "null".to_owned(),
        };
        let is_wrong = |key: &String, given: &Value| {
            let mut rest = value.clone();
            let removed = rest.as_object_mut().is_some_and(|fields| fields.remove(key).is_some());
            removed && given.to_string().contains(&quoted) && read(&rest).err().as_ref() != Some(&why)
        };
        let plain = of_serde(&why);
        let mut keys = value.as_object().into_iter().flatten().filter(|(key, _)| *key != "op");
        match keys.find(|(key, given)| !why.starts_with("missing field") && is_wrong(key, given)) {
            Some((key, wrong)) => Error::config(key, wrong, plain),
            None => Error::config("op", name, plain),
        }
    })
}

/// Checks recursively that every key is known.
fn check_against(given: &Value, known: &Value) -> Result<()> {
    match (given, known) {
        (Value::Object(given), Value::Object(known)) => {
            let keys = |fields: &serde_json::Map<String, Value>| fields.keys().cloned().collect::<Vec<_>>();
            check_keys(&keys(given), &keys(known))?;
            given.iter().try_for_each(|(key, value)| known.get(key).map_or(Ok(()), |known| check_against(value, known)))
        }
        (Value::Array(given), Value::Array(known)) => {
            given.iter().zip(known).try_for_each(|(given, known)| check_against(given, known))
        }
        _ => Ok(()),
    }
}

fn check_keys(given: &[String], known: &[String]) -> Result<()> {
    let is_alias = |key: &String| ALIASES.iter().any(|(alias, name)| key == alias && known.iter().any(|k| k == name));
    match given.iter().find(|key| !known.contains(key) && !is_alias(key)) {
        Some(key) => Err(Error::config(key, "given", format!("unknown key. Known: {}", known.join(", ")))),
        None => Ok(()),
    }
}

/// An error of operation `n`, counted from 0, with its number from 1.
fn in_operation(n: usize, error: &Error) -> Error {
    match error.kind() {
        ErrorKind::Config { field, value, why } => {
            Error::config(format!("operation {}: {field}", n + 1), value, why.clone())
        }
        other => Error::config(format!("operation {}", n + 1), "failed", other.to_string()),
    }
}

/// Runs the operations in order. Calls `done` with each one, its result and its change; an error of `done` ends the list.
///
/// An operation that changes nothing still counts as an edit for undo. Undo and redo without an edit do nothing.
///
/// # Errors
/// The error of an operation, with its number from 1. The previous operations stay applied.
pub fn run(
    list: &[ListedOp],
    labels: &mut EditLabels,
    history: &mut History,
    scene: &Scene<'_>,
    control: &Control,
    done: &mut dyn FnMut(&ListedOp, &Outcome, &Delta) -> Result<()>,
) -> Result<()> {
    for (n, listed) in list.iter().enumerate() {
        let failed = |error: Error| match error.kind() {
            ErrorKind::Cancelled => error,
            _ => in_operation(n, &error),
        };
        let delta = match listed {
            ListedOp::Edit(op) => {
                let delta = apply(op, labels, scene, control).map_err(failed)?;
                history.push(op.title(), &delta)?;
                Some(delta)
            }
            ListedOp::Undo => history.undo(labels)?,
            ListedOp::Redo => history.redo(labels)?,
        };
        let delta = delta.unwrap_or_else(|| Delta::empty(labels.dims()));
        let outcome = Outcome {
            op: listed.name().to_owned(),
            voxels_changed: delta.voxels(),
            changed_box: delta.bounds().map(|bounds| [bounds.min, bounds.max]),
            label_voxels: labels.voxel_counts().clone(),
            label_volumes_ml: labels.volumes_ml(),
        };
        done(listed, &outcome, &delta)?;
    }
    Ok(())
}

impl ListedOp {
    /// The name in operation lists.
    pub fn name(&self) -> &'static str {
        match self {
            Self::Edit(op) => op.name(),
            Self::Undo => "undo",
            Self::Redo => "redo",
        }
    }
}
