//! The forms in which a secret may stand in a text: as it is, and as programs write it when they quote.
//!
//! # Not here
//! What a program makes of it on purpose: base64, a digest, every second letter.

use std::{collections::BTreeSet, fmt::Write as _};

use super::SHORT;

/// Writing to a `String` cannot fail.
const LAW: &str = "a string takes all that is written to it";

/// All forms of a secret, each once; of one with several lines, those of each line too that is no mere bracket.
pub(super) fn forms(secret: &str) -> BTreeSet<String> {
    let mut forms = BTreeSet::new();
    add(secret, &mut forms);
    if secret.contains('\n') {
        // A terminal ends lines like this.
        forms.insert(secret.replace("\r\n", "\n").replace('\n', "\r\n"));
        for line in secret.lines().map(str::trim).filter(|line| line.chars().count() >= SHORT) {
            add(line, &mut forms);
        }
    }
    forms.remove("");
    forms
}

fn add(text: &str, forms: &mut BTreeSet<String>) {
    forms.insert(text.to_owned());
    // Most secrets are letters and digits, of which every form is the same.
    if text.bytes().all(|byte| byte.is_ascii_alphanumeric() || b"-_.".contains(&byte)) {
        return;
    }
    let debug = format!("{text:?}");
    let mut quoted = BTreeSet::from([
        text.to_owned(),
        within_quotes(&debug).to_owned(),
        python(text),
        safe_for_terminals(text),
        // A shell's single quotes, as ours and as Python's `shlex.quote` writes them.
        text.replace('\'', r"'\''"),
        text.replace('\'', r#"'"'"'"#),
        // Its double quotes.
        escaped(text, &['\\', '"', '$', '`']),
        // In an address, whole and as a path.
        percent(text, false),
        percent(text, true),
    ]);
    // What is quoted may come as JSON: a line of a log, an answer.
    let json: Vec<String> =
        quoted.iter().map(|form| serde_json::Value::from(form.as_str()).to_string()).collect();
    for json in &json {
        quoted.insert(within_quotes(json).to_owned());
        quoted.insert(ascii_json(within_quotes(json)));
    }
    forms.append(&mut quoted);
}

fn within_quotes(text: &str) -> &str {
    text.strip_prefix('"').and_then(|text| text.strip_suffix('"')).unwrap_or(text)
}

/// As many programs write JSON: nothing but ASCII.
fn ascii_json(json: &str) -> String {
    let mut out = String::new();
    for c in json.chars() {
        if c.is_ascii() {
            out.push(c);
        } else {
            for unit in c.encode_utf16(&mut [0; 2]) {
                write!(out, "\\u{unit:04x}").expect(LAW);
            }
        }
    }
    out
}

/// As Python's `repr` shows bytes, which is how `buildbot-worker` tells its arguments.
fn python(text: &str) -> String {
    let has_both = text.contains('\'') && text.contains('"');
    let mut out = String::new();
    for byte in text.bytes() {
        match byte {
            b'\n' => out.push_str("\\n"),
            b'\r' => out.push_str("\\r"),
            b'\t' => out.push_str("\\t"),
            b'\\' => out.push_str("\\\\"),
            b'\'' if has_both => out.push_str("\\'"),
            b' '..=b'~' => out.push(char::from(byte)),
            other => write!(out, "\\x{other:02x}").expect(LAW),
        }
    }
    out
}

/// As the log of a program shows it that lets no text drive a terminal, our own too. Source: tracing-subscriber.
fn safe_for_terminals(text: &str) -> String {
    let mut out = String::new();
    for c in text.chars() {
        match c {
            '\x07' | '\x08' | '\x0c' | '\x1b' | '\x7f' => write!(out, "\\x{:02x}", u32::from(c)).expect(LAW),
            '\u{80}'..='\u{9f}' => write!(out, "\\u{{{:x}}}", u32::from(c)).expect(LAW),
            c => out.push(c),
        }
    }
    out
}

fn escaped(text: &str, special: &[char]) -> String {
    let mut out = String::new();
    for c in text.chars() {
        if special.contains(&c) {
            out.push('\\');
        }
        out.push(c);
    }
    out
}

/// Source: RFC 3986, the unreserved characters.
fn percent(text: &str, keeps_slash: bool) -> String {
    let mut out = String::new();
    for byte in text.bytes() {
        if byte.is_ascii_alphanumeric() || b"-_.~".contains(&byte) || (keeps_slash && byte == b'/') {
            out.push(char::from(byte));
        } else {
            write!(out, "%{byte:02X}").expect(LAW);
        }
    }
    out
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_plain_secret_has_one_form() {
        assert_eq!(forms("s3same-x_y.z"), BTreeSet::from(["s3same-x_y.z".to_owned()]));
    }

    #[test]
    fn what_shells_json_python_and_addresses_print_are_forms() {
        let all = forms("a'b\"c\\d$é/");
        for form in [
            "a'b\"c\\d$é/",
            r#"a'b\"c\\d$é/"#,
            r#"a'b\"c\\d$\u00e9/"#,
            r#"a\'b"c\\d$\xc3\xa9/"#,
            r#"a'\''b"c\d$é/"#,
            r#"a'"'"'b"c\d$é/"#,
            r#"a'b\"c\\d\$é/"#,
            "a%27b%22c%5Cd%24%C3%A9%2F",
            "a%27b%22c%5Cd%24%C3%A9/",
        ] {
            assert!(all.contains(form), "{form} is not in {all:#?}");
        }
    }

    #[test]
    fn each_longer_line_of_a_secret_is_one_too() {
        let all = forms("{\n  \"key\": \"sesame\"\n}\n");
        assert!(all.contains("\"key\": \"sesame\""));
        assert!(all.contains("{\r\n  \"key\": \"sesame\"\r\n}\r\n"));
        assert!(!all.contains("{") && !all.contains("}"), "a bracket is no secret");
    }
}
