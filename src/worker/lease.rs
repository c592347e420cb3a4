//! Builders whose folders a worker must keep, for a build of them runs there.
//!
//! A reload may remove a builder, move its folder or remove the worker, while a build goes on between two commands. A
//! build holds a lease on its builder from before it begins; as long as it does, the worker is told the folder of that
//! build's own definition.

use std::collections::BTreeMap;

use tokio::sync::watch;

use crate::protocol::message::BuilderFolder;

/// The leases on the builders of one link.
#[derive(Clone, Debug)]
pub(super) struct Leases(watch::Sender<Leased>);

/// The folders that are leased, each with how many hold it.
pub(super) type Leased = BTreeMap<BuilderFolder, u32>;

/// Keeps a builder's folder as it is, until it is dropped.
#[derive(Debug)]
pub struct Lease {
    leases: Leases,
    folder: BuilderFolder,
}

impl Leases {
    pub(super) fn new() -> Self {
        Self(watch::Sender::new(Leased::new()))
    }

    pub(super) fn take(&self, folder: BuilderFolder) -> Lease {
        self.0.send_modify(|leases| *leases.entry(folder.clone()).or_default() += 1);
        Lease { leases: self.clone(), folder }
    }

    /// Whether no build holds a lease.
    pub(super) fn is_empty(&self) -> bool {
        self.0.borrow().is_empty()
    }

    /// Tells when a lease was taken or given back.
    pub(super) fn watch(&self) -> watch::Receiver<Leased> {
        self.0.subscribe()
    }

    /// What a worker is to be told: `wanted`, but leased builders with the folder that is leased.
    pub(super) fn apply(&self, wanted: &[BuilderFolder]) -> Vec<BuilderFolder> {
        let leases = self.0.borrow();
        let mut all: BTreeMap<&str, &BuilderFolder> =
            wanted.iter().map(|folder| (folder.builder.as_ref(), folder)).collect();
        all.extend(leases.keys().map(|folder| (folder.builder.as_ref(), folder)));
        all.into_values().cloned().collect()
    }
}

impl Drop for Lease {
    fn drop(&mut self) {
        self.leases.0.send_modify(|leases| {
            if let Some(count) = leases.get_mut(&self.folder) {
                *count -= 1;
                if *count == 0 {
                    leases.remove(&self.folder);
                }
            }
        });
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn folders(pairs: &[(&str, &str)]) -> Vec<BuilderFolder> {
        pairs.iter().map(|(builder, folder)| at(builder, folder)).collect()
    }

    fn at(builder: &str, folder: &str) -> BuilderFolder {
        BuilderFolder { builder: builder.into(), folder: folder.to_owned() }
    }

    #[test]
    fn a_leased_builder_keeps_its_folder_until_the_last_lease_is_given_back() {
        let leases = Leases::new();
        let wanted = folders(&[("moved", "new"), ("new", "new")]);
        assert_eq!(leases.apply(&wanted), wanted);
        let first = leases.take(at("gone", "gone"));
        let second = leases.take(at("gone", "gone"));
        let moved = leases.take(at("moved", "old"));
        let kept = folders(&[("gone", "gone"), ("moved", "old"), ("new", "new")]);
        assert_eq!(leases.apply(&wanted), kept);
        drop((first, moved));
        assert_eq!(leases.apply(&wanted), folders(&[("gone", "gone"), ("moved", "new"), ("new", "new")]));
        drop(second);
        assert_eq!(leases.apply(&wanted), wanted);
    }
}
