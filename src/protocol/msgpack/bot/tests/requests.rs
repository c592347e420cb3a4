//! What a master asks, and what it is answered.

use super::{super::calls::MAX_COMMANDS, *};
use crate::protocol::{
    ShellArguments,
    bot::gather::{MOST_BYTES, WAIT},
};

fn shell() -> Value {
    map([("workdir", "/w".into()), ("command", "make".into())])
}

fn settings(changed: &str, value: Option<Value>) -> Value {
    let mut settings = vec![
        ("buffer_size", 65_536.into()),
        ("buffer_timeout", 5.into()),
        ("newline_re", "\n".into()),
        ("max_line_length", 4096.into()),
    ];
    settings.retain(|(name, _)| *name != changed);
    settings.extend(value.map(|value| (changed, value)));
    Value::Map(settings.into_iter().map(|(name, value)| (name.into(), value)).collect())
}

#[test]
fn a_worker_is_attached_once_its_master_knows_who_it_is() {
    let mut talk = Talk::new();
    assert_eq!(talk.ask("print", vec![("message", "attached".into())]), Ok(Value::Nil));
    assert_eq!(talk.events(), [BotEvent::Printed("attached".into())]);
    let info = talk.ask("get_worker_info", vec![]).unwrap();
    assert_eq!(talk.events(), [BotEvent::Attached]);
    assert_eq!(
        (&info["basedir"], &info["load"], &info["negative"]),
        (&"/w".into(), &0.5.into(), &(-3).into())
    );
    assert_eq!(info["environ"]["HOME"], "/home/me".into());
    assert_eq!((&info["delete_leftover_dirs"], &info["lunabot_hides_words"]), (&false.into(), &true.into()));
    talk.ask("get_worker_info", vec![]).unwrap();
    assert_eq!(talk.events(), []);
}

#[test]
fn what_a_worker_says_of_itself_is_told_as_it_is_and_only_what_lacks_is_added() {
    let facts = json!({
        "environ": {}, "worker_commands": { "shell": "9.9" }, "delete_leftover_dirs": true, "lunabot_hides_words": false,
        "null": null, "list": ["a", 1], "large": u64::MAX,
    });
    let mut talk = Talk::new();
    talk.bot = BotSession::new(WorkerInfo(serde_json::from_value(facts).unwrap()));
    let info = talk.ask("get_worker_info", vec![]).unwrap();
    assert_eq!(info.as_map().unwrap().len(), 7);
    assert_eq!(info["worker_commands"], map([("shell", "9.9".into())]));
    assert_eq!((&info["delete_leftover_dirs"], &info["lunabot_hides_words"]), (&true.into(), &false.into()));
    assert_eq!((&info["list"], &info["null"]), (&list(["a".into(), 1.into()]), &Value::Nil));
    assert_eq!((&info["large"], &info["environ"]), (&u64::MAX.into(), &map([])));
}

#[test]
fn what_a_worker_tells_of_its_environment_is_shown_nowhere() {
    let mut talk = Talk::new();
    talk.ask("get_worker_info", vec![]).unwrap();
    let events = talk.events();
    let shown = format!("{:?} {events:?}", talk.bot);
    assert!(!shown.contains("sesame") && !shown.contains("/home/me"), "{shown}");
}

#[test]
fn output_is_gathered_no_longer_than_a_master_wishes_and_than_this_worker_does() {
    for (changed, value, wait, bytes) in [
        ("none", None, WAIT, MOST_BYTES),
        ("buffer_timeout", Some(0.007.into()), Duration::from_millis(7), MOST_BYTES),
        ("buffer_timeout", Some(0.into()), Duration::ZERO, MOST_BYTES),
        ("buffer_size", Some(9.into()), WAIT, 9),
        ("buffer_size", Some(u64::MAX.into()), WAIT, MOST_BYTES),
    ] {
        let mut talk = Talk::with("early", "shell", shell());
        assert_eq!(talk.ask("set_worker_settings", vec![("args", settings(changed, value))]), Ok(Value::Nil));
        talk.start("late", "shell", shell());
        talk.say(output("early", LogStream::Stdout, "some words\n"), 0);
        assert_eq!(talk.bot.due(), Some(at(talk.begin, 0).instant + WAIT));
        talk.say(output("late", LogStream::Stdout, "some words\n"), 0);
        let due = talk.bot.due().unwrap();
        let was_sent = talk.request().is_some_and(|request| request["command_id"] == "late".into());
        assert_eq!(was_sent, bytes < 11 || wait.is_zero(), "{changed}");
        assert_eq!(due, at(talk.begin, 0).instant + if was_sent { WAIT } else { wait }, "{changed}");
    }
}

