//! Workers that are started on demand, as the operator defined them: what all share. Each backend has a file.
//!
//! # Laws
//! - Reading a definition asks nobody: no cloud, no engine, no hypervisor, no file.
//! - All that an instance is made from is part of the definition, so that a reload sees each change of it.
//!
//! # Not here
//! Starting and stopping instances.

use std::time::Duration;

use crate::definition::{
    password::Passwords,
    plan::{Cost, FieldChange, changes},
    problem::Problem,
    record::{Record, Value},
    render::Text,
};

mod address;
mod docker;
mod ec2;
mod late;
mod laws;
mod libvirt;
mod openstack;
mod script;
mod words;

pub use address::MasterAddress;
pub use docker::{DockerDefinition, DockerImage, DockerTls, Encoding, PullPolicy, Recipe, Volume};
pub use ec2::{
    Credentials, Ebs, Ec2Definition, Ec2Device, Ec2DeviceKind, Image, LocationPattern, Network, Pricing,
    Session,
};
pub use late::Late;
pub use laws::NOT_STARTED;
pub(in crate::definition) use laws::{not_started, shared_parts, without_a_port};
pub use libvirt::LibVirtDefinition;
pub use openstack::{Auth, BlockDevice, Destination, NovaVersion, OpenStackDefinition, Source};
pub use script::ScriptDefinition;

/// How long an idle instance is kept. Idle is one that runs no build.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum IdlePolicy {
    /// It ends with its build.
    StopAtOnce,
    /// It waits this long for another build.
    StopAfter(Duration),
    /// It ends with the master, or when it is taken out of the configuration.
    KeepUntilShutdown,
}

/// A worker that is started on demand.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct LatentDefinition {
    /// What an instance must know, one of them; made anew for each instance if absent.
    pub passwords: Option<Passwords>,
    /// How long an idle instance is kept.
    pub build_wait_timeout: IdlePolicy,
    /// How long an instance may take, from the order to start it until its worker has attached.
    pub attach_timeout: Duration,
    /// How often an instance is looked at until its worker has attached.
    pub check_instance_interval: Duration,
    /// What starts it.
    pub backend: Backend,
}

/// What starts the instances of a worker.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Backend {
    /// Amazon's EC2.
    Ec2(Box<Ec2Definition>),
    /// A hypervisor, through libvirt.
    LibVirt(LibVirtDefinition),
    /// Nova, OpenStack's.
    OpenStack(Box<OpenStackDefinition>),
    /// An engine of Docker.
    Docker(Box<DockerDefinition>),
    /// Functions of the configuration.
    Script(ScriptDefinition),
}

impl IdlePolicy {
    /// The policy of a span: none at all ends an instance at once.
    pub const fn after(span: Duration) -> Self {
        if span.is_zero() { Self::StopAtOnce } else { Self::StopAfter(span) }
    }
}

impl LatentDefinition {
    /// What starts on demand, from its record and its passwords; what is wrong goes to `problems`.
    pub(in crate::definition) fn from_record(
        record: &Record,
        label: &str,
        passwords: Option<Passwords>,
        problems: &mut Vec<Problem>,
    ) -> Option<Self> {
        let known = problems.len();
        let mut complaints = Complaints { label, record, problems };
        complaints.empty_texts(record, "");
        let backend = match record.constructor.name {
            "EC2LatentWorker" => {
                Ec2Definition::from_record(record, &mut complaints).map(|ec2| Backend::Ec2(Box::new(ec2)))
            }
            "LibVirtWorker" => LibVirtDefinition::from_record(record, &mut complaints).map(Backend::LibVirt),
            "OpenStackLatentWorker" => OpenStackDefinition::from_record(record, &mut complaints)
                .map(|openstack| Backend::OpenStack(Box::new(openstack))),
            "DockerLatentWorker" => DockerDefinition::from_record(record, &mut complaints)
                .map(|docker| Backend::Docker(Box::new(docker))),
            "LatentWorker" => ScriptDefinition::from_record(record).map(Backend::Script),
            other => unreachable!("the table of options has no latent worker called {other}"),
        };
        if let (Some(passwords), Some(Backend::Docker(_) | Backend::LibVirt(_))) = (&passwords, &backend)
            && passwords.handed_over().is_none()
        {
            complaints.tell(
                "its password is hashed, but a new instance has to be told it",
                Some("leave `password` out: each instance gets one of its own"),
            );
        }
        let is_well = problems.len() == known;
        backend.filter(|_| is_well).map(|backend| Self {
            passwords,
            build_wait_timeout: record.idle("build_wait_timeout").unwrap_or(IdlePolicy::StopAtOnce),
            attach_timeout: record.duration("attach_timeout").unwrap_or_default(),
            check_instance_interval: record.duration("check_instance_interval").unwrap_or_default(),
            backend,
        })
    }

