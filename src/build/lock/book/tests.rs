//! Each sentence of what locks are, as an example.

use super::*;

fn name(text: &str) -> LockName {
    LockName::new(text).expect("it is a name")
}

fn lock(text: &str) -> LockId {
    LockId { name: name(text), worker: None }
}

fn counting(text: &str, count: u32) -> Want {
    Want { lock: lock(text), mode: Mode::Counting(count) }
}

fn exclusive(text: &str) -> Want {
    Want { lock: lock(text), mode: Mode::Exclusive }
}

fn of_worker(text: &str, worker: &str) -> Want {
    let worker = Some(WorkerName::new(worker).expect("it is a name"));
    Want { lock: LockId { worker, ..lock(text) }, mode: Mode::Exclusive }
}

const fn build(number: i64) -> Owner {
    Owner::Request(BuildRequestId(number))
}

const fn step(number: i64) -> Owner {
    Owner::Step { request: BuildRequestId(number), step: StepId(number * 10) }
}

fn master(max_count: u32) -> Limits {
    Limits { scope: Scope::Master, max_count, for_worker: BTreeMap::new() }
}

fn book(locks: &[(&str, u32)]) -> Book {
    let mut book = Book::default();
    book.set_limits(locks.iter().map(|(text, max)| (name(text), master(*max))).collect());
    book
}

fn ask(book: &mut Book, owner: Owner, wants: &[Want]) -> Answer {
    book.ask(owner, &[wants.to_vec()]).expect("its build holds none of them")
}

const GRANTED: Answer = Answer::Granted(0);

#[test]
fn counts_are_granted_up_to_the_limit_and_what_is_given_back_lets_the_next_in() {
    let mut book = book(&[("a", 3)]);
    assert_eq!(ask(&mut book, build(1), &[counting("a", 2)]), GRANTED);
    assert_eq!(ask(&mut book, build(2), &[counting("a", 2)]), Answer::Waiting);
    // It would fit, but leave less for the one before it.
    assert_eq!(ask(&mut book, build(3), &[counting("a", 1)]), Answer::Waiting);
    assert!(book.release(build(1)) && !book.release(build(1)));
    assert_eq!(ask(&mut book, build(3), &[counting("a", 1)]), GRANTED);
    assert_eq!(ask(&mut book, build(2), &[counting("a", 2)]), GRANTED);
}

#[test]
fn who_has_it_exclusively_is_alone_and_one_that_waits_for_that_is_not_starved() {
    let mut book = book(&[("a", 9)]);
    assert_eq!(ask(&mut book, build(1), &[counting("a", 1)]), GRANTED);
    assert_eq!(ask(&mut book, build(2), &[exclusive("a")]), Answer::Waiting);
    assert_eq!(ask(&mut book, build(3), &[counting("a", 1)]), Answer::Waiting);
    assert_eq!(ask(&mut book, build(4), &[exclusive("a")]), Answer::Waiting);
    book.release(build(1));
    assert_eq!(ask(&mut book, build(3), &[counting("a", 1)]), Answer::Waiting);
    assert_eq!(ask(&mut book, build(2), &[exclusive("a")]), GRANTED);
    book.release(build(2));
    assert_eq!(ask(&mut book, build(4), &[exclusive("a")]), Answer::Waiting);
    assert!(book.withdraw(build(3)) && !book.withdraw(build(3)));
    assert_eq!(ask(&mut book, build(4), &[exclusive("a")]), GRANTED);
}

#[test]
fn a_count_of_nothing_is_always_granted_and_leaves_no_trace() {
    let mut book = book(&[("a", 1)]);
    assert_eq!(ask(&mut book, build(1), &[exclusive("a")]), GRANTED);
    assert_eq!(ask(&mut book, build(2), &[counting("a", 0)]), GRANTED);
    assert_eq!(ask(&mut book, step(1), &[counting("a", 0)]), GRANTED);
    assert_eq!(book.snapshot()[0].holders.len(), 1);
}

