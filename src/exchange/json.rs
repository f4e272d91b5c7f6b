//! Cells of a JSON object: fields by name, fields within fields by a path with dots.

use serde_json::{Map, Value};

/// The text of a field, whatever its case: by its whole name, else by a path. `None` where there is none, or null.
///
/// # Errors
/// When it is an object, or a list of anything but plain values.
pub(super) fn text_of(object: &Map<String, Value>, path: &str) -> Result<Option<String>, String> {
    let value = match (field(object, path), path.split_once('.')) {
        (Some(value), _) => value,
        (None, Some((head, rest))) => match field(object, head) {
            Some(Value::Object(inner)) => return text_of(inner, rest),
            Some(_) | None => return Ok(None),
        },
        (None, None) => return Ok(None),
    };
    match value {
        Value::Array(items) => {
            let plain = items.iter().map(|item| plain(item).map(Option::unwrap_or_default));
            Ok(Some(plain.collect::<Result<Vec<_>, _>>()?.join(" ")))
        }
        Value::Null | Value::Bool(_) | Value::Number(_) | Value::String(_) | Value::Object(_) => {
            plain(value)
        }
    }
}

fn plain(value: &Value) -> Result<Option<String>, String> {
    match value {
        Value::Null => Ok(None),
        Value::Bool(flag) => Ok(Some(flag.to_string())),
        Value::Number(number) => Ok(Some(number.to_string())),
        Value::String(text) => Ok(Some(text.clone())),
        Value::Array(_) | Value::Object(_) => Err("expected a plain value".to_owned()),
    }
}

fn field<'a>(object: &'a Map<String, Value>, name: &str) -> Option<&'a Value> {
    object.get(name).or_else(|| {
        object.iter().find(|(key, _)| key.eq_ignore_ascii_case(name)).map(|(_, value)| value)
    })
}

/// The names of the fields, those one level down as paths.
pub(super) fn names(object: &Map<String, Value>) -> Vec<String> {
    let mut names = Vec::new();
    for (key, value) in object {
        match value {
            Value::Object(inner) => {
                names.extend(inner.keys().map(|within| format!("{key}.{within}")));
            }
            Value::Null
            | Value::Bool(_)
            | Value::Number(_)
            | Value::String(_)
            | Value::Array(_) => names.push(key.clone()),
        }
    }
    names
}
