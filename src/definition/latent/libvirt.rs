//! A worker on a virtual machine of libvirt.

use std::path::PathBuf;

use super::{Complaints, MasterAddress, words::beginning};
use crate::definition::{
    plan::{Cost, FieldChange, changes},
    record::Record,
};

/// What a machine of libvirt is made from.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct LibVirtDefinition {
    /// The disk that is made at each start.
    pub hd_image: Option<PathBuf>,
    /// What it begins as; only with `hd_image`.
    pub base_image: Option<PathBuf>,
    /// The hypervisor.
    pub uri: String,
    /// The description of a domain that exists only while it runs; if absent, the defined one that is called like the
    /// worker.
    pub xml: Option<String>,
    /// Where the machine finds the master.
    pub master: Option<MasterAddress>,
    /// Whether the disk holds only what differs from `base_image`.
    pub cheap_copy: bool,
    /// Whether the machine is asked to shut down before its power is cut.
    pub graceful_shutdown: bool,
}

impl LibVirtDefinition {
    pub(super) fn from_record(record: &Record, complaints: &mut Complaints<'_>) -> Option<Self> {
        let hd_image = record.text("hd_image");
        let base_image = record.text("base_image");
        if base_image.is_some() && hd_image.is_none() {
            complaints.tell("`base_image` is copied to `hd_image`, which is missing", None);
        }
        let uri = record.text("uri")?;
        if let Err((why, hint)) = check_uri(&uri) {
            complaints.tell(&format!("`uri` {why}"), Some(&hint));
        }
        let xml = record.text("xml");
        if xml.as_ref().is_some_and(|xml| !xml.is_empty() && !xml.trim_start().starts_with('<')) {
            complaints.tell("`xml` takes the description itself, which begins with `<domain`", None);
        }
        let master = record.text("masterFQDN");
        let master = master.and_then(|text| complaints.take("masterFQDN", MasterAddress::parse(&text)));
        Some(Self {
            hd_image: hd_image.map(Into::into),
            base_image: base_image.map(Into::into),
            uri,
            xml,
            master,
            cheap_copy: record.flag("cheap_copy"),
            graceful_shutdown: record.flag("graceful_shutdown"),
        })
    }

    pub(super) fn changes(&self, new: &Self) -> Vec<FieldChange> {
        let mut out = changes!(self, new;
            "hd_image" hd_image WhenIdle,
            "base_image" base_image WhenIdle,
            "uri" uri WhenIdle,
            "masterFQDN" master WhenIdle,
            "cheap_copy" cheap_copy WhenIdle,
            "graceful_shutdown" graceful_shutdown InPlace,
        );
        if self.xml != new.xml {
            let shown = |xml: &Option<String>| xml.as_deref().map_or_else(|| "None".to_owned(), beginning);
            out.push(FieldChange::new("xml", &shown(&self.xml), &shown(&new.xml), Cost::WhenIdle));
        }
        out
    }
}

/// Whether libvirt could take it: `driver[+transport]://[host]/path`; else why not, and what to write.
fn check_uri(uri: &str) -> Result<(), (String, String)> {
    const HINT: &str = "write `qemu:///system`, or `qemu+ssh://user@host/system`";
    let wrong = || (format!("takes a URI of libvirt, not {uri:?}"), HINT.to_owned());
    let (scheme, rest) = uri.split_once("://").ok_or_else(wrong)?;
    if scheme == "system" || scheme == "session" {
        // What Buildbot has as default; libvirt itself refuses it.
        return Err((format!("{uri:?} names no driver"), format!("did you mean `qemu:///{scheme}`?")));
    }
    let is_scheme = scheme.starts_with(|c: char| c.is_ascii_lowercase())
        && scheme.chars().all(|c| c.is_ascii_lowercase() || c.is_ascii_digit() || c == '+');
    let is_rest = rest.contains('/') && !rest.contains(|c: char| c.is_whitespace() || c.is_control());
    if is_scheme && is_rest { Ok(()) } else { Err(wrong()) }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn buildbots_own_default_is_no_uri_and_ours_is() {
        for good in
            ["qemu:///system", "qemu:///session", "qemu+ssh://me@host/system", "xen:///", "test:///default"]
        {
            assert_eq!(check_uri(good), Ok(()), "{good}");
        }
        let told = check_uri("system:///").unwrap_err();
        assert_eq!(told.1, "did you mean `qemu:///system`?");
        for bad in ["", "qemu", "qemu:/system", "QEMU:///system", "qemu://host", "qemu:///a b", ":///system"]
        {
            assert!(check_uri(bad).is_err(), "{bad:?}");
        }
    }
}