#[test]
fn a_lower_limit_revokes_nothing_and_a_higher_one_lets_others_in() {
    let mut book = book(&[("a", 2)]);
    for number in [1, 2] {
        assert_eq!(ask(&mut book, build(number), &[counting("a", 1)]), GRANTED);
    }
    assert!(book.set_limits(BTreeMap::from([(name("a"), master(1))])));
    assert!(!book.set_limits(BTreeMap::from([(name("a"), master(1))])));
    book.release(build(1));
    assert_eq!(ask(&mut book, build(3), &[counting("a", 1)]), Answer::Waiting);
    assert_eq!(book.snapshot()[0].holders, [Stand { owner: build(2), mode: Mode::Counting(1) }]);
    book.set_limits(BTreeMap::from([(name("a"), master(2))]));
    assert_eq!(ask(&mut book, build(3), &[counting("a", 1)]), GRANTED);
}

#[test]
fn who_wants_more_than_a_lowered_limit_has_it_alone_and_does_not_wait_for_ever() {
    let mut book = book(&[("a", 2)]);
    assert_eq!(ask(&mut book, build(1), &[counting("a", 1)]), GRANTED);
    assert_eq!(ask(&mut book, build(2), &[counting("a", 3)]), Answer::Waiting);
    assert_eq!(ask(&mut book, build(3), &[counting("a", 1)]), Answer::Waiting);
    book.release(build(1));
    assert_eq!(ask(&mut book, build(2), &[counting("a", 3)]), GRANTED);
    assert_eq!(ask(&mut book, build(3), &[counting("a", 1)]), Answer::Waiting);
}

#[test]
fn a_lock_that_is_configured_no_more_keeps_its_limit_while_it_is_in_use() {
    let mut book = book(&[("a", 2)]);
    ask(&mut book, build(1), &[counting("a", 2)]);
    assert_eq!(ask(&mut book, build(2), &[counting("a", 2)]), Answer::Waiting);
    book.set_limits(BTreeMap::new());
    book.release(build(1));
    // Asked for again it is still the same.
    assert_eq!(ask(&mut book, build(3), &[counting("a", 2)]), Answer::Waiting);
    assert_eq!(book.snapshot()[0].max_count, 2);
    book.withdraw(build(3));
    assert_eq!(ask(&mut book, build(2), &[counting("a", 2)]), GRANTED);
    book.release(build(2));
    assert_eq!(book.snapshot(), []);
    // A build of long ago: one at a time.
    assert_eq!(ask(&mut book, build(4), &[counting("a", 1)]), GRANTED);
    assert_eq!(ask(&mut book, build(5), &[counting("a", 1)]), Answer::Waiting);
}

#[test]
fn each_worker_has_a_lock_of_its_own_with_a_limit_of_its_own() {
    let for_worker = BTreeMap::from([(WorkerName::new("big").unwrap(), 2)]);
    let limits = Limits { scope: Scope::Worker, max_count: 1, for_worker };
    let mut book = Book::default();
    book.set_limits(BTreeMap::from([(name("a"), limits)]));
    assert_eq!(book.snapshot()[0].scope, Scope::Worker);
    let one = |worker| Want { mode: Mode::Counting(1), ..of_worker("a", worker) };
    for (number, worker, answer) in [
        (1, "big", GRANTED),
        (2, "big", GRANTED),
        (3, "big", Answer::Waiting),
        (4, "small", GRANTED),
        (5, "small", Answer::Waiting),
    ] {
        assert_eq!(ask(&mut book, build(number), &[one(worker)]), answer, "{number}");
    }
    let counts: Vec<_> =
        book.snapshot().iter().map(|state| (state.worker.clone(), state.max_count)).collect();
    let worker = |text| Some(WorkerName::new(text).unwrap());
    assert_eq!(counts, [(worker("big"), 2), (worker("small"), 1)]);
}

