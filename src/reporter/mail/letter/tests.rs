use std::collections::BTreeSet;

use mail_parser::{MessageParser, MimeHeaders as _};
use proptest::prelude::*;

use super::*;

fn letter() -> Letter {
    Letter {
        message_id: "1.abc@ci.example.org".into(),
        date: "2026-03-01T12:30:05Z".parse().expect("an instant"),
        from: Mailbox::parse("Build Bot <ci@example.org>").expect("a mailbox"),
        to: vec![Address::new("bob@example.com").expect("an address")],
        subject: "worker bot missing".into(),
        body: Body::Plain("It went away.\n".into()),
        in_reply_to: None,
        headers: Vec::new(),
        attachments: Vec::new(),
    }
}

fn written(letter: &Letter) -> String {
    String::from_utf8(compose(letter).expect("a mail")).expect("it is text")
}

/// The names of the headers on top, in small letters.
fn names(mail: &[u8]) -> Vec<String> {
    let text = String::from_utf8_lossy(mail);
    let head = text.split("\r\n\r\n").next().unwrap_or_default();
    let is_new = |line: &&str| !line.starts_with([' ', '\t']);
    let name = |line: &str| line.split(':').next().unwrap_or_default().to_ascii_lowercase();
    head.split("\r\n").filter(is_new).map(name).collect()
}

