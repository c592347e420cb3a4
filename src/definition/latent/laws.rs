//! The laws over all workers that are started on demand, and over these and the ports.

use std::{
    collections::{BTreeMap, btree_map::Entry},
    sync::Arc,
};

use super::{Backend, LatentDefinition};
use crate::definition::{
    ListenerDefinition, Problem, WorkerDefinition, WorkerKind,
    listener::{ListenerId, Protocol},
};

/// The kind of the warning of a worker whose instances this version does not start.
pub const NOT_STARTED: &str = "latent worker that is not started";

fn latent<'a>(
    workers: impl Iterator<Item = &'a WorkerDefinition>,
) -> impl Iterator<Item = (&'a WorkerDefinition, &'a LatentDefinition)> {
    workers.filter_map(|worker| match &worker.kind {
        WorkerKind::Latent(latent) => Some((worker, &**latent)),
        WorkerKind::Remote { .. } | WorkerKind::Local { .. } => None,
    })
}

/// Two workers that would take one container, or one disk, for their own.
pub(in crate::definition) fn shared_parts<'a>(
    workers: impl Iterator<Item = &'a WorkerDefinition>,
    problems: &mut Vec<Problem>,
) {
    let mut containers: BTreeMap<(String, String), &str> = BTreeMap::new();
    let mut disks: BTreeMap<(&str, &std::path::Path), &str> = BTreeMap::new();
    for (worker, latent) in latent(workers) {
        let name = worker.name.as_str();
        let (first, what, hint) = match &latent.backend {
            Backend::Docker(docker) => {
                let place = (docker.host.shown(), name.replace('_', "-"));
                let what = "its container would be called like that";
                (
                    entered(containers.entry(place), name),
                    what,
                    "in the name of a container `_` becomes `-`; rename one of them",
                )
            }
            Backend::LibVirt(libvirt) => {
                let Some(disk) = &libvirt.hd_image else { continue };
                let what = "its `hd_image` is that";
                (entered(disks.entry((&libvirt.uri, disk)), name), what, "give one of them another disk")
            }
            Backend::Ec2(_) | Backend::OpenStack(_) | Backend::Script(_) => continue,
        };
        if let Some(first) = first {
            let text = format!("worker {name:?}: {what} of worker {first:?}");
            problems.push(Problem::error(worker.place.clone(), text).hint(hint.to_owned()));
        }
    }
}

/// Who was there before, if somebody was.
fn entered<'a, K: Ord>(entry: Entry<'_, K, &'a str>, name: &'a str) -> Option<&'a str> {
    match entry {
        Entry::Occupied(first) => Some(*first.get()),
        Entry::Vacant(vacant) => {
            vacant.insert(name);
            None
        }
    }
}

/// Warns of workers that no port speaks to.
pub(in crate::definition) fn without_a_port<'a>(
    workers: impl Iterator<Item = &'a WorkerDefinition>,
    listeners: &BTreeMap<ListenerId, Arc<ListenerDefinition>>,
    problems: &mut Vec<Problem>,
) {
    for (worker, latent) in latent(workers) {
        let wanted = match &latent.backend {
            Backend::Docker(docker) => Some(docker.master_protocol),
            _ => None,
        };
        let has_port =
            listeners.keys().any(|listener| wanted.is_none_or(|wanted| listener.protocol == wanted));
        if has_port {
            continue;
        }
        let key = wanted.unwrap_or(Protocol::Pb).key();
        let name = worker.name.as_str();
        let text = match wanted {
            Some(_) => format!("worker {name:?}: its instances speak `{key}`, and there is no port for it"),
            None => format!("worker {name:?}: its instances have no port to connect to"),
        };
        let hint = format!("set `c.protocols.{key}`");
        problems.push(Problem::warning(worker.place.clone(), "worker that cannot log in", text).hint(hint));
    }
}

/// Says that no instance of these workers is started yet.
pub(in crate::definition) fn not_started<'a>(
    workers: impl Iterator<Item = &'a WorkerDefinition>,
    problems: &mut Vec<Problem>,
) {
    for (worker, latent) in latent(workers) {
        let text = format!(
            "worker {:?}: this version checks `{}` and does not start its instances yet",
            worker.name.as_str(),
            latent.class()
        );
        problems.push(Problem::warning(worker.place.clone(), NOT_STARTED, text));
    }
}