#[test]
fn all_wants_are_granted_at_once_or_none_and_of_alternatives_the_first_that_can_be_had() {
    let mut book = book(&[("a", 1), ("b", 1)]);
    assert_eq!(ask(&mut book, build(1), &[exclusive("a")]), GRANTED);
    assert_eq!(ask(&mut book, build(2), &[exclusive("b"), exclusive("a")]), Answer::Waiting);
    assert!(book.snapshot().iter().all(|state| state.name != name("b") || state.holders.is_empty()));
    book.withdraw(build(2));
    let alternatives = [vec![of_worker("w", "one"), exclusive("a")], vec![of_worker("w", "two")]];
    assert_eq!(book.ask(build(2), &alternatives), Ok(Answer::Granted(1)));
    assert!(!book.would_grant(build(3), &[of_worker("w", "two")]));
    assert!(book.would_grant(build(3), &[of_worker("w", "one")]));
}

#[test]
fn who_waits_with_a_choice_stands_in_all_lines_and_asking_again_keeps_its_place() {
    let mut book = book(&[("a", 1), ("b", 1), ("c", 1)]);
    for (number, text) in [(1, "a"), (2, "b"), (3, "c")] {
        ask(&mut book, build(number), &[exclusive(text)]);
    }
    assert_eq!(book.ask(build(4), &[vec![exclusive("a")], vec![exclusive("b")]]), Ok(Answer::Waiting));
    assert_eq!(ask(&mut book, build(5), &[exclusive("b")]), Answer::Waiting);
    book.release(build(2));
    assert_eq!(ask(&mut book, build(5), &[exclusive("b")]), Answer::Waiting);
    // It turns to another lock, and comes there before all who came later than its first ask.
    assert_eq!(ask(&mut book, build(6), &[exclusive("c")]), Answer::Waiting);
    assert_eq!(book.ask(build(4), &[vec![exclusive("a")], vec![exclusive("c")]]), Ok(Answer::Waiting));
    assert_eq!(ask(&mut book, build(5), &[exclusive("b")]), GRANTED);
    book.release(build(3));
    assert_eq!(ask(&mut book, build(6), &[exclusive("c")]), Answer::Waiting);
    assert_eq!(book.ask(build(4), &[vec![exclusive("a")], vec![exclusive("c")]]), Ok(Answer::Granted(1)));
}

#[test]
fn wants_for_one_lock_add_up() {
    let mut book = book(&[("a", 3)]);
    assert_eq!(ask(&mut book, build(1), &[counting("a", 1), counting("a", 1)]), GRANTED);
    assert!(
        !book.would_grant(build(2), &[counting("a", 2)]) && book.would_grant(build(2), &[counting("a", 1)])
    );
    assert_eq!(ask(&mut book, build(2), &[counting("b", 1), exclusive("b")]), GRANTED);
    assert!(!book.would_grant(build(3), &[counting("b", 1)]));
}

#[test]
fn a_step_that_asks_for_a_lock_of_its_build_is_told_so() {
    let mut book = book(&[("a", 5)]);
    assert_eq!(ask(&mut book, build(1), &[counting("a", 1)]), GRANTED);
    let error = book.ask(step(1), &[vec![counting("a", 1)]]).unwrap_err();
    assert_eq!(error.to_string(), "the build already holds the lock `a`");
    assert!(!book.would_grant(step(1), &[counting("a", 1)]));
    assert!(book.snapshot()[0].waiters.is_empty());
}

#[test]
fn a_build_that_ends_gives_back_what_its_steps_hold_and_leaves_all_lines() {
    let mut book = book(&[("a", 1), ("b", 1), ("c", 1)]);
    ask(&mut book, build(1), &[exclusive("a")]);
    ask(&mut book, step(1), &[exclusive("b")]);
    ask(&mut book, build(2), &[exclusive("c")]);
    ask(&mut book, step(2), &[exclusive("b")]);
    assert!(book.release(step(1)));
    assert_eq!(ask(&mut book, step(2), &[exclusive("b")]), GRANTED);
    ask(&mut book, step(1), &[exclusive("b")]);
    book.release(build(1));
    book.release(build(2));
    assert!(book.snapshot().iter().all(|state| state.holders.is_empty() && state.waiters.is_empty()));
    assert!(book.locks.is_empty() && book.held.is_empty() && book.waiting.is_empty());
}

