//! From a Lua value to what JSON can hold, or to what becomes such in a build, as an option takes it.

use std::collections::BTreeMap;

use mlua::Value;

use super::{Reader, Taken, Wrong, because, taken};
use crate::{
    config::worth::{Read, Renderables, worth},
    definition::{Worth, options::OptionSpec},
    model::PropertyValue,
};

impl Reader<'_> {
    /// Whatever can be held.
    pub(super) fn worth(&self, spec: &OptionSpec, value: &Value, bytes: &mut usize) -> Taken<Worth> {
        let renderables = if spec.renderable { Renderables::Taken } else { Renderables::Refused };
        let read = worth(self.lua, self.session, value, renderables)?;
        Ok(match read {
            Ok(Read { worth, bytes: size, .. }) => {
                *bytes = bytes.saturating_add(size);
                Ok(worth)
            }
            Err(why) if why.is_empty() => Err(Wrong::Told),
            Err(why) => Err(Wrong::Because(why)),
        })
    }

    /// A table of names and values.
    pub(super) fn table(&self, spec: &OptionSpec, value: &Value, bytes: &mut usize) -> Taken<Worth> {
        Ok(match taken!(self.worth(spec, value, bytes)?) {
            // An empty table is a list as well.
            Worth::Plain(PropertyValue::Array(list)) if list.is_empty() => {
                Ok(Worth::Plain(PropertyValue::Object(serde_json::Map::new())))
            }
            table @ (Worth::Plain(PropertyValue::Object(_)) | Worth::Table(_)) => Ok(table),
            _ => no_list(),
        })
    }

    /// The same, taken apart.
    pub(super) fn properties(
        &self,
        spec: &OptionSpec,
        value: &Value,
        bytes: &mut usize,
    ) -> Taken<BTreeMap<String, Worth>> {
        Ok(match taken!(self.worth(spec, value, bytes)?) {
            // An empty table is a list as well.
            Worth::Plain(PropertyValue::Array(list)) if list.is_empty() => Ok(BTreeMap::new()),
            Worth::Plain(PropertyValue::Object(map)) => {
                Ok(map.into_iter().map(|(name, value)| (name, value.into())).collect())
            }
            Worth::Table(table) => Ok(table),
            _ => no_list(),
        })
    }
}

fn no_list<T>() -> Result<T, Wrong> {
    because("takes a table of names and values, not a list".into())
}
