use std::{
    io,
    sync::{Arc, Mutex},
};

use proptest::prelude::*;
use tokio::{
    io::{AsyncBufReadExt as _, AsyncWriteExt as _, BufReader},
    net::TcpListener,
    task::JoinHandle,
};

use super::{line::stuffed, *};

/// A host that says these lines: the first unasked, each other one as the answer to a line. After the last it hangs up.
async fn host(says: &'static [&'static str]) -> (u16, JoinHandle<io::Result<Vec<String>>>) {
    let listener = TcpListener::bind("127.0.0.1:0").await.expect("a port");
    let port = listener.local_addr().expect("an address").port();
    let heard = tokio::spawn(async move {
        let (socket, _) = listener.accept().await?;
        let mut socket = BufReader::new(socket);
        let mut heard = Vec::new();
        for (index, line) in says.iter().enumerate() {
            let is_mail = says.get(index.wrapping_sub(1)).is_some_and(|said| said.starts_with("354"));
            let mut is_awaited = index > 0;
            while is_awaited {
                let mut said = String::new();
                if socket.read_line(&mut said).await? == 0 {
                    return Ok(heard);
                }
                is_awaited = is_mail && said != ".\r\n";
                heard.push(said.trim_end().to_owned());
            }
            socket.write_all(line.as_bytes()).await?;
        }
        Ok(heard)
    });
    (port, heard)
}

fn relay(port: u16) -> Relay {
    let limits = Limits { answer: Duration::from_millis(500), ..Limits::USUAL };
    Relay { limits, ..Relay::new("127.0.0.1", port, Security::IfOffered) }
}

fn address(text: &str) -> Address {
    Address::new(text).expect("an address")
}

async fn sent(relay: &Relay, to: &[&str]) -> (Result<Accepted, SendError>, Vec<String>) {
    let told = Arc::new(Mutex::new(Vec::new()));
    let keep = Arc::clone(&told);
    let mut tell = move |line: Line| keep.lock().expect("nobody panics").push(line.to_string());
    let to: Vec<Address> = to.iter().map(|text| address(text)).collect();
    let outcome = relay.send_told(&address("ci@x"), &to, b"Subject: a\n\n.b\r\n.", &mut tell).await;
    drop(tell);
    let told = Arc::into_inner(told).expect("the last copy").into_inner().expect("nobody panics");
    (outcome, told)
}

const USUAL: &[&str] = &[
    "220 mx\r\n",
    "250-mx\r\n250 SIZE 1\r\n",
    "250 ok\r\n",
    "250 ok\r\n",
    "354 go\r\n",
    "250 is 7\r\n",
    "221 bye\r\n",
];

#[tokio::test]
async fn a_mail_is_handed_over_and_each_line_is_told() {
    let (port, heard) = host(USUAL).await;
    let (outcome, told) = sent(&relay(port), &["bob@y"]).await;
    let accepted = outcome.expect("it is taken");
    assert_eq!(accepted.reply.to_string(), "250 is 7");
    assert!(!accepted.is_encrypted && accepted.refused.is_empty());
    let hello = format!("EHLO {}", host_name());
    let heard = heard.await.expect("it ends").expect("it hears");
    assert_eq!(
        heard[1..],
        ["MAIL FROM:<ci@x>", "RCPT TO:<bob@y>", "DATA", "Subject: a", "", "..b", "..", ".", "QUIT"]
    );
    assert_eq!(heard[0], hello);
    assert_eq!(told[2], format!("C: {hello}"));
    assert_eq!(told[3..5], ["S: 250-mx", "S: 250 SIZE 1"]);
    assert_eq!(told.last().map(String::as_str), Some("S: 221 bye"));
    assert!(told.contains(&"C: (26 bytes of mail)".to_owned()), "{told:?}");
}

