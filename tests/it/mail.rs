//! `lunabot mail-test` against an SMTP server of somebody else: what is said, what arrives, and the exit code.

use std::{net::TcpListener, process::Output};

use crate::support::{
    master::{HEAD, MasterDir, lunabot},
    skip::needs_smtp,
    smtp::{Mail, Smtp, Tls},
};

/// A master that nobody has started, whose mails go to this port.
fn master(port: u16, options: &str) -> MasterDir {
    MasterDir::new(&format!(
        "{HEAD}local reporters = p.reporters\n\
         c.workers = {{ worker.LocalWorker('w1') }}\n\
         c.builders = {{ util.BuilderConfig {{ name = 'b', workernames = {{ 'w1' }}, factory = util.BuildFactory {{}} }} }}\n\
         c.reporters = {{ reporters.MailNotifier {{ name = 'mail', fromaddr = 'Zoë <ci@example.org>', \
         relayhost = 'localhost', smtpPort = {port}, {options} }} }}\n"
    ))
}

fn mail_test(master: &MasterDir, smtp: Option<&Smtp>, arguments: &[&str]) -> (Option<i32>, String, String) {
    let mut command = lunabot();
    command.arg("mail-test").arg(master.path()).arg("bob@example.com").args(arguments);
    if let Some(smtp) = smtp {
        command.env("SSL_CERT_FILE", smtp.authority());
    }
    let Output { status, stdout, stderr } = command.output().unwrap();
    (status.code(), String::from_utf8(stdout).unwrap(), String::from_utf8(stderr).unwrap())
}

fn only(smtp: &Smtp) -> Mail {
    let mut mails = smtp.wait_for(1);
    assert_eq!(mails.len(), 1);
    mails.remove(0)
}

#[test]
fn a_test_mail_arrives_and_the_conversation_is_shown() {
    needs_smtp!("a_test_mail_arrives_and_the_conversation_is_shown");
    let smtp = Smtp::start(Tls::None, &[]);
    let master = master(smtp.port(), "extraHeaders = { ['X-Site'] = 'Zürich' }");
    let (code, said, errors) = mail_test(&master, None, &[]);
    assert_eq!(code, Some(0), "{said}{errors}");
    for line in
        ["C: MAIL FROM:<ci@example.org>", "C: RCPT TO:<bob@example.com>", "C: DATA", "S: 250 kept as 1"]
    {
        assert!(said.lines().any(|told| told == line), "{line}: {said}");
    }
    assert!(said.contains("in the clear"), "{said}");
    let mail = only(&smtp);
    assert_eq!(mail.envelope["from"], "ci@example.org");
    assert_eq!(mail.envelope["to"], serde_json::json!(["bob@example.com"]));
    assert_eq!(mail.envelope["encrypted"], false);
    for line in [
        "From: =?utf-8?b?Wm/Dqw==?=",
        "To: bob@example.com",
        "Subject: Test of Lunabot",
        "Auto-Submitted: auto-generated",
        "X-Site: =?utf-8?b?WsO8cmljaA==?=",
    ] {
        assert!(mail.text.split("\r\n").any(|told| told == line), "{line}: {}", mail.text);
    }
    assert!(mail.text.contains("\r\nMessage-ID: <") && mail.text.starts_with("Date: "), "{}", mail.text);
}

#[test]
fn starttls_is_used_where_it_is_offered_and_demanded_where_it_must_be() {
    needs_smtp!("starttls_is_used_where_it_is_offered_and_demanded_where_it_must_be");
    for options in ["", "useTls = true"] {
        let smtp = Smtp::start(Tls::Asked, &[]);
        let (code, said, errors) = mail_test(&master(smtp.port(), options), Some(&smtp), &[]);
        assert_eq!(code, Some(0), "{said}{errors}");
        assert!(said.contains("C: STARTTLS\n") && said.contains("-- TLS from here on\n"), "{said}");
        assert_eq!(only(&smtp).envelope["encrypted"], true);
    }
    let smtp = Smtp::start(Tls::None, &[]);
    let (code, said, errors) = mail_test(&master(smtp.port(), "useTls = true"), Some(&smtp), &[]);
    assert_eq!(code, Some(1), "{said}{errors}");
    assert!(errors.contains("TLS: it offers no STARTTLS, which is demanded"), "{errors}");
    assert!(errors.contains("hint: ") && smtp.mails().is_empty(), "{errors}");
}