#[test]
fn what_is_held_by_force_keeps_others_out_until_it_is_below_the_limit() {
    let mut book = book(&[("a", 1)]);
    ask(&mut book, build(1), &[counting("a", 1)]);
    book.hold(build(2), &[counting("a", 1)]);
    book.release(build(1));
    assert_eq!(ask(&mut book, build(3), &[counting("a", 1)]), Answer::Waiting);
    book.release(build(2));
    assert_eq!(ask(&mut book, build(3), &[counting("a", 1)]), GRANTED);
}

#[test]
fn people_are_told_who_holds_a_lock_and_who_stands_before() {
    let mut book = book(&[("a", 2), ("b", 1)]);
    ask(&mut book, build(1), &[counting("a", 1)]);
    ask(&mut book, build(2), &[exclusive("a")]);
    ask(&mut book, build(3), &[counting("a", 1), exclusive("b")]);
    let stand = |owner, mode| Stand { owner, mode };
    let expected = Blocked {
        lock: lock("a"),
        holders: vec![stand(build(1), Mode::Counting(1))],
        before: vec![stand(build(2), Mode::Exclusive)],
    };
    assert_eq!(book.blockers(build(3)), [expected]);
    assert_eq!(book.blockers(build(1)), []);
    let names: Vec<_> = book.snapshot().into_iter().map(|state| (state.name, state.waiters.len())).collect();
    assert_eq!(names, [(name("a"), 2), (name("b"), 1)]);
}

#[test]
fn who_waits_for_a_build_does_not_stand_before_it() {
    let mut book = book(&[("a", 1), ("b", 1)]);
    ask(&mut book, build(1), &[exclusive("a")]);
    assert_eq!(ask(&mut book, build(2), &[exclusive("a"), exclusive("b")]), Answer::Waiting);
    assert_eq!(ask(&mut book, build(3), &[exclusive("b")]), Answer::Waiting);
    // The third stands behind the second, and so waits for the first as well.
    assert_eq!(ask(&mut book, step(1), &[exclusive("b")]), GRANTED);
    assert_eq!(book.deadlock(step(1)), None);
}

#[test]
fn who_waits_for_a_build_through_others_does_not_stand_before_it_either() {
    let mut book = book(&[("a", 1), ("b", 1), ("c", 1)]);
    ask(&mut book, build(1), &[exclusive("a")]);
    ask(&mut book, build(2), &[exclusive("c")]);
    assert_eq!(ask(&mut book, step(2), &[exclusive("a")]), Answer::Waiting);
    assert_eq!(ask(&mut book, build(3), &[exclusive("c"), exclusive("b")]), Answer::Waiting);
    assert_eq!(ask(&mut book, step(1), &[exclusive("b")]), GRANTED);
}

#[test]
fn builds_that_wait_for_each_other_are_named_in_order_and_nobody_else_is() {
    let mut book = book(&[("db", 1), ("port", 1), ("disk", 1)]);
    for (number, text) in [(7, "db"), (9, "port"), (11, "disk")] {
        ask(&mut book, build(number), &[exclusive(text)]);
    }
    assert_eq!(ask(&mut book, step(7), &[exclusive("port")]), Answer::Waiting);
    assert_eq!(book.deadlock(step(7)), None);
    assert_eq!(ask(&mut book, step(11), &[exclusive("db")]), Answer::Waiting);
    assert_eq!(ask(&mut book, step(9), &[exclusive("db")]), Answer::Waiting);
    assert_eq!(
        book.deadlock(step(9)).unwrap().to_string(),
        "build of request 9 holds `port` and waits for `db`, held by request 7, which waits for `port`"
    );
    assert_eq!(
        book.deadlock(step(7)).unwrap().to_string(),
        "build of request 7 holds `db` and waits for `port`, held by request 9, which waits for `db`"
    );
    assert_eq!(book.deadlock(step(11)), None);
    book.withdraw(step(9));
    assert_eq!(book.deadlock(step(7)), None);
    // Through a third.
    assert_eq!(ask(&mut book, step(9), &[exclusive("disk")]), Answer::Waiting);
    assert_eq!(
        book.deadlock(step(9)).unwrap().to_string(),
        "build of request 9 holds `port` and waits for `disk`, held by request 11, which waits for `db`, \
         held by request 7, which waits for `port`"
    );
}