#[tokio::test]
async fn those_whom_a_host_refuses_do_not_keep_the_mail_from_others() {
    let (port, _) = host(&[
        "220 mx\r\n",
        "250 mx\r\n",
        "250 ok\r\n",
        "550 no\r\n",
        "250 ok\r\n",
        "354 go\r\n",
        "250 ok\r\n",
    ])
    .await;
    let (outcome, _) = sent(&relay(port), &["gone@y", "bob@y"]).await;
    let refused = outcome.expect("it is taken").refused;
    assert_eq!(refused.len(), 1);
    assert_eq!(refused[0].address, address("gone@y"));
    let (port, _) = host(&["220 mx\r\n", "250 mx\r\n", "250 ok\r\n", "550 no\r\n", "450 later\r\n"]).await;
    let (outcome, _) = sent(&relay(port), &["gone@y", "busy@y"]).await;
    let error = outcome.expect_err("nobody is taken");
    assert!(error.is_worth_retry() && error.phase == Phase::Recipient);
    let text = error.to_string();
    assert!(
        text.ends_with("the recipients: to gone@y it says `550 no`; to busy@y it says `450 later`"),
        "{text}"
    );
}

async fn phase_of(says: &'static [&'static str]) -> (Phase, bool, String) {
    let (port, _) = host(says).await;
    let (outcome, _) = sent(&relay(port), &["bob@y"]).await;
    let error = outcome.expect_err("it is not taken");
    (error.phase, error.is_worth_retry(), error.cause.to_string())
}

#[tokio::test]
async fn an_error_tells_the_phase_and_whether_another_try_is_worth_it() {
    let silent = "it did not answer within 0.5 s".to_owned();
    assert_eq!(phase_of(&["554 go away\r\n"]).await, (Phase::Connect, false, "it says `554 go away`".into()));
    assert_eq!(phase_of(&["421 busy\r\n"]).await, (Phase::Connect, true, "it says `421 busy`".into()));
    assert_eq!(phase_of(&["", ""]).await, (Phase::Connect, true, silent.clone()));
    assert_eq!(phase_of(&["220 mx\r\n", "250 mx\r\n", "553 no\r\n"]).await.0, Phase::Sender);
    assert_eq!(
        phase_of(&["220 mx\r\n", "250 mx\r\n", "250 ok\r\n", "250 ok\r\n", "452 full\r\n"]).await,
        (Phase::Data, true, "it says `452 full`".into())
    );
    // It hangs up after the mail: nobody knows whether it was taken.
    assert_eq!(
        phase_of(&["220 mx\r\n", "250 mx\r\n", "250 ok\r\n", "250 ok\r\n", "354 go\r\n", ""]).await,
        (Phase::Data, true, "it hung up".into())
    );
    let http = phase_of(&["HTTP/1.1 400 Bad Request\r\n"]).await;
    assert_eq!(
        http,
        (Phase::Connect, true, "it speaks no SMTP, but says \"HTTP/1.1 400 Bad Request\"".into())
    );
    let free =
        TcpListener::bind("127.0.0.1:0").await.expect("a port").local_addr().expect("an address").port();
    let (outcome, _) = sent(&relay(free), &["bob@y"]).await;
    let error = outcome.expect_err("nobody is there");
    assert!(
        error.is_worth_retry()
            && matches!(&error.cause, Cause::Socket(error) if error.kind() == io::ErrorKind::ConnectionRefused)
    );
}

#[tokio::test]
async fn the_whole_has_a_limit_whatever_the_host_does() {
    let (port, _) = host(&["220-a\r\n", ""]).await;
    let mut relay = relay(port);
    relay.limits = Limits { whole: Duration::from_millis(100), ..Limits::USUAL };
    let (outcome, _) = sent(&relay, &["bob@y"]).await;
    assert_eq!(outcome.expect_err("it is too slow").cause.to_string(), "the whole took longer than 0.1 s");
}

#[tokio::test]
async fn a_demanded_starttls_that_is_not_offered_is_no_mail() {
    let (port, heard) = host(&["220 mx\r\n", "250 mx\r\n", "250 ok\r\n"]).await;
    let (outcome, _) = sent(&Relay { security: Security::StartTls, ..relay(port) }, &["bob@y"]).await;
    let error = outcome.expect_err("it is not sent");
    assert_eq!((error.phase, error.is_worth_retry()), (Phase::Tls, true));
    assert_eq!(heard.await.expect("it ends").expect("it hears").len(), 1);
}

#[tokio::test]
async fn words_before_tls_are_not_taken_for_words_of_it() {
    let (port, _) = host(&["220 mx\r\n", "250-mx\r\n250 STARTTLS\r\n", "220 go\r\n250 smuggled\r\n"]).await;
    let (outcome, _) = sent(&relay(port), &["bob@y"]).await;
    assert!(matches!(outcome.expect_err("it is not sent").cause, Cause::Smuggled));
}

