//! Our own words, once as a text and once as a page.
//!
//! # Laws
//! - Both tell the same.
//! - In a page every text is escaped.

use std::fmt::Write as _;

use crate::{model::Timestamp, reporter::mail::text::Master};

/// Characters of what others say that are shown.
const SHOWN: usize = 200;

const LAW: &str = "a string takes all that is written to it";

/// A mail, before it has a form.
pub(super) struct Page {
    lead: String,
    /// Told before all else.
    pub(super) notes: Vec<String>,
    pub(super) sections: Vec<Section>,
    /// What is not told in full.
    pub(super) more: Option<String>,
    pub(super) closing: Vec<String>,
    title: String,
    url: Option<String>,
}

/// What is told of one thing.
pub(super) struct Section {
    pub(super) heading: String,
    pub(super) rows: Vec<(&'static str, String)>,
}

impl Page {
    pub(super) fn new(lead: &str, of: &Master) -> Self {
        Self {
            lead: one_line(lead),
            notes: Vec::new(),
            sections: Vec::new(),
            more: None,
            closing: Vec::new(),
            title: clipped(&of.title),
            url: of.url.as_deref().map(clipped),
        }
    }

    pub(super) fn plain(&self) -> String {
        let mut out = format!("{}\n", self.lead);
        for note in &self.notes {
            write!(out, "\n{note}\n").expect(LAW);
        }
        for section in &self.sections {
            write!(out, "\n{}\n", section.heading).expect(LAW);
            let width = section.rows.iter().map(|(label, _)| label.len()).max().unwrap_or(0);
            for (label, value) in &section.rows {
                writeln!(out, "  {:<wide$} {value}", format!("{label}:"), wide = width + 1).expect(LAW);
            }
        }
        for text in self.more.iter().chain(&self.closing) {
            write!(out, "\n{text}\n").expect(LAW);
        }
        write!(out, "\n{}\n", self.title).expect(LAW);
        if let Some(url) = &self.url {
            writeln!(out, "{url}").expect(LAW);
        }
        out
    }

    pub(super) fn html(&self) -> String {
        let mut out = String::from("<!DOCTYPE html>\n<html><head><meta charset=\"utf-8\"></head><body>\n");
        writeln!(out, "<p>{}</p>", escaped(&self.lead)).expect(LAW);
        for note in &self.notes {
            writeln!(out, "<p><strong>{}</strong></p>", escaped(note)).expect(LAW);
        }
        for section in &self.sections {
            write!(out, "<h3>{}</h3>\n<table>\n", escaped(&section.heading)).expect(LAW);
            for (label, value) in &section.rows {
                writeln!(out, "<tr><td>{}</td><td>{}</td></tr>", escaped(label), escaped(value)).expect(LAW);
            }
            out.push_str("</table>\n");
        }
        for text in self.more.iter().chain(&self.closing) {
            writeln!(out, "<p>{}</p>", escaped(text)).expect(LAW);
        }
        let title = escaped(&self.title);
        match &self.url {
            Some(url) if url.starts_with("http://") || url.starts_with("https://") => {
                writeln!(out, "<p><a href=\"{}\">{title}</a></p>", escaped(url)).expect(LAW);
            }
            _ => writeln!(out, "<p>{title}</p>").expect(LAW),
        }
        out.push_str("</body></html>\n");
        out
    }
}

/// A text that a page shows as it is.
pub(super) fn escaped(text: &str) -> String {
    let mut out = String::with_capacity(text.len());
    for c in text.chars() {
        match c {
            '&' => out.push_str("&amp;"),
            '<' => out.push_str("&lt;"),
            '>' => out.push_str("&gt;"),
            '"' => out.push_str("&quot;"),
            '\'' => out.push_str("&#39;"),
            c => out.push(c),
        }
    }
    out
}

fn one_line(text: &str) -> String {
    text.trim().chars().map(|c| if c.is_control() { ' ' } else { c }).collect()
}

/// What somebody else wrote, as one line that does not fill a mail.
pub(super) fn clipped(text: &str) -> String {
    let line = one_line(text);
    let mut shown: String = line.chars().take(SHOWN).collect();
    if shown.len() < line.len() {
        shown.push('…');
    }
    shown
}

/// The first of some names, and how many more there are.
pub(super) fn listed<'a>(mut all: impl Iterator<Item = &'a str>, most: usize) -> String {
    let named: Vec<String> = all.by_ref().take(most).map(clipped).collect();
    let more = all.count();
    let named = named.join(", ");
    if more == 0 { named } else { format!("{named} and {more} more") }
}

/// An instant in UTC, to the second.
pub(super) fn iso(at: Timestamp) -> String {
    at.strftime("%Y-%m-%dT%H:%M:%SZ").to_string()
}
