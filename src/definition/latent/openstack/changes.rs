//! What of a server of OpenStack a reload changes, and how people read it.

use std::collections::BTreeMap;

use super::{
    Auth, BlockDevice, DESTINATIONS, Destination, NovaVersion, OpenStackDefinition, SOURCES, Source,
};
use crate::definition::{
    plan::{Cost, FieldChange, changes},
    secret::SecretText,
    shown::Shown,
};

impl OpenStackDefinition {
    /// A server that runs keeps what it was made from.
    pub(in crate::definition::latent) fn changes(&self, new: &Self) -> Vec<FieldChange> {
        let mut out = changes!(self, new;
            "flavor" flavor WhenIdle,
            "image" image WhenIdle,
            "block_devices" block_devices WhenIdle,
            "region" region WhenIdle,
            "meta" meta WhenIdle,
            "client_version" client_version InPlace,
        );
        // What a server is told when it boots often holds a password.
        if self.nova_args != new.nova_args {
            out.push(FieldChange::hidden("nova_args", Cost::WhenIdle));
        }
        if self.auth != new.auth {
            out.extend(self.auth.changes(&new.auth));
        }
        out
    }
}

impl Auth {
    /// The master asks as the new one from now on, also for what runs.
    fn changes(&self, new: &Self) -> Vec<FieldChange> {
        let mut out = Vec::new();
        let (was, is) = (self.by_option(), new.by_option());
        for (option, value) in &is {
            if was.get(option) != Some(value) {
                out.push(FieldChange::hidden(option, Cost::InPlace));
            }
        }
        let gone = was.keys().filter(|option| !is.contains_key(*option));
        out.extend(gone.map(|option| FieldChange::hidden(option, Cost::InPlace)));
        out
    }

    fn by_option(&self) -> BTreeMap<&'static str, Vec<(&str, &SecretText)>> {
        match self {
            Self::Password { auth_url, username, password, project, user_domain, project_domain } => [
                ("os_auth_url", Some(auth_url)),
                ("os_username", Some(username)),
                ("os_password", Some(password)),
                ("os_tenant_name", project.as_ref()),
                ("os_user_domain", user_domain.as_ref()),
                ("os_project_domain", project_domain.as_ref()),
            ]
            .into_iter()
            .filter_map(|(option, value)| Some((option, vec![("", value?)])))
            .collect(),
            Self::Arguments(arguments) => {
                let all = arguments.iter().map(|(name, value)| (name.as_str(), value)).collect();
                BTreeMap::from([("os_auth_args", all)])
            }
        }
    }
}

impl Shown for NovaVersion {
    fn shown(&self) -> String {
        self.minor.map_or_else(|| "\"2\"".into(), |minor| format!("\"2.{minor}\""))
    }
}

impl Shown for Source {
    fn shown(&self) -> String {
        shown_word(self, &SOURCES)
    }
}

impl Shown for Destination {
    fn shown(&self) -> String {
        shown_word(self, &DESTINATIONS)
    }
}

impl Shown for BlockDevice {
    fn shown(&self) -> String {
        let size = self.volume_size_gib.as_ref().map(|size| format!(", volume_size = {}", size.shown()));
        format!(
            "{{ uuid = {}, source_type = {}, destination_type = {}, device_name = {}, delete_on_termination = {}, \
             boot_index = {}{} }}",
            Shown::shown(&self.uuid),
            self.source.shown(),
            self.destination.shown(),
            Shown::shown(&self.device_name),
            self.delete_on_termination.shown(),
            self.boot_index.shown(),
            size.unwrap_or_default(),
        )
    }
}

fn shown_word<T: PartialEq>(value: &T, words: &[(&'static str, T)]) -> String {
    let found = words.iter().find(|(_, known)| known == value);
    format!("{:?}", found.expect("each value has its word").0)
}