#[test]
fn a_host_that_cannot_prove_itself_gets_a_mail_only_where_nothing_is_demanded() {
    needs_smtp!("a_host_that_cannot_prove_itself_gets_a_mail_only_where_nothing_is_demanded");
    let (smtp, other) = (Smtp::start(Tls::Asked, &[]), Smtp::start(Tls::None, &[]));
    // The authority of the other server is trusted.
    let (code, said, errors) = mail_test(&master(smtp.port(), "useTls = true"), Some(&other), &[]);
    assert_eq!(code, Some(1), "{said}{errors}");
    assert!(
        errors.contains("TLS: the peer's certificate is not trusted") && errors.contains("SSL_CERT_FILE"),
        "{errors}"
    );
    assert!(smtp.mails().is_empty());
    let (code, said, errors) = mail_test(&master(smtp.port(), ""), Some(&other), &[]);
    assert_eq!(code, Some(0), "{said}{errors}");
    assert!(said.contains("; once more, in the clear\n"), "{said}");
    assert_eq!(only(&smtp).envelope["encrypted"], false);
    // A password is not given to it.
    let smtp = Smtp::start(Tls::Asked, &["--login", "ci:sesame-mail"]);
    let options = "smtpUser = 'ci', smtpPassword = 'sesame-mail'";
    let (code, said, errors) = mail_test(&master(smtp.port(), options), Some(&other), &[]);
    assert_eq!(code, Some(1), "{said}{errors}");
    assert!(!said.contains("AUTH PLAIN ***"), "{said}");
}

#[test]
fn tls_from_the_first_byte_is_spoken() {
    needs_smtp!("tls_from_the_first_byte_is_spoken");
    let smtp = Smtp::start(Tls::AtOnce, &[]);
    let (code, said, errors) = mail_test(&master(smtp.port(), "useSmtps = true"), Some(&smtp), &[]);
    assert_eq!(code, Some(0), "{said}{errors}");
    assert_eq!(only(&smtp).envelope["encrypted"], true);
    // A port that speaks no TLS, and one that speaks nothing else.
    let plain = Smtp::start(Tls::None, &[]);
    let (code, _, errors) = mail_test(&master(plain.port(), "useSmtps = true"), Some(&smtp), &[]);
    assert_eq!(code, Some(1));
    assert!(errors.contains("TLS: the peer speaks no TLS on this port"), "{errors}");
}

#[test]
fn a_login_is_proved_by_a_secret_and_never_shown() {
    needs_smtp!("a_login_is_proved_by_a_secret_and_never_shown");
    let smtp = Smtp::start(Tls::Asked, &["--login", "robert:sesame-mail"]);
    let master = master(smtp.port(), "useTls = true, smtpUser = 'robert', smtpPassword = util.Secret 'smtp'");
    let secrets = master.file("secrets");
    std::fs::create_dir(&secrets).unwrap();
    let put = |text: &str| {
        use std::os::unix::fs::PermissionsExt as _;
        let path = secrets.join("smtp");
        std::fs::write(&path, text).unwrap();
        std::fs::set_permissions(&secrets, std::fs::Permissions::from_mode(0o700)).unwrap();
        std::fs::set_permissions(&path, std::fs::Permissions::from_mode(0o600)).unwrap();
    };
    let (code, _, errors) = mail_test(&master, Some(&smtp), &[]);
    assert_eq!(code, Some(1));
    assert!(errors.contains("cannot have the secret `smtp`"), "{errors}");

    put("sesame-mail");
    let (code, said, errors) = mail_test(&master, Some(&smtp), &[]);
    assert_eq!(code, Some(0), "{said}{errors}");
    assert!(said.contains("C: AUTH PLAIN ***\n"), "{said}");
    assert_eq!(only(&smtp).envelope["authenticated"], true);

    put("sesame-wrong");
    let (code, wrong, failed) = mail_test(&master, Some(&smtp), &[]);
    assert_eq!(code, Some(1), "{wrong}{failed}");
    assert!(failed.contains("the login: it says `535 "), "{failed}");
    assert!(failed.contains("`smtpPassword`"), "{failed}");
    let shown = [said, errors, wrong, failed].concat();
    // In the clear and as they are sent.
    for secret in ["sesame", "c2VzYW1l", "AHJvYmVydA"] {
        assert!(!shown.contains(secret), "{secret}: {shown}");
    }
}

