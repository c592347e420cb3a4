//! Builders whose folders a worker must keep, for a build of them runs there.
//!
//! A reload may remove a builder, move its folder or remove the worker, while a build goes on between two commands. A
//! build holds a lease on its builder; as long as it does, the worker is told the folder with which the build began.

use std::{collections::BTreeMap, sync::Arc};

use tokio::sync::watch;

use crate::protocol::message::BuilderFolder;

/// The leases on the builders of one link.
#[derive(Clone, Debug)]
pub(super) struct Leases(watch::Sender<BTreeMap<Arc<str>, u32>>);

/// Keeps a builder's folder as it is, until it is dropped.
#[derive(Debug)]
pub struct Lease {
    leases: Leases,
    builder: Arc<str>,
}

impl Leases {
    pub(super) fn new() -> Self {
        Self(watch::Sender::new(BTreeMap::new()))
    }

    pub(super) fn take(&self, builder: Arc<str>) -> Lease {
        self.0.send_modify(|leases| *leases.entry(Arc::clone(&builder)).or_default() += 1);
        Lease { leases: self.clone(), builder }
    }

    /// Tells when a lease was taken or given back.
    pub(super) fn watch(&self) -> watch::Receiver<BTreeMap<Arc<str>, u32>> {
        self.0.subscribe()
    }

    /// What a worker is to be told: `wanted`, but leased builders as they were `told` before.
    pub(super) fn apply(&self, wanted: &[BuilderFolder], told: &[BuilderFolder]) -> Vec<BuilderFolder> {
        let leases = self.0.borrow();
        let kept = told.iter().filter(|folder| leases.contains_key(&folder.builder));
        let mut all: BTreeMap<&str, &BuilderFolder> =
            wanted.iter().map(|folder| (folder.builder.as_ref(), folder)).collect();
        all.extend(kept.map(|folder| (folder.builder.as_ref(), folder)));
        all.into_values().cloned().collect()
    }
}

impl Drop for Lease {
    fn drop(&mut self) {
        self.leases.0.send_modify(|leases| {
            if let Some(count) = leases.get_mut(&self.builder) {
                *count -= 1;
                if *count == 0 {
                    leases.remove(&self.builder);
                }
            }
        });
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn folders(pairs: &[(&str, &str)]) -> Vec<BuilderFolder> {
        let folder = |&(builder, folder): &(&str, &str)| BuilderFolder {
            builder: builder.into(),
            folder: folder.to_owned(),
        };
        pairs.iter().map(folder).collect()
    }

    #[test]
    fn a_leased_builder_keeps_its_folder_until_the_last_lease_is_given_back() {
        let leases = Leases::new();
        let told = folders(&[("gone", "gone"), ("idle", "idle"), ("moved", "old")]);
        let wanted = folders(&[("moved", "new"), ("new", "new")]);
        assert_eq!(leases.apply(&wanted, &told), wanted);
        let first = leases.take("gone".into());
        let second = leases.take("gone".into());
        let moved = leases.take("moved".into());
        let kept = folders(&[("gone", "gone"), ("moved", "old"), ("new", "new")]);
        assert_eq!(leases.apply(&wanted, &told), kept);
        drop((first, moved));
        assert_eq!(
            leases.apply(&wanted, &told),
            folders(&[("gone", "gone"), ("moved", "new"), ("new", "new")])
        );
        drop(second);
        assert_eq!(leases.apply(&wanted, &told), wanted);
    }
}
