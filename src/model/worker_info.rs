//! What a worker says of itself when it attaches.

use std::collections::BTreeMap;

use serde_json::Value;

/// Facts about a worker, as it told them: `admin`, `host`, `version`, `system`, `basedir`, `numcpus`, `os_id` and kin.
///
/// Its environment is not among them in a master, which keeps none: that may hold secrets.
#[derive(Clone, Debug, Default, PartialEq, Eq, serde::Serialize, serde::Deserialize)]
#[serde(transparent)]
pub struct WorkerInfo(pub BTreeMap<String, Value>);

impl WorkerInfo {
    /// A fact that is text.
    pub fn text(&self, key: &str) -> Option<&str> {
        self.0.get(key).and_then(Value::as_str)
    }
}