#[test]
fn a_refusal_is_told_with_the_phase_and_the_words_of_the_host() {
    needs_smtp!("a_refusal_is_told_with_the_phase_and_the_words_of_the_host");
    for (options, told) in [
        (
            &["--rcpt", "550 5.1.1 nobody here"][..],
            "the recipients: to bob@example.com it says `550 5.1.1 nobody here`",
        ),
        (&["--rcpt", "451 4.7.1 later"], "the recipients: to bob@example.com it says `451 4.7.1 later`"),
        (&["--data", "554 5.7.1 spam"], "the mail itself: it says `554 5.7.1 spam`"),
        (&["--drop"], "the mail itself: it hung up"),
    ] {
        let smtp = Smtp::start(Tls::None, options);
        let (code, said, errors) = mail_test(&master(smtp.port(), ""), None, &[]);
        assert_eq!(code, Some(1), "{said}{errors}");
        assert!(errors.contains(&format!("localhost:{}: {told}", smtp.port())), "{errors}");
        assert!(errors.contains("hint: "), "{errors}");
    }
    let slow = Smtp::start(Tls::None, &["--slow", "1.5"]);
    let (code, said, errors) = mail_test(&master(slow.port(), ""), None, &[]);
    assert_eq!(code, Some(0), "{said}{errors}");
}

#[test]
fn a_host_that_is_down_is_told_at_once() {
    let free = TcpListener::bind("127.0.0.1:0").unwrap().local_addr().unwrap().port();
    let (code, said, errors) = mail_test(&master(free, ""), None, &[]);
    assert_eq!((code, said.lines().count()), (Some(1), 1), "{said}{errors}");
    assert!(errors.contains("the connection: ") && errors.contains("refused"), "{errors}");
    assert!(errors.contains("hint: "), "{errors}");
}

#[test]
fn what_is_asked_for_must_be_there() {
    let master = master(1, "");
    let (code, _, errors) = mail_test(&master, None, &["--reporter", "mial"]);
    assert_eq!(code, Some(1));
    assert!(errors.contains("no reporter \"mial\"") && errors.contains("did you mean"), "{errors}");
    let mut command = lunabot();
    let output = command.arg("mail-test").arg(master.path()).arg("bob").output().unwrap();
    assert_eq!(output.status.code(), Some(2));
    assert!(String::from_utf8_lossy(&output.stderr).contains("no address of mail"));
}

#[test]
fn a_template_that_does_not_parse_is_refused_before_it_is_needed() {
    let generators = "generators = { reporters.WorkerMissingGenerator { message_formatter = \
                      reporters.MessageFormatterMissingWorker { template = 'a\\n{% if %}' } } }";
    let broken = master(1, generators);
    for (command, arguments) in
        [("checkconfig", &[][..]), ("mail-test", &["bob@example.com"]), ("start", &[])]
    {
        let output = broken.run(command, arguments);
        let said = [output.stdout, output.stderr].concat();
        let said = String::from_utf8_lossy(&said);
        assert_eq!(output.status.code(), Some(1), "{command}: {said}");
        assert!(said.contains("reporter \"mail\": `template`, line 2: syntax error"), "{command}: {said}");
    }
}
