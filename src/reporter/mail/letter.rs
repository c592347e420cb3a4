//! A mail as bytes: RFC 5322 and MIME.
//!
//! # Laws
//! - Whatever stands in a letter, no header is there that was not asked for: control characters become spaces, and what
//!   cannot be told in ASCII is an encoded word (RFC 2047).
//! - The text arrives as it was, but for its line ends: they become those of mail, and at its very end some may go.
//! - No line is longer than SMTP allows. All is ASCII, except addresses that are not.
//!
//! # Not here
//! To whom it is handed over (`relay`), and its words (`text`).

use base64::{Engine as _, prelude::BASE64_STANDARD};
use lettre::message::{
    Attachment, Body as Encoded, MultiPart, SinglePart,
    header::{ContentTransferEncoding, ContentType, HeaderName, HeaderValue, Headers, MIME_VERSION_1_0},
};

use crate::{
    definition::address::{Address, Mailbox},
    model::Timestamp,
};

/// A mail that a program has made.
#[derive(Clone, Debug)]
pub struct Letter {
    /// What it is called for ever, without angle brackets: `id@host`. The same one when it is sent again.
    pub message_id: String,
    /// When it was written.
    pub date: Timestamp,
    /// Who writes it.
    pub from: Mailbox,
    /// To whom.
    pub to: Vec<Address>,
    /// What it is about, in one line.
    pub subject: String,
    /// What it says.
    pub body: Body,
    /// The mail to which it belongs, without angle brackets: people see both as one thread.
    pub in_reply_to: Option<String>,
    /// Headers besides.
    pub headers: Vec<(String, String)>,
    /// Texts that go with it.
    pub attachments: Vec<Attached>,
}

/// A text that goes with a mail.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Attached {
    /// As what it can be kept; what no name of a file should have becomes `_`.
    pub name: String,
    /// The text, as bytes: it need not be UTF-8.
    pub bytes: Vec<u8>,
}

/// What a mail says.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Body {
    /// A text.
    Plain(String),
    /// A page, and beside it the same as a text, for those who do not read pages.
    Html {
        /// The page.
        html: String,
        /// The text.
        plain: String,
    },
}

/// Why there is no mail.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum ComposeError {
    /// It goes to nobody.
    #[error("a mail to nobody")]
    Nobody,
    /// That is no name of a mail.
    #[error("{0:?} cannot be the Message-ID of a mail")]
    MessageId(String),
    /// That is no name of a header.
    #[error("{0:?} cannot be the name of a header")]
    HeaderName(String),
}

/// A line that no host breaks: SMTP allows 998 bytes, and some mean it.
const LONGEST_LINE: usize = 900;

/// Bytes of a word in a header that are not broken into several: more than any name of ours.
const LONGEST_WORD: usize = 200;

/// Bytes of text in an encoded word: 75 characters are allowed, of which its frame takes 12.
const ENCODED: usize = 45;

/// Characters of a subject and of other headers: none is read to its end, and some hosts refuse long ones.
const LONGEST_HEADER: usize = 2000;

/// The bytes of a mail.
///
/// # Errors
/// [`ComposeError`]: what no mail can have.
pub fn compose(letter: &Letter) -> Result<Vec<u8>, ComposeError> {
    if letter.to.is_empty() {
        return Err(ComposeError::Nobody);
    }
    let mut headers = vec![
        ready("Date", letter.date.strftime("%a, %d %b %Y %H:%M:%S +0000").to_string())?,
        ready("From", mailbox(&letter.from))?,
        ready("To", letter.to.iter().map(spelled).collect::<Vec<_>>().join(",\r\n "))?,
        ready("Subject", value(&letter.subject))?,
        ready("Message-ID", identifier(&letter.message_id)?)?,
    ];
    if let Some(earlier) = &letter.in_reply_to {
        let earlier = identifier(earlier)?;
        headers.push(ready("In-Reply-To", earlier.clone())?);
        headers.push(ready("References", earlier)?);
    }
    // Those who are away do not answer a program.
    headers.push(ready("Auto-Submitted", "auto-generated".into())?);
    for (name, text) in &letter.headers {
        let is_name = !name.is_empty() && name.bytes().all(|b| b.is_ascii_graphic() && b != b':');
        let is_ours = headers.iter().any(|(taken, _)| taken.eq_ignore_ascii_case(name));
        let is_mime =
            name.to_ascii_lowercase().starts_with("content-") || name.eq_ignore_ascii_case("mime-version");
        if !is_name || name.len() > LONGEST_WORD || is_ours || is_mime {
            return Err(ComposeError::HeaderName(name.clone()));
        }
        headers.push(ready(name, value(text))?);
    }
    let mut top = Headers::new();
    for (_, header) in headers {
        top.insert_raw(header);
    }
    top.set(MIME_VERSION_1_0);
    let mut bytes = top.to_string().into_bytes();
    let page = |html: &str, plain: &str| {
        MultiPart::alternative()
            .singlepart(part(plain, ContentType::TEXT_PLAIN))
            .singlepart(part(html, ContentType::TEXT_HTML))
    };
    bytes.extend(if letter.attachments.is_empty() {
        match &letter.body {
            Body::Plain(text) => part(text, ContentType::TEXT_PLAIN).formatted(),
            Body::Html { html, plain } => page(html, plain).formatted(),
        }
    } else {
        let whole = match &letter.body {
            Body::Plain(text) => MultiPart::mixed().singlepart(part(text, ContentType::TEXT_PLAIN)),
            Body::Html { html, plain } => MultiPart::mixed().multipart(page(html, plain)),
        };
        let attach = |whole: MultiPart, one: &Attached| whole.singlepart(attachment(one));
        letter.attachments.iter().fold(whole, attach).formatted()
    });
    Ok(bytes)
}