#[test]
fn a_mail_is_what_everybody_reads() {
    insta::assert_snapshot!(written(&letter()).replace("\r\n", "\n"), @r#"
    Date: Sun, 01 Mar 2026 12:30:05 +0000
    From: "Build Bot" <ci@example.org>
    To: bob@example.com
    Subject: worker bot missing
    Message-ID: <1.abc@ci.example.org>
    Auto-Submitted: auto-generated
    MIME-Version: 1.0
    Content-Type: text/plain; charset=utf-8
    Content-Transfer-Encoding: 7bit

    It went away.
    "#);
}

#[test]
fn a_mail_names_all_to_whom_it_goes_and_the_one_to_which_it_belongs() {
    let mut letter = letter();
    letter.to.push(Address::new("a:b@example.com").expect("an address"));
    letter.in_reply_to = Some("0.abc@ci.example.org".into());
    letter.headers.push(("Comments".into(), "Zürich\r\nBcc: x@y".into()));
    let bytes = compose(&letter).expect("a mail");
    assert!(written(&letter).contains("To: bob@example.com,\r\n \"a:b\"@example.com\r\n"));
    let read = MessageParser::default().parse(&bytes).expect("a mail");
    assert_eq!(read.to().map(|to| to.iter().count()), Some(2));
    assert_eq!(read.in_reply_to().as_text(), Some("0.abc@ci.example.org"));
    assert_eq!(read.header("Comments").and_then(|value| value.as_text()), Some("Zürich  Bcc: x@y"));
    assert!(read.bcc().is_none());
}

#[test]
fn what_no_mail_can_have_is_refused() {
    let refused = |change: fn(&mut Letter)| {
        let mut letter = letter();
        change(&mut letter);
        compose(&letter).map_err(|error| error.to_string())
    };
    assert_eq!(refused(|letter| letter.to.clear()), Err("a mail to nobody".into()));
    for bad in ["", "a b@c", "a>\r\nBcc: <x@y"] {
        let error = compose(&Letter { message_id: bad.into(), ..letter() });
        assert_eq!(error, Err(ComposeError::MessageId(bad.into())));
    }
    for bad in ["", "X Y", "X:", "to", "Auto-Submitted", "Content-Type", "Mime-Version", "X\r\nBcc"] {
        let error = compose(&Letter { headers: vec![(bad.into(), "x".into())], ..letter() });
        assert_eq!(error, Err(ComposeError::HeaderName(bad.into())));
    }
    let twice = vec![("X-A".into(), "1".into()), ("x-a".into(), "2".into())];
    assert_eq!(compose(&Letter { headers: twice, ..letter() }), Err(ComposeError::HeaderName("x-a".into())));
}

#[test]
fn a_page_has_its_text_beside_it() {
    let body = Body::Html { html: "<p>Grüße</p>".into(), plain: "Grüße".into() };
    let bytes = compose(&Letter { body, ..letter() }).expect("a mail");
    let read = MessageParser::default().parse(&bytes).expect("a mail");
    assert_eq!(read.body_text(0).as_deref().map(str::trim_end), Some("Grüße"));
    assert_eq!(read.body_html(0).as_deref().map(str::trim_end), Some("<p>Grüße</p>"));
    assert!(read.content_type().is_some_and(|kind| kind.subtype() == Some("alternative")));
    assert!(bytes.is_ascii());
}

/// Texts with what is dangerous in them.
fn text() -> impl Strategy<Value = String> {
    let piece = prop_oneof![
        any::<String>(),
        Just("\r\n".to_owned()),
        Just("\nBcc: x@y\n".to_owned()),
        Just("\r\n.\r\n".to_owned()),
        Just("=?utf-8?q?x?=".to_owned()),
        Just("  \t ".to_owned()),
        Just("plain words, ".to_owned()),
        Just("é".repeat(60)),
        Just("x".repeat(1200)),
    ];
    proptest::collection::vec(piece, 0..6).prop_map(|pieces| pieces.concat())
}

/// A text as it arrives: with other line ends, and none at its very end.
fn lines(text: &str) -> String {
    let text = text.replace("\r\n", "\n").replace('\r', "\n");
    text.trim_end_matches('\n').to_owned()
}

proptest! {
    #[test]
    fn nothing_in_a_letter_adds_a_header_or_changes_the_text(
        owner in text(), subject in text(), header in text(), plain in text(), html in text(), is_page in any::<bool>(),
    ) {
        let body = if is_page { Body::Html { html: html.clone(), plain: plain.clone() } } else { Body::Plain(plain.clone()) };
        let mut letter = Letter { subject: subject.clone(), body, ..letter() };
        letter.from.owner = Some(owner.clone());
        letter.headers.push(("X-More".into(), header));
        let bytes = compose(&letter).expect("a mail");

        let mut known: BTreeSet<&str> = ["date", "from", "to", "subject", "message-id", "auto-submitted", "x-more", "mime-version", "content-type"].into();
        if !is_page {
            known.insert("content-transfer-encoding");
        }
        let found = names(&bytes);
        prop_assert_eq!(found.len(), known.len());
        prop_assert_eq!(found.iter().map(String::as_str).collect::<BTreeSet<_>>(), known);
        prop_assert!(bytes.is_ascii());
        for line in bytes.split(|byte| *byte == b'\n') {
            prop_assert!(line.len() <= 998, "a line of {} bytes", line.len());
        }
        let ends = memchr::memchr_iter(b'\n', &bytes).count();
        prop_assert_eq!(ends, bytes.windows(2).filter(|pair| pair == b"\r\n").count());

        let read = MessageParser::default().parse(&bytes).expect("a mail");
        prop_assert_eq!(read.subject().unwrap_or_default(), one_line(&subject));
        let from = read.from().and_then(|from| from.first()).expect("a sender");
        prop_assert_eq!(from.address(), Some("ci@example.org"));
        prop_assert_eq!(from.name().unwrap_or_default(), one_line(&owner));
        let arrived = |part: Option<&mail_parser::MessagePart<'_>>| part.and_then(|part| part.text_contents()).map(lines);
        prop_assert_eq!(arrived(read.text_part(0)), Some(lines(&plain)));
        if is_page {
            prop_assert_eq!(arrived(read.html_part(0)), Some(lines(&html)));
        }
    }
}

#[test]
fn texts_that_go_with_a_mail_arrive_as_they_are_under_names_that_a_file_can_have() {
    let bytes = "\u{e4}\r\n.\nlast line".as_bytes().to_vec();
    let attachments =
        vec![Attached { name: "make \"all\"/stdio\r\nX-Evil: 1.txt".into(), bytes: bytes.clone() }];
    for body in
        [Body::Plain("Words".into()), Body::Html { html: "<p>Words</p>".into(), plain: "Words".into() }]
    {
        let mail = compose(&Letter { attachments: attachments.clone(), body, ..letter() }).unwrap();
        let read = MessageParser::default().parse(&mail).expect("a mail");
        assert_eq!(read.attachment_count(), 1);
        let attached = read.attachment(0).expect("it is there");
        assert_eq!(attached.contents(), bytes);
        assert_eq!(read.body_text(0).expect("a text").trim_end(), "Words");
        assert!(!String::from_utf8_lossy(&mail).contains("\r\nX-Evil"));
    }
}