#[test]
fn settings_of_which_one_lacks_or_makes_no_sense_are_refused() {
    for (changed, value) in [
        ("buffer_size", None),
        ("buffer_timeout", None),
        ("newline_re", None),
        ("max_line_length", None),
        ("buffer_size", Some("9".into())),
        ("buffer_size", Some((-9).into())),
        ("buffer_timeout", Some(Value::Nil)),
        ("buffer_timeout", Some((-1).into())),
        ("buffer_timeout", Some(f64::NAN.into())),
    ] {
        let mut talk = Talk::new();
        let why =
            talk.ask("set_worker_settings", vec![("args", settings(changed, value))]).expect_err(changed);
        assert!(why.contains(changed) || why.contains("obligatory settings"), "{why}");
        assert_eq!(talk.bot.bounds, Bounds::default());
    }
    let why = Talk::new().ask("set_worker_settings", vec![]).expect_err("no settings");
    assert_eq!(why, "message did not contain obligatory \"args\" key");
}

#[test]
fn an_id_that_runs_is_not_started_again_until_it_has_ended() {
    let mut talk = Talk::with("1", "shell", shell());
    let fields = || vec![("command_id", "1".into()), ("command_name", "shell".into()), ("args", shell())];
    assert_eq!(talk.ask("start_command", fields()), Err("(command 1): it runs already".into()));
    assert_eq!(talk.events(), []);
    talk.say(complete("1", None), 0);
    assert_eq!(talk.ops(), ["complete"]);
    assert_eq!(talk.ask("start_command", fields()), Ok(Value::Nil));
}

#[test]
fn late_answers_are_not_taken_for_those_of_a_later_command_with_the_same_id() {
    let mut talk = Talk::with("1", "upload_file", transfers::file());
    talk.say(moved("1", Transfer::Write(Bytes::from_static(b"x"))), 0);
    let block = talk.request().unwrap();
    talk.say(moved("1", Transfer::Close), 0);
    let close = talk.request().unwrap();
    talk.answer(&close, Value::Nil);
    talk.say(complete("1", None), 0);
    talk.take("complete");
    talk.start("1", "upload_file", transfers::file());
    talk.except(&block, "the disk is full");
    assert_eq!(talk.events(), []);
    talk.say(complete("1", None), 0);
    assert_eq!(talk.take("complete")["args"], Value::Nil);
}

#[test]
fn so_many_commands_run_at_once_and_no_more() {
    let mut talk = Talk::new();
    for number in 0..MAX_COMMANDS {
        talk.start(&number.to_string(), "shell", shell());
    }
    let fields = vec![("command_id", "x".into()), ("command_name", "shell".into()), ("args", shell())];
    let why = talk.ask("start_command", fields).expect_err("the limit");
    assert_eq!(why, "(command x): 512 commands run already, which is the limit");
}

#[test]
fn an_interrupt_reaches_its_command_and_one_that_comes_too_late_is_answered_too() {
    let mut talk = Talk::with("1", "shell", shell());
    let fields =
        |id: &str| vec![("command_id", id.into()), ("why", "enough".into()), ("builder_name", "b".into())];
    assert_eq!(talk.ask("interrupt_command", fields("1")), Ok(Value::Nil));
    assert_eq!(talk.events(), [interrupt("1", "enough")]);
    assert_eq!(talk.ask("interrupt_command", fields("2")), Ok(Value::Nil));
    talk.say(complete("1", None), 0);
    assert_eq!(talk.ask("interrupt_command", fields("1")), Ok(Value::Nil));
    assert_eq!(talk.events(), []);
    assert!(talk.ask("interrupt_command", vec![("why", "enough".into())]).is_err());
}