/// A text of its own, as the bytes that it is.
fn attachment(attached: &Attached) -> SinglePart {
    let keep = |c: char| c.is_ascii_alphanumeric() || matches!(c, '.' | '-' | '_');
    let name: String = attached.name.chars().map(|c| if keep(c) { c } else { '_' }).take(100).collect();
    let body = Encoded::new_with_encoding(attached.bytes.clone(), ContentTransferEncoding::Base64)
        .expect("all bytes can be written so");
    Attachment::new(name).body(body, ContentType::TEXT_PLAIN)
}

/// A header whose text is ASCII of one line, or folded.
fn ready(name: &str, text: String) -> Result<(String, HeaderValue), ComposeError> {
    let header =
        HeaderName::new_from_ascii(name.to_owned()).map_err(|_| ComposeError::HeaderName(name.to_owned()))?;
    Ok((name.to_owned(), HeaderValue::dangerous_new_pre_encoded(header, String::new(), text)))
}

/// A text as one line, folded or encoded so that it arrives as it is.
fn value(text: &str) -> String {
    let line = one_line(text);
    let is_plain = line.bytes().all(|b| b == b' ' || b.is_ascii_graphic())
        // It would be read as an encoded word.
        && !line.contains("=?")
        // A fold stands for one space.
        && !line.contains("  ")
        && line.split(' ').all(|word| word.len() <= LONGEST_WORD);
    if is_plain { folded(&line) } else { encoded_words(&line) }
}

/// A text without what could end a line.
fn one_line(text: &str) -> String {
    // These end a line to some, though they are no control characters.
    let is_end = |c: char| c.is_control() || matches!(c, '\u{2028}' | '\u{2029}');
    let line: String = text.chars().map(|c| if is_end(c) { ' ' } else { c }).collect();
    line.trim().chars().take(LONGEST_HEADER).collect()
}

fn folded(line: &str) -> String {
    const WIDE: usize = 60;
    let mut out = String::with_capacity(line.len());
    let mut width = 0;
    for word in line.split(' ') {
        if width > 0 {
            let is_full = width + word.len() > WIDE;
            out.push_str(if is_full { "\r\n " } else { " " });
            width = if is_full { 0 } else { width + 1 };
        }
        out.push_str(word);
        width += word.len();
    }
    out
}

/// A text as words of RFC 2047, one a line: the space between two of them is not read.
fn encoded_words(line: &str) -> String {
    let mut words = Vec::new();
    let mut rest = line;
    while !rest.is_empty() {
        let mut end = rest.len().min(ENCODED);
        while !rest.is_char_boundary(end) {
            end -= 1;
        }
        let (word, later) = rest.split_at(end);
        words.push(format!("=?utf-8?b?{}?=", BASE64_STANDARD.encode(word)));
        rest = later;
    }
    words.join("\r\n ")
}

/// A sender, with the name of the owner.
fn mailbox(mailbox: &Mailbox) -> String {
    let address = spelled(&mailbox.address);
    let owner = mailbox.owner.as_deref().map(one_line).filter(|owner| !owner.is_empty());
    let Some(owner) = owner else { return address };
    let is_plain = owner.len() <= 60
        && !owner.contains("=?")
        && owner.bytes().all(|b| b == b' ' || (b.is_ascii_graphic() && !matches!(b, b'"' | b'\\')));
    if is_plain {
        format!("\"{owner}\" <{address}>")
    } else {
        format!("{}\r\n <{address}>", encoded_words(&owner))
    }
}

/// An address as it stands in a header and in a command: what is before its `@` in quotes, if need be.
pub(super) fn spelled(address: &Address) -> String {
    let text = address.as_str();
    let Some((local, domain)) = text.rsplit_once('@') else { return text.to_owned() };
    let is_atom = |atom: &str| {
        !atom.is_empty()
            && atom
                .chars()
                .all(|c| !c.is_ascii() || c.is_ascii_alphanumeric() || "!#$%&'*+-/=?^_`{|}~".contains(c))
    };
    if local.split('.').all(is_atom) { text.to_owned() } else { format!("\"{local}\"@{domain}") }
}

fn identifier(id: &str) -> Result<String, ComposeError> {
    let is_good = !id.is_empty()
        && id.len() <= LONGEST_WORD
        && id.bytes().all(|b| b.is_ascii_graphic() && !matches!(b, b'<' | b'>'));
    if is_good { Ok(format!("<{id}>")) } else { Err(ComposeError::MessageId(id.to_owned())) }
}

/// A part of a mail, in the form that needs the least of those that hosts do not touch.
fn part(text: &str, kind: ContentType) -> SinglePart {
    let text = text.replace("\r\n", "\n").replace('\r', "\n");
    let text = text.strip_suffix('\n').unwrap_or(&text).to_owned();
    let is_odd = |c: char| c.is_control() && c != '\n' && c != '\t';
    let is_plain = text.is_ascii()
        && text.lines().all(|line| line.len() <= LONGEST_LINE && !line.ends_with([' ', '\t']));
    let mostly_ascii = text.bytes().filter(|b| !b.is_ascii()).count() * 6 < text.len();
    let encoding = if text.contains(is_odd) || !mostly_ascii && !text.is_ascii() {
        ContentTransferEncoding::Base64
    } else if is_plain {
        ContentTransferEncoding::SevenBit
    } else {
        ContentTransferEncoding::QuotedPrintable
    };
    let body = Encoded::new_with_encoding(text.clone(), encoding)
        .or_else(|_| Encoded::new_with_encoding(text, ContentTransferEncoding::Base64))
        .expect("base64 takes every text");
    SinglePart::builder().header(kind).body(body)
}

#[cfg(test)]
mod tests;