#[test]
fn who_could_go_on_by_another_way_is_in_no_deadlock() {
    let mut book = book(&[("a", 2), ("b", 1)]);
    ask(&mut book, build(1), &[counting("a", 1)]);
    ask(&mut book, build(2), &[counting("a", 1)]);
    ask(&mut book, build(3), &[exclusive("b")]);
    // The first waits for two others, one of which goes on.
    assert_eq!(ask(&mut book, step(3), &[counting("a", 1)]), Answer::Waiting);
    assert_eq!(ask(&mut book, step(1), &[exclusive("b")]), Answer::Waiting);
    assert_eq!((book.deadlock(step(1)), book.deadlock(step(3))), (None, None));
    assert_eq!(ask(&mut book, step(2), &[exclusive("b")]), Answer::Waiting);
    assert!(book.deadlock(step(2)).is_some() && book.deadlock(step(3)).is_some());
}

#[test]
fn a_build_that_waits_for_one_which_wants_its_lock_is_in_a_deadlock_and_so_is_the_other() {
    let mut book = book(&[("db", 1), ("port", 1)]);
    let ends = |numbers: &[i64]| numbers.iter().copied().map(BuildRequestId).collect::<BTreeSet<_>>();
    ask(&mut book, build(5), &[exclusive("db")]);
    // One that was asked for, and still stands in the queue.
    assert_eq!(ask(&mut book, build(7), &[exclusive("db")]), Answer::Waiting);
    assert_eq!(book.deadlock(build(7)), None);
    let before = book.version();
    book.set_children(BuildRequestId(5), ends(&[6, 7]));
    assert!(book.version() > before, "who waits must ask again");
    assert_eq!(
        book.deadlock(build(7)).unwrap().to_string(),
        "build of request 7 waits for `db`, held by request 5, which waits for the end of request 7"
    );
    assert_eq!(
        book.deadlock(build(5)).unwrap().to_string(),
        "build of request 5 holds `db` and waits for the end of request 7, which waits for `db`"
    );
    // Others who wait for the same lock only wait.
    assert_eq!(ask(&mut book, build(8), &[exclusive("db")]), Answer::Waiting);
    assert_eq!(book.deadlock(build(8)), None);
    book.set_children(BuildRequestId(5), BTreeSet::new());
    assert_eq!(book.deadlock(build(7)), None);
}

#[test]
fn a_deadlock_goes_through_what_a_child_waits_for() {
    let mut book = book(&[("db", 1), ("port", 1)]);
    ask(&mut book, build(1), &[exclusive("db")]);
    ask(&mut book, build(3), &[exclusive("port")]);
    book.set_children(BuildRequestId(1), [BuildRequestId(2)].into());
    assert_eq!(ask(&mut book, step(2), &[exclusive("port")]), Answer::Waiting);
    assert_eq!(book.deadlock(step(2)), None);
    assert_eq!(ask(&mut book, step(3), &[exclusive("db")]), Answer::Waiting);
    assert_eq!(
        book.deadlock(step(3)).unwrap().to_string(),
        "build of request 3 holds `port` and waits for `db`, held by request 1, which waits for the end of request 2, \
         which waits for `port`"
    );
}

#[test]
fn who_waits_for_a_build_does_not_stand_before_those_for_which_that_waits() {
    let mut book = book(&[("a", 1), ("b", 1)]);
    ask(&mut book, build(1), &[exclusive("a")]);
    ask(&mut book, build(9), &[exclusive("b")]);
    assert_eq!(ask(&mut book, build(2), &[exclusive("a"), exclusive("b")]), Answer::Waiting);
    book.set_children(BuildRequestId(1), [BuildRequestId(3)].into());
    assert_eq!(ask(&mut book, build(3), &[exclusive("b")]), Answer::Waiting);
    book.release(build(9));
    assert_eq!(ask(&mut book, build(3), &[exclusive("b")]), GRANTED);
}