    /// The constructor that makes it.
    pub const fn class(&self) -> &'static str {
        match self.backend {
            Backend::Ec2(_) => "EC2LatentWorker",
            Backend::LibVirt(_) => "LibVirtWorker",
            Backend::OpenStack(_) => "OpenStackLatentWorker",
            Backend::Docker(_) => "DockerLatentWorker",
            Backend::Script(_) => "LatentWorker",
        }
    }

    /// The options in which `new`, of the same class, differs.
    pub(in crate::definition) fn changes(&self, new: &Self) -> Vec<FieldChange> {
        let mut out = changes!(self, new;
            "build_wait_timeout" build_wait_timeout InPlace,
            "attach_timeout" attach_timeout InPlace,
            "check_instance_interval" check_instance_interval InPlace,
        );
        // An instance keeps the password that it was started with.
        if self.passwords != new.passwords {
            out.push(FieldChange::hidden("password", Cost::WhenIdle));
        }
        match (&self.backend, &new.backend) {
            (Backend::Ec2(old), Backend::Ec2(new)) => out.extend(old.changes(new)),
            (Backend::LibVirt(old), Backend::LibVirt(new)) => out.extend(old.changes(new)),
            (Backend::OpenStack(old), Backend::OpenStack(new)) => out.extend(old.changes(new)),
            (Backend::Docker(old), Backend::Docker(new)) => out.extend(old.changes(new)),
            (Backend::Script(old), Backend::Script(new)) => out.extend(old.changes(new)),
            _ => {}
        }
        out
    }
}

/// Gathers what is wrong with one worker.
struct Complaints<'a> {
    /// What each begins with: `worker "bot1"`.
    label: &'a str,
    record: &'a Record,
    problems: &'a mut Vec<Problem>,
}

impl Complaints<'_> {
    fn tell(&mut self, text: &str, hint: Option<&str>) {
        let text = format!("{}: {text}", self.label);
        let problem = Problem::error(self.record.place.clone(), text).hint(hint.map(ToOwned::to_owned));
        self.problems.push(problem);
    }

    /// Takes what is well, and tells what is not: ``: `uri` …``.
    fn take<T>(&mut self, option: &str, read: Result<T, String>) -> Option<T> {
        read.inspect_err(|why| self.tell(&format!("`{option}` {why}"), None)).ok()
    }

    /// An empty text says nothing, unless it is what stands for an option that was not given.
    fn empty_texts(&mut self, record: &Record, prefix: &str) {
        for (name, value) in &record.values {
            match value {
                Value::Text(Text::Plain(text)) if text.is_empty() && *name != "name" && *name != "target" => {
                    self.tell(&format!("`{prefix}{name}` is empty"), None);
                }
                Value::Texts(texts) if texts.iter().any(|text| *text == Text::Plain(String::new())) => {
                    self.tell(&format!("`{prefix}{name}` holds an empty text"), None);
                }
                Value::Record(inner) => self.empty_texts(inner, &format!("{prefix}{name}.")),
                Value::Objects(inner) => {
                    for (index, inner) in (1..).zip(inner) {
                        self.empty_texts(inner, &format!("{prefix}{name}[{index}]."));
                    }
                }
                _ => {}
            }
        }
    }
}
