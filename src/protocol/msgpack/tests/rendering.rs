//! Values as text.

use std::fmt::Write as _;

use rmpv::Value;

/// As the `.txt` files have it.
pub(in crate::protocol::msgpack) fn rendered(value: &Value) -> String {
    let all = |items: Vec<String>| items.join(" ");
    match value {
        Value::Nil => "nil".into(),
        Value::F64(number) => format!("{number:.6}"),
        Value::String(text) => {
            let text = text.as_str().unwrap().replace('\\', "\\\\").replace('\n', "\\n").replace('\'', "\\'");
            format!("'{text}'")
        }
        Value::Binary(bytes) => {
            let hex = bytes.iter().fold(String::new(), |mut hex, byte| {
                write!(hex, "{byte:02x}").unwrap();
                hex
            });
            format!("<{hex}>")
        }
        Value::Array(items) => format!("[{}]", all(items.iter().map(rendered).collect())),
        Value::Map(pairs) => {
            let pair = |(key, value): &(Value, Value)| format!("{}: {}", rendered(key), rendered(value));
            format!("{{{}}}", all(pairs.iter().map(pair).collect()))
        }
        other => other.to_string(),
    }
}
