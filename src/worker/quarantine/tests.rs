//! The rules of quarantine, by example and by law.

use proptest::prelude::*;

use super::*;

fn at(second: i64) -> Timestamp {
    Timestamp::from_second(second).expect("a good instant")
}

fn struck(cause: QuarantineCause) -> Conduct {
    Conduct::Strike(cause, "in build 7 of b1".into())
}

const LOST: QuarantineCause = QuarantineCause::LinkLost;
const FAULT: QuarantineCause = QuarantineCause::Fault;

#[test]
fn each_quarantine_of_a_cause_is_twice_as_long_as_the_last_up_to_an_hour() {
    let mut record = WorkerRecord::default();
    let mut now = at(0);
    let mut lengths = Vec::new();
    for count in 1..=11 {
        assert!(note(&mut record, &struck(LOST), now));
        let quarantine = running(&record, now).unwrap().clone();
        assert_eq!((quarantine.cause, quarantine.strikes, quarantine.since), (LOST, count, now));
        lengths.push(quarantine.until.as_second() - now.as_second());
        now = quarantine.until;
        assert_eq!(running(&record, now), None, "it is over when its time is");
    }
    assert_eq!(lengths, [10, 20, 40, 80, 160, 320, 640, 1280, 2560, 3600, 3600]);
}

#[test]
fn a_strike_while_a_quarantine_runs_doubles_nothing() {
    let mut record = WorkerRecord::default();
    assert!(note(&mut record, &struck(LOST), at(0)));
    let before = record.clone();
    assert!(!note(&mut record, &struck(LOST), at(9)));
    assert_eq!(record, before);
    assert!(note(&mut record, &struck(LOST), at(10)));
    assert_eq!(running(&record, at(10)).unwrap().until, at(30));
}

#[test]
fn a_strike_of_another_cause_counts_if_it_reaches_further() {
    let mut record = WorkerRecord::default();
    for second in [0, 10] {
        assert!(note(&mut record, &struck(LOST), at(second)));
    }
    // Until 30: the first of another cause would end before that.
    assert!(!note(&mut record, &struck(FAULT), at(15)));
    assert!(!record.strikes.contains_key(&FAULT));
    assert!(note(&mut record, &struck(FAULT), at(25)));
    let quarantine = running(&record, at(25)).unwrap();
    assert_eq!((quarantine.cause, quarantine.strikes, quarantine.until), (FAULT, 1, at(35)));
    // Each cause has a count of its own.
    assert!(note(&mut record, &struck(LOST), at(40)));
    assert_eq!(running(&record, at(40)).unwrap().until, at(80));
}

#[test]
fn a_release_ends_a_quarantine_and_keeps_the_strikes() {
    let mut record = WorkerRecord::default();
    assert_eq!(release(&mut record, at(0)), None);
    note(&mut record, &struck(LOST), at(0));
    assert_eq!(release(&mut record, at(1)).unwrap().until, at(10));
    assert_eq!(running(&record, at(1)), None);
    assert_eq!(release(&mut record, at(1)), None);
    note(&mut record, &struck(LOST), at(1));
    assert_eq!(running(&record, at(1)).unwrap().until, at(21));
}

#[test]
fn a_good_build_ends_a_quarantine_and_makes_the_next_as_short_as_the_first() {
    let mut record = WorkerRecord::default();
    assert!(!note(&mut record, &Conduct::Good, at(0)), "nothing to write for a worker without strikes");
    for second in [0, 10, 30] {
        note(&mut record, &struck(LOST), at(second));
    }
    assert!(note(&mut record, &Conduct::Good, at(31)));
    assert!(record.is_clean());
    note(&mut record, &struck(LOST), at(32));
    assert_eq!(running(&record, at(32)).unwrap().until, at(42));
}

#[test]
fn a_clock_that_is_set_back_does_not_keep_a_worker_for_years() {
    let mut record = WorkerRecord::default();
    note(&mut record, &struck(LOST), at(1_000_000));
    assert_eq!(running(&record, at(0)), None);
    assert!(expire(&mut record, at(0)).is_some());
}

#[test]
fn what_it_was_about_is_one_line() {
    let mut record = WorkerRecord::default();
    note(&mut record, &Conduct::Strike(FAULT, "no\nroom\u{1b}".into()), at(0));
    assert_eq!(record.quarantine.unwrap().reason.as_deref(), Some("no room"));
}

#[derive(Clone, Debug)]
enum Deed {
    Note(Conduct),
    Release,
    Expire,
    Wait(i64),
}

fn deed() -> impl Strategy<Value = Deed> {
    let cause = || prop::sample::select(QuarantineCause::ALL.to_vec());
    prop_oneof![
        6 => cause().prop_map(|cause| Deed::Note(struck(cause))),
        1 => Just(Deed::Note(Conduct::Good)),
        1 => Just(Deed::Release),
        2 => Just(Deed::Expire),
        4 => (0..4000_i64).prop_map(Deed::Wait),
    ]
}

proptest! {
    #[test]
    fn whatever_happens_a_quarantine_has_its_length_and_only_a_good_build_forgets(
        deeds in prop::collection::vec(deed(), 0..80)
    ) {
        let mut record = WorkerRecord::default();
        let mut now = at(0);
        for deed in deeds {
            let before = record.clone();
            let ran = running(&before, now).cloned();
            match deed {
                Deed::Wait(seconds) => now += jiff::SignedDuration::from_secs(seconds),
                Deed::Release => {
                    prop_assert_eq!(release(&mut record, now), ran);
                    prop_assert_eq!(running(&record, now), None);
                }
                Deed::Expire => {
                    prop_assert_eq!(expire(&mut record, now).is_some(), before.quarantine.is_some() && ran.is_none());
                    prop_assert_eq!(running(&record, now), ran.as_ref());
                }
                Deed::Note(Conduct::Good) => {
                    prop_assert_eq!(note(&mut record, &Conduct::Good, now), !before.is_clean());
                    prop_assert!(record.is_clean());
                    continue;
                }
                Deed::Note(conduct) => {
                    let changed = note(&mut record, &conduct, now);
                    prop_assert_eq!(changed, record != before);
                    let runs = running(&record, now);
                    prop_assert!(runs.is_some(), "after a strike one runs, whether it was this or an earlier one");
                    if let (Some(ran), Some(runs)) = (&ran, runs) {
                        prop_assert!(runs.until >= ran.until, "no strike shortens one");
                        prop_assert_eq!(changed, runs.cause != ran.cause);
                    }
                }
            }
            for (cause, count) in &before.strikes {
                prop_assert!(record.strikes[cause] >= *count, "only a good build forgets");
            }
            if let Some(quarantine) = &record.quarantine {
                prop_assert_eq!(Some(&quarantine.strikes), record.strikes.get(&quarantine.cause));
                prop_assert_eq!(quarantine.until, quarantine.since + length(quarantine.strikes));
                prop_assert!((FIRST..=LONGEST).contains(&length(quarantine.strikes)));
            }
        }
    }
}
