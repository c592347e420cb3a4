//! What of a container a reload changes, and how people read it.

use super::{
    super::words::beginning, DockerDefinition, DockerImage, DockerTls, ENCODINGS, Encoding, PullPolicy,
    Recipe, Volume,
};
use crate::definition::{
    listener::Protocol,
    plan::{Cost, FieldChange, changes},
    render::Text,
    shown::{Shown, braces},
};

impl DockerDefinition {
    /// A container that runs keeps what it was made from.
    pub(in crate::definition::latent) fn changes(&self, new: &Self) -> Vec<FieldChange> {
        let mut out = changes!(self, new;
            "docker_host" host WhenIdle,
            "version" api_version WhenIdle,
            "tls" tls WhenIdle,
            "command" command WhenIdle,
            "volumes" volumes WhenIdle,
            "hostname" hostname WhenIdle,
            "hostconfig" host_config WhenIdle,
            "masterFQDN" master WhenIdle,
            "master_protocol" master_protocol WhenIdle,
            "followStartupLogs" follow_startup_logs InPlace,
        );
        let (was, is) = (self.pull, new.pull);
        // It is read at the next start.
        out.extend(FieldChange::between("autopull", &was.is_pulled(), &is.is_pulled(), Cost::InPlace));
        out.extend(FieldChange::between("alwaysPull", &was.is_always(), &is.is_always(), Cost::InPlace));
        out.extend(self.image.changes(&new.image));
        out
    }
}

impl PullPolicy {
    fn is_pulled(self) -> bool {
        self != Self::Never
    }

    fn is_always(self) -> bool {
        self == Self::Always
    }
}

impl DockerImage {
    fn name(&self) -> Option<&Text> {
        match self {
            Self::Named(name) => Some(name),
            Self::Built(recipe) => recipe.name.as_ref(),
        }
    }

    fn recipe(&self) -> Option<&Recipe> {
        match self {
            Self::Named(_) => None,
            Self::Built(recipe) => Some(recipe),
        }
    }

    fn changes(&self, new: &Self) -> Vec<FieldChange> {
        let mut out = Vec::new();
        let (was, is) = (self.name().cloned(), new.name().cloned());
        out.extend(FieldChange::between("image", &was, &is, Cost::WhenIdle));
        let (was, is) = (self.recipe(), new.recipe());
        let text = |recipe: Option<&Recipe>| match recipe.map(|recipe| &recipe.dockerfile) {
            None => "None".to_owned(),
            Some(Text::Plain(text)) => beginning(text),
            Some(text) => Shown::shown(text),
        };
        if was.map(|recipe| &recipe.dockerfile) != is.map(|recipe| &recipe.dockerfile) {
            out.push(FieldChange::new("dockerfile", &text(was), &text(is), Cost::WhenIdle));
        }
        if let (Some(old), Some(new)) = (was, is) {
            out.extend(changes!(old, new;
                "custom_context" custom_context WhenIdle,
                "encoding" encoding WhenIdle,
                "buildargs" build_args WhenIdle,
                "target" target WhenIdle,
            ));
        }
        out
    }
}

impl Shown for Volume {
    fn shown(&self) -> String {
        let modes = if self.modes.is_empty() { String::new() } else { format!(":{}", self.modes.join(",")) };
        format!("{:?}", format!("{}:{}{modes}", self.source, self.target))
    }
}

impl Shown for Encoding {
    fn shown(&self) -> String {
        let found = ENCODINGS.iter().find(|(_, known)| known == self);
        format!("{:?}", found.expect("each encoding has its word").0)
    }
}

impl Shown for Protocol {
    fn shown(&self) -> String {
        format!("{:?}", self.key())
    }
}

impl Shown for DockerTls {
    fn shown(&self) -> String {
        let (ca, client, verify) = match self {
            Self::Off => return "None".into(),
            Self::System => return "true".into(),
            Self::Files { ca, client, verify } => (ca, client, verify),
        };
        let files = [
            ("ca", ca.as_ref()),
            ("cert", client.as_ref().map(|(cert, _)| cert)),
            ("key", client.as_ref().map(|(_, key)| key)),
        ];
        let mut given: Vec<String> = files
            .into_iter()
            .filter_map(|(name, file)| Some(format!("{name} = {:?}", file?.display().to_string())))
            .collect();
        if !verify {
            given.push("verify = false".into());
        }
        braces(given.into_iter())
    }
}