fn with_login(port: u16) -> Relay {
    let login = RelayLogin { user: Secret::new("robert"), password: Secret::new("open sesame") };
    Relay { login: Some(login), ..relay(port) }
}

#[tokio::test]
async fn a_login_is_proved_but_never_shown() {
    // The host gives away what it was told.
    let (port, heard) = host(&[
        "220 mx\r\n",
        "250-mx\r\n250 AUTH LOGIN PLAIN\r\n",
        "535 robert: not open sesame, AHJvYmVydABvcGVuIHNlc2FtZQ==\r\n",
    ])
    .await;
    let (outcome, told) = sent(&with_login(port), &["bob@y"]).await;
    let error = outcome.expect_err("it is refused");
    assert_eq!((error.phase, error.is_worth_retry()), (Phase::Login, true));
    assert_eq!(error.cause.to_string(), "it says `535 ***: not ***, ***`");
    assert!(told.contains(&"C: AUTH PLAIN ***".to_owned()), "{told:?}");
    let shown = format!("{told:?} {error} {error:?} {:?}", with_login(port));
    for secret in ["robert", "sesame", "AHJv", "b3BlbiBz"] {
        assert!(!shown.contains(secret), "{secret}: {shown}");
    }
    assert_eq!(
        heard.await.expect("it ends").expect("it hears")[1],
        "AUTH PLAIN AHJvYmVydABvcGVuIHNlc2FtZQ=="
    );

    let (port, heard) = host(&[
        "220 mx\r\n",
        "250-mx\r\n250 AUTH=LOGIN\r\n",
        "334 VXNlcm5hbWU6\r\n",
        "334 UGFzc3dvcmQ6\r\n",
        "235 ok\r\n",
        "550 no\r\n",
    ])
    .await;
    let (outcome, told) = sent(&with_login(port), &["bob@y"]).await;
    assert_eq!(outcome.expect_err("it is refused").phase, Phase::Sender);
    assert_eq!(told.iter().filter(|line| *line == "C: ***").count(), 2);
    assert_eq!(
        heard.await.expect("it ends").expect("it hears")[1..4],
        ["AUTH LOGIN", "cm9iZXJ0", "b3BlbiBzZXNhbWU="]
    );

    let (port, _) = host(&["220 mx\r\n", "250-mx\r\n250 AUTH CRAM-MD5\r\n", ""]).await;
    let (outcome, _) = sent(&with_login(port), &["bob@y"]).await;
    assert_eq!(
        outcome.expect_err("it cannot").cause.to_string(),
        "it knows only the logins CRAM-MD5, and PLAIN and LOGIN are spoken here"
    );
}

#[tokio::test]
async fn a_host_of_the_oldest_kind_gets_its_mail() {
    let (port, heard) = host(&[
        "220 mx\r\n",
        "500 what?\r\n",
        "250 mx\r\n",
        "250 ok\r\n",
        "250 ok\r\n",
        "354 go\r\n",
        "250 ok\r\n",
    ])
    .await;
    let (outcome, _) = sent(&relay(port), &["bob@y"]).await;
    outcome.expect("it is taken");
    assert!(heard.await.expect("it ends").expect("it hears")[1].starts_with("HELO "));
    let (port, _) = host(&["220 mx\r\n", "250 mx\r\n", ""]).await;
    let (outcome, _) = sent(&relay(port), &["bücher@y"]).await;
    let error = outcome.expect_err("it cannot be told");
    assert!(!error.is_worth_retry() && matches!(error.cause, Cause::AsciiOnly));
}

proptest! {
    #[test]
    fn nothing_in_a_mail_ends_it(message in proptest::collection::vec(prop_oneof![Just(b'.'), Just(b'\r'), Just(b'\n'), any::<u8>()], 0..200)) {
        let sent = stuffed(&message);
        let end = sent.windows(5).position(|bytes| bytes == b"\r\n.\r\n").map_or(3, |at| at + 5);
        prop_assert_eq!(end, sent.len());
        // No other line end is left that a host could take for one.
        let crlf = sent.windows(2).filter(|pair| pair == b"\r\n").count();
        prop_assert_eq!(memchr::memchr2_iter(b'\r', b'\n', &sent).count(), 2 * crlf);
    }
}
