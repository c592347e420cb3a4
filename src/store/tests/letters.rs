//! Letters that wait to be sent.

use super::*;
use crate::model::{Event, EventKind as K, LetterChannel, LetterId, LetterKind, ReporterName};

/// A letter about missing workers, told from others by its number.
pub(super) fn letter(number: u32) -> NewLetter {
    NewLetter {
        channel: LetterChannel::Mail,
        kind: LetterKind::WorkerMissing,
        reporter: ReporterName::new("mail to ops").unwrap(),
        message_id: format!("<{number}@ci.example.org>"),
        sender: "ci@example.org".into(),
        recipients: vec!["ada@example.org".into(), "bob@example.org".into()],
        subject: format!("subject {number}"),
        message: vec![b'x', 0, 0xFF, b'\r', b'\n'],
    }
}

/// The keys of those that are due.
async fn due(store: &Store, seconds: i64) -> Vec<i64> {
    store.due_letters(at(seconds), 100).await.unwrap().iter().map(|letter| letter.id.0).collect()
}

fn kinds(events: &[Arc<Event>]) -> Vec<(K, i64)> {
    events.iter().map(|event| (event.kind, event.key)).collect()
}

on_both! {
    async fn a_letter_is_handed_out_whole_until_it_is_sent_and_not_after(house: &House) {
        let mut open = house.furnished().await;
        let store = open.store.clone();
        assert_eq!(store.next_letter_at().await.unwrap(), None);
        let ids = store.add_letters(vec![letter(1), letter(2)], at(1)).await.unwrap();
        assert_eq!(ids, [LetterId(1), LetterId(2)]);
        assert_eq!(store.next_letter_at().await.unwrap(), Some(at(1)));
        assert!(store.due_letters(at(0), 9).await.unwrap().is_empty());
        for _ in 0..2 {
            let due = store.due_letters(at(1), 9).await.unwrap();
            let first = QueuedLetter { id: LetterId(1), letter: letter(1), created_at: at(1), attempts: 0 };
            assert_eq!((due.len(), &due[0]), (2, &first));
        }
        assert!(store.letter_sent(LetterId(1), at(2)).await.unwrap());
        assert!(!store.letter_sent(LetterId(1), at(3)).await.unwrap(), "one sending for one row");
        assert_eq!(due(&store, 99).await, [2]);
        let events = told(&mut open, 4).await;
        assert_eq!(kinds(&events[1..]), [(K::LetterAdded, 1), (K::LetterAdded, 2), (K::LetterSent, 1)]);
        let body = serde_json::json!({
            "letterid": 1, "channel": "mail", "kind": "worker_missing", "reporter": "mail to ops", "recipients": 2,
            "message_id": "<1@ci.example.org>", "attempts": 0, "last_error": null,
        });
        assert_eq!(events[3].body, body);
    }

    async fn a_letter_that_fails_waits_for_its_time_and_says_why(house: &House) {
        let open = house.furnished().await;
        let store = &open.store;
        store.add_letters(vec![letter(1), letter(2)], at(1)).await.unwrap();
        assert!(store.letter_failed(LetterId(1), "450\r\n busy\0 now", at(60), at(2)).await.unwrap());
        assert_eq!(due(store, 59).await, [2]);
        assert_eq!(due(store, 60).await, [2, 1], "the one that waits longest comes first");
        assert_eq!(store.due_letters(at(60), 9).await.unwrap()[1].attempts, 1);
        let row = store.letters(&Query::all()).await.unwrap().rows.remove(0);
        assert_eq!((row.last_error.as_deref(), row.next_try_at, row.size), (Some("450 busy now"), Some(at(60)), 5));
        assert!(store.letter_sent(LetterId(2), at(3)).await.unwrap());
        assert_eq!(store.next_letter_at().await.unwrap(), Some(at(60)));
        assert!(!store.letter_failed(LetterId(2), "late", at(60), at(4)).await.unwrap());
    }

    async fn a_letter_that_some_have_goes_to_the_others_alone(house: &House) {
        let Open { store, .. } = house.open().await;
        store.add_letters(vec![letter(1)], at(1)).await.unwrap();
        assert!(store.letter_reached_others(LetterId(1), &["ada@example.org".to_owned()]).await.unwrap());
        assert_eq!(store.due_letters(at(2), 9).await.unwrap()[0].letter.recipients, ["ada@example.org"]);
        assert!(!store.letter_reached_others(LetterId(2), &[]).await.unwrap());
    }

    async fn a_letter_that_is_given_up_stays_and_can_be_tried_again_or_dropped(house: &House) {
        let mut open = house.furnished().await;
        let store = open.store.clone();
        store.add_letters(vec![letter(1), letter(2)], at(1)).await.unwrap();
        for id in [1, 2] {
            assert!(store.letter_given_up(LetterId(id), "550 no such user", at(5)).await.unwrap());
        }
        assert!(due(&store, 99).await.is_empty());
        assert_eq!(store.next_letter_at().await.unwrap(), None);
        let given_up = Query::all().filter("given_up", FilterOp::Eq, "true");
        let row = store.letters(&given_up).await.unwrap().rows.remove(0);
        assert_eq!((row.given_up_at, row.next_try_at, row.attempts), (Some(at(5)), None, 1));
        assert!(store.retry_letter(LetterId(1), at(9)).await.unwrap());
        let again = store.due_letters(at(9), 9).await.unwrap();
        assert_eq!((again.len(), again[0].id, again[0].attempts), (1, LetterId(1), 0));
        assert_eq!(store.letters(&given_up).await.unwrap().rows.len(), 1);
        assert!(store.letter_failed(LetterId(1), "again", at(50), at(10)).await.unwrap());
        assert!(store.retry_letter(LetterId(1), at(11)).await.unwrap(), "also one that only waits");
        assert_eq!(due(&store, 11).await, [1]);
        for id in [1, 2] {
            assert!(store.drop_letter(LetterId(id), at(12)).await.unwrap());
        }
        assert!(!store.drop_letter(LetterId(1), at(13)).await.unwrap());
        assert!(!store.retry_letter(LetterId(1), at(13)).await.unwrap());
        assert_eq!(store.letters(&Query::all()).await.unwrap().total, Some(0));
        let events = told(&mut open, 10).await;
        let expected = [
            (K::LetterGivenUp, 1), (K::LetterGivenUp, 2), (K::LetterRetried, 1), (K::LetterFailed, 1), (K::LetterRetried, 1),
            (K::LetterDropped, 1), (K::LetterDropped, 2),
        ];
        assert_eq!(kinds(&events[3..]), expected);
    }

    async fn a_number_is_never_given_again_and_no_two_letters_have_one_message_id(house: &House) {
        let open = house.furnished().await;
        let store = &open.store;
        store.add_letters(vec![letter(1), letter(2)], at(1)).await.unwrap();
        store.letter_sent(LetterId(2), at(2)).await.unwrap();
        assert_eq!(store.add_letters(vec![letter(3)], at(3)).await.unwrap(), [LetterId(3)]);
        let error = store.add_letters(vec![letter(4), letter(3)], at(4)).await.unwrap_err();
        assert!(matches!(error, StoreError::Failed { .. }), "{error}");
        assert_eq!(due(store, 9).await, [1, 3], "nothing of it is written");
    }

    async fn of_many_letters_the_last_that_are_given_up_are_kept(house: &House) {
        let mut open = house.furnished().await;
        let store = open.store.clone();
        let reader = tokio::spawn(async move { while open.told.recv().await.is_some() {} });
        let ids = store.add_letters((0..1003).map(letter).collect(), at(1)).await.unwrap();
        assert_eq!(ids.len(), 1003);
        for (id, number) in [(ids[0], 0_u32), (ids[1002], 1002)] {
            let by_key = Query::all().filter("letterid", FilterOp::Eq, &id);
            assert_eq!(store.letters(&by_key).await.unwrap().rows[0].message_id, letter(number).message_id);
        }
        assert_eq!(store.due_letters(at(1), 5000).await.unwrap().len(), 100, "each comes whole, so they come in parts");
        let giving_up = ids[..1002].iter().map(|id| store.letter_given_up(*id, "no", at(2)));
        for known in futures_util::future::join_all(giving_up).await {
            assert!(known.unwrap());
        }
        let left = store.letters(&Query::all().limit(2000)).await.unwrap().rows;
        assert_eq!((left.len(), left[0].letterid, left[1000].letterid), (1001, ids[2], ids[1002]), "the one that waits stays");
        drop(store);
        reader.abort();
    }
}