#[test]
fn an_interrupt_of_lunabots_master_ends_its_command() {
    let mut pair = Pair::attached();
    pair.start("1", WorkerCommand::Shell(Box::new(ShellArguments::sample("make"))));
    pair.order(ToWorker::Interrupt { id: CommandId::new("1"), why: "enough".into() });
    assert_eq!(pair.heard.pop(), Some(interrupt("1", "enough")));
    pair.say(output("1", LogStream::Header, "command interrupted: enough\n"));
    pair.say(news("1", Update::Rc(-1)));
    pair.say(complete("1", None));
    let wanted = [
        output("1", LogStream::Header, "command interrupted: enough\n"),
        news("1", Update::Rc(-1)),
        complete("1", None),
    ];
    assert_eq!(pair.told(), wanted);
}

#[test]
fn a_ping_of_lunabots_master_is_answered_and_its_word_to_stop_heard() {
    let mut pair = Pair::attached();
    pair.order(ToWorker::Ping(7));
    assert_eq!(pair.told(), [FromWorker::Pong(7)]);
    pair.order(ToWorker::Shutdown);
    assert_eq!(pair.heard, [BotEvent::Order(ToWorker::Shutdown)]);
    pair.bot.keep_alive();
    assert_eq!((pair.bot.poll_output(), pair.bot.due()), (None, None));
}

#[test]
fn lunabots_master_hears_that_a_worker_wishes_to_stop() {
    let mut pair = Pair::attached();
    pair.say(FromWorker::WantsShutdown);
    assert_eq!((pair.told(), pair.heard.len()), (vec![FromWorker::WantsShutdown], 0));
    pair.say(FromWorker::WantsShutdown);
    assert_eq!(pair.told(), [FromWorker::WantsShutdown]);
}

#[test]
fn a_wish_to_stop_is_told_once_the_master_knows_whose_it_is() {
    let mut talk = Talk::new();
    talk.say(FromWorker::WantsShutdown, 0);
    talk.say(FromWorker::WantsShutdown, 0);
    assert_eq!(talk.ops(), [""; 0]);
    talk.ask("get_worker_info", vec![]).unwrap();
    let request = talk.request().unwrap();
    assert_eq!(request["op"], "request_shutdown".into());
    talk.say(FromWorker::WantsShutdown, 0);
    assert_eq!(talk.ops(), [""; 0]);
    talk.events();
    // Buildbot's master knows no such word.
    talk.except(&request, "Command request_shutdown does not exist.");
    let [BotEvent::Failed(why)] = &talk.events()[..] else { panic!("one line") };
    assert!(why.starts_with("the master does not know") && why.ends_with("does not exist."), "{why}");
    // It may wish so again.
    talk.say(FromWorker::WantsShutdown, 0);
    assert_eq!(talk.ops(), ["request_shutdown"]);
}

#[test]
fn a_master_hears_of_a_wish_to_stop_once_the_worker_is_attached() {
    let mut master = MasterSession::new("link");
    let asked = map([("op", "request_shutdown".into()), ("seq_number", 0.into())]);
    master.handle_message(&written(&asked)).unwrap();
    let answer = std::iter::from_fn(|| master.poll_output()).last().unwrap();
    let answer = rmpv::decode::read_value(&mut answer.as_ref()).unwrap();
    assert_eq!((&answer["seq_number"], &answer["result"]), (&0.into(), &Value::Nil));
    assert_eq!(master.poll_event(), None);
    let info = map([("basedir", "/w".into())]);
    let introduced = map([("op", "response".into()), ("seq_number", 1.into()), ("result", info)]);
    master.handle_message(&written(&introduced)).unwrap();
    master.handle_order(ToWorker::SetBuilders(vec![])).unwrap();
    let events: Vec<_> = std::iter::from_fn(|| master.poll_event()).skip(1).collect();
    assert_eq!(events, [SessionEvent::Attached, SessionEvent::Message(FromWorker::WantsShutdown)]);
}
