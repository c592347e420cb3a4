//! Letters that are not sent yet, as the operator sees them.

use lunabot::{
    definition::DatabaseDefinition,
    model::{LetterChannel, LetterId, LetterKind, ReporterName, Timestamp},
    store::{NewLetter, Store},
};
use serde_json::{Value, json};

use crate::support::master::MasterDir;

fn letter(number: u32) -> NewLetter {
    NewLetter {
        channel: LetterChannel::Mail,
        kind: LetterKind::WorkerMissing,
        reporter: ReporterName::new("ops").unwrap(),
        message_id: format!("<{number}@ci.example.org>"),
        sender: "ci@example.org".into(),
        recipients: vec!["ada@example.org".into()],
        subject: format!("worker w{number} is missing"),
        message: b"Subject: the words of the letter\r\n\r\nHello\r\n".to_vec(),
    }
}

/// What an earlier run of the master left: three letters that it gave up, which nobody touches but the operator.
fn give_up_three(dir: &MasterDir) {
    let runtime = tokio::runtime::Runtime::new().unwrap();
    runtime.block_on(async {
        let database = DatabaseDefinition::Sqlite { path: "state.sqlite".into() };
        let (committed, _told) = tokio::sync::mpsc::channel(64);
        let store = Store::open(&database, dir.path(), dir.file("logs"), committed).await.unwrap();
        let now = Timestamp::now();
        store.add_letters(vec![letter(1), letter(2), letter(3)], now).await.unwrap();
        for id in 1..=3 {
            assert!(store.letter_given_up(LetterId(id), "550 no such user", now).await.unwrap());
        }
        store.close().await;
    });
}

fn body(answer: &str) -> Value {
    serde_json::from_str(answer.split_once("\r\n\r\n").unwrap().1).unwrap()
}

#[test]
fn letters_that_were_not_sent_are_listed_dropped_and_tried_again() {
    let dir = MasterDir::with_steps("steps.ShellCommand { name = 'greet', command = 'true' }");
    give_up_three(&dir);
    let _master = dir.start();

    let table = String::from_utf8(dir.run("outbox", &[]).stdout).unwrap();
    let cells: Vec<Vec<&str>> = table
        .lines()
        .map(|line| line.split("  ").map(str::trim).filter(|cell| !cell.is_empty()).collect())
        .collect();
    assert_eq!(cells[0], ["LETTER", "KIND", "TO", "SUBJECT", "SINCE", "ATTEMPTS", "NEXT", "ERROR"]);
    assert_eq!(cells[1][..4], ["1", "worker missing", "ada@example.org", "worker w1 is missing"]);
    assert_eq!((cells.len(), &cells[1][5..]), (4, &["1", "given up", "550 no such user"][..]));

    let row = &body(&dir.get("/api/v2/outbox/1"))["outbox"][0];
    assert_eq!(
        (&row["letterid"], &row["kind"], &row["size"]),
        (&json!(1), &json!("worker_missing"), &json!(letter(1).message.len()))
    );
    assert!(!row.to_string().contains("Hello"), "the letter itself is not shown: {row}");
    let found = body(&dir.get("/api/v2/outbox?given_up=true&order=-letterid&field=letterid&limit=2"));
    assert_eq!(found["outbox"], json!([{ "letterid": 3 }, { "letterid": 2 }]));
    assert!(dir.get("/api/v2/outbox/99").contains("there is no letter 99"));

    let told = dir.run("outbox", &["drop", "1"]);
    assert_eq!(String::from_utf8_lossy(&told.stdout), "letter 1 is dropped\n");
    let told = dir.run("outbox", &["retry", "2"]);
    assert_eq!(String::from_utf8_lossy(&told.stdout), "letter 2 is tried now\n");
    let letters = dir.json("outbox", &[]);
    let given_up = |letter: &&Value| !letter["given_up_at"].is_null();
    let left: Vec<&Value> =
        letters["outbox"].as_array().unwrap().iter().filter(given_up).map(|it| &it["letterid"]).collect();
    assert_eq!(left, [&json!(3)]);

    let again = dir.run("outbox", &["drop", "1"]);
    assert_eq!(again.status.code(), Some(1));
    let error = String::from_utf8_lossy(&again.stderr).into_owned();
    assert!(error.contains("there is no letter 1 in the outbox"), "{error}");
    assert_eq!(dir.run("outbox", &["drop"]).status.code(), Some(2), "which letter must be said");
    let unknown = dir.post("/api/v2/outbox/3", "burn", "{}");
    assert!(unknown.contains("-32601") && unknown.contains("`retry` and `drop`"), "{unknown}");
}
