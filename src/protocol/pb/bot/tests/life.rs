//! From the login to the end, without a command.

use super::*;
use crate::protocol::pb::{jelly::decode, tests::expressions};

fn printed(text: &str) -> BotEvent {
    BotEvent::Printed(text.to_owned())
}

#[test]
fn a_worker_is_let_in_and_hears_of_its_builders_first() {
    let mut pair = Pair::new("pass1");
    pair.exchange();
    assert_eq!(pair.heard, [printed("attached")]);
    pair.order(ToWorker::SetBuilders(folders(&["b1", "b2"])));
    let list = BotEvent::Order(ToWorker::SetBuilders(folders(&["b1", "b2"])));
    assert_eq!(pair.heard, [printed("attached"), list, BotEvent::Attached]);
    let [FromWorker::Hello(info)] = &pair.news[..] else { panic!("{:?}", pair.news) };
    assert_eq!((info.text("admin"), info.0["numcpus"].as_i64()), (Some("me"), Some(2)));
}

#[test]
fn a_wrong_password_is_refused_and_nothing_more_comes() {
    let mut pair = Pair::new("pass2");
    pair.exchange();
    let [BotEvent::Refused(reason)] = &pair.heard[..] else { panic!("{:?}", pair.heard) };
    assert!(reason.contains("does not know this name"), "{reason}");
    pair.bot.keep_alive();
    pair.say(FromWorker::WantsShutdown);
    assert_eq!((pair.heard.len(), pair.news.len()), (1, 0));
}

/// So Buildbot refuses a second worker of one name.
#[test]
fn any_other_failure_of_a_login_is_its_refusal_with_its_reason() {
    let mut bot = BotSession::new(identity("pass1"), info());
    bot.hear(b"\x02\x80\x02\x82pb\x04\x82none\x02\x80\x13\x87\x06\x81").unwrap();
    let mut failure = Failure::new(RUNTIME_ERROR, "rejecting duplicate worker");
    failure.traceback = "File somewhere, line 1".into();
    // It lets go of the worker before it says so.
    bot.hear(b"\x02\x80\x1d\x87\x01\x81").unwrap();
    let mut to = crate::protocol::pb::encoder::Encoder::default();
    to.list(3);
    to.bytes(b"error");
    to.int(1);
    crate::protocol::pb::jelly::encode(&failure.write(), &mut to);
    bot.hear(&to.take().unwrap()).unwrap();
    let reason = "builtins.RuntimeError: rejecting duplicate worker".to_owned();
    assert_eq!((bot.poll_event(), bot.poll_event()), (Some(BotEvent::Refused(reason)), None));
}

#[test]
fn a_master_that_lets_go_of_its_worker_loses_the_connection() {
    let mut master = PlainMaster::attached(&[]);
    let error = master.bot.hear(b"\x02\x80\x1d\x87\x01\x81").unwrap_err();
    assert!(matches!(error, PbError::LoggedOut), "{error}");
}

#[test]
fn what_a_worker_tells_of_itself_keeps_its_types() {
    let info = serde_json::json!({
        "admin": "me\n", "numcpus": 2, "delete_leftover_dirs": false, "load": 0.5, "none": null, "list": ["a", 1],
        "environ": { "PATH": "/bin", "LONG": "x".repeat(655_361) }, "worker_commands": { "shell": "3.2" },
    });
    let bot = BotSession::new(identity("pass1"), serde_json::from_value(info).unwrap());
    let mut master = PlainMaster::attached_to(bot, &[]);
    let info = master.ask("getWorkerInfo", &[]).unwrap();
    for (key, value) in [
        ("admin", Value::text("me\n")),
        ("numcpus", Value::Int(2)),
        ("delete_leftover_dirs", Value::Bool(false)),
        ("load", Value::Float(0.5)),
        ("none", Value::None),
        ("list", Value::List(vec![Value::text("a"), Value::Int(1)])),
        // What would end the connection is left out.
        ("environ", Value::dict([("PATH", Value::text("/bin"))])),
        ("worker_commands", Value::dict([("shell", Value::text("3.2"))])),
    ] {
        assert_eq!(info.field(key), Some(&value), "{key}");
    }
    assert_eq!(master.ask("getCommands", &[]), Ok(Value::dict([("shell", Value::text("3.2"))])));
    assert!(master.ask("getVersion", &[]).unwrap_err().is("twisted.spread.flavors.NoSuchMethod"));
}

#[test]
fn a_worker_that_does_not_say_what_it_knows_knows_all_commands_by_all_their_names() {
    let mut info = info();
    info.0.insert("version".into(), "0.1.0".into());
    let mut master = PlainMaster::attached_to(BotSession::new(identity("pass1"), info), &[]);
    let commands = master.ask("getCommands", &[]).unwrap();
    let names = "cpdir downloadFile download_file glob listdir mkdir rmdir rmfile shell stat uploadDirectory uploadFile \
                 upload_directory upload_file";
    let told: Vec<_> = commands.as_pairs().unwrap().iter().map(|(name, _)| name.as_text().unwrap()).collect();
    assert_eq!(told.join(" "), names);
    assert!(commands.as_pairs().unwrap().iter().all(|(_, version)| *version == Value::text("3.3")));
    assert_eq!(master.ask("getWorkerInfo", &[]).unwrap().field("worker_commands"), Some(&commands));
    assert_eq!(master.ask("getVersion", &[]), Ok(Value::text("0.1.0")));
}

#[test]
fn what_a_master_prints_is_heard_and_answered() {
    let mut master = PlainMaster::attached(&["b1"]);
    assert_eq!(master.ask("print", &[Value::text("keepalive")]), Ok(Value::None));
    assert_eq!(master.ask_builder("b1", "print", &[Value::Bytes("old".into())]), Ok(Value::None));
    assert_eq!(master.heard, [printed("keepalive"), printed("old")]);
}

#[test]
fn a_keepalive_is_answered_and_there_is_no_second_before_that() {
    let mut master = PlainMaster::attached(&[]);
    for _ in 0..3 {
        master.bot.keep_alive();
        master.exchange();
    }
    assert_eq!(master.methods(), ["keepalive"]);
    master.answer(&Value::None);
    assert_eq!(master.heard, [BotEvent::KeptAlive]);
    // A failure is a sign of life, too.
    master.bot.keep_alive();
    master.exchange();
    master.refuse("builtins.ValueError", "no");
    let failed = BotEvent::Failed("a keepalive was answered by a failure: builtins.ValueError: no".into());
    assert_eq!(master.heard[1..], [failed, BotEvent::KeptAlive]);
    master.bot.keep_alive();
    master.exchange();
    assert_eq!(master.methods(), ["keepalive"]);
}

#[test]
fn no_keepalive_goes_before_the_worker_is_in() {
    let mut pair = Pair::new("pass1");
    pair.bot.keep_alive();
    assert_eq!(pair.bot.output_len(), 0);
}

#[test]
fn a_worker_that_wishes_to_stop_says_so_also_if_it_was_not_in_yet() {
    let mut pair = Pair::new("pass1");
    pair.say(FromWorker::WantsShutdown);
    assert!(matches!(pair.news[..], [FromWorker::Hello(_)]), "{:?}", pair.news);
    pair.order(ToWorker::SetBuilders(Vec::new()));
    assert_eq!(pair.news[1..], [FromWorker::WantsShutdown]);
    pair.say(FromWorker::WantsShutdown);
    assert_eq!(pair.news[2..], [FromWorker::WantsShutdown]);
    pair.order(ToWorker::Shutdown);
    assert_eq!(pair.heard.last(), Some(&BotEvent::Order(ToWorker::Shutdown)));
}

#[test]
fn a_wish_to_stop_that_is_not_heard_is_told_for_the_log() {
    let mut master = PlainMaster::attached(&[]);
    master.say(FromWorker::WantsShutdown);
    assert_eq!(master.methods(), ["shutdown"]);
    master.refuse("twisted.spread.flavors.NoSuchMethod", "");
    assert!(
        matches!(&master.heard[..], [BotEvent::Failed(why)] if why.contains("NoSuchMethod")),
        "{:?}",
        master.heard
    );
    assert_eq!(master.ask("shutdown", &[]), Ok(Value::None));
    assert_eq!(master.heard[1..], [BotEvent::Order(ToWorker::Shutdown)]);
}

#[test]
fn builders_keep_their_objects_and_a_list_that_is_none_changes_nothing() {
    let mut master = PlainMaster::attached(&["b1", "b2"]);
    let list = |names: &[&str]| {
        let pair =
            |name: &&str| Value::List(vec![Value::Bytes((*name).to_owned().into()), Value::text("dir")]);
        [Value::List(names.iter().map(pair).collect())]
    };
    let answer = master.ask("setBuilderList", &list(&["b2", "b3", "b2"])).unwrap();
    let answer = answer.as_pairs().unwrap();
    assert_eq!(answer.len(), 2, "one object for a name: {answer:?}");
    assert_eq!(answer[0], (Value::text("b2"), Value::Remote(3)));
    assert_eq!(answer[1], (Value::text("b3"), Value::Remote(4)));
    master.heard.clear();
    let long = "x".repeat(5000);
    for wrong in [
        vec![],
        vec![Value::Int(3)],
        vec![Value::List(vec![Value::text("b1")])],
        vec![Value::List(vec![Value::Tuple(vec![Value::text("b1"), Value::Int(1)])])],
        list(&[&long]).to_vec(),
    ] {
        let failure = master.ask("setBuilderList", &wrong).unwrap_err();
        assert!(failure.is("builtins.ValueError"), "{failure}");
    }
    assert_eq!(master.heard, []);
    let many: Vec<String> = (0..4096).map(|number| number.to_string()).collect();
    let many: Vec<&str> = many.iter().map(String::as_str).collect();
    assert!(
        master.ask("setBuilderList", &list(&many)).unwrap_err().value.contains("Maximum"),
        "it has a bound"
    );
    assert!(master.ask("setBuilderList", &list(&many[..4000])).is_ok());
}

#[test]
fn what_is_no_call_of_a_worker_is_answered_by_a_failure_and_what_came_with_it_is_given_back() {
    let mut master = PlainMaster::attached(&["b1"]);
    for (method, kind) in
        [("dance", "twisted.spread.flavors.NoSuchMethod"), ("startCommand", "builtins.TypeError")]
    {
        let object = master.publish();
        let failure = master.ask_builder("b1", method, &[Value::Remote(object)]).unwrap_err();
        assert!(failure.is(kind), "{failure}");
    }
    let object = master.publish();
    assert_eq!(master.ask_builder("b1", "setMaster", &[Value::Remote(object)]), Ok(Value::None));
    assert!(master.ask("dance", &[]).unwrap_err().is("twisted.spread.flavors.NoSuchMethod"));
    assert_eq!(master.held(), 0);
}

#[test]
fn a_session_shows_neither_its_password_nor_its_environment_nor_what_commands_say() {
    let mut pair = Pair::attached(&["b1"]);
    let id = pair.begin("1", "b1", shell());
    pair.update(&id, stdout(b"sesame\n"));
    pair.update(&id, stdout(b"sesame"));
    let shown = format!("{:?}", pair.bot);
    assert!(shown.contains("w1") && shown.contains("b1"), "{shown}");
    assert!(!shown.contains("sesame") && !shown.contains("pass1") && !shown.contains("make"), "{shown}");
}

#[test]
fn the_first_thing_said_is_a_login_by_name_and_the_challenge_is_given_back() {
    let mut bot = BotSession::new(identity("pass1"), WorkerInfo::default());
    assert_eq!(bot.poll_output(), None, "the master speaks first");
    bot.hear(b"\x02\x80\x02\x82pb\x04\x82none").unwrap();
    let said = bot.poll_output().unwrap();
    assert_eq!(said[..4], *b"\x02\x82pb");
    let said = expressions(&said[4..]);
    assert_eq!(said[1].to_string(), "(<message> 1 'root' <login> 1 (<tuple> 'w1') (<dictionary>))");
    assert_eq!(decode(said[0].clone()), Value::Opaque, "it is the version");
    let mut master = PlainMaster::attached(&[]);
    assert_eq!(master.held(), 0, "the avatar alone is kept");
    assert_eq!(master.ask("print", &[]), Ok(Value::None));
}

/// A friend, but one that is never listened to.
#[test]
fn who_asks_much_and_reads_nothing_loses_the_connection() {
    let mut bot = BotSession::new(identity("pass1"), WorkerInfo::default());
    bot.hear(b"\x02\x80\x02\x82pb\x04\x82none\x02\x80\x13\x87\x06\x81").unwrap();
    let call =
        b"\x07\x80\x1a\x87\x01\x81\x7f\x81\x01\x82x\x01\x81\x01\x80\x0b\x87\x01\x80\x05\x87".repeat(4000);
    let ended = (0..100).find_map(|_| bot.hear(&call).err());
    assert!(matches!(ended, Some(PbError::Unread { .. })), "{ended:?} {}", bot.output_len());
}

#[test]
fn a_session_that_is_idle_holds_nothing() {
    let mut pair = Pair::attached(&["b1"]);
    let id = pair.begin("1", "b1", shell());
    pair.update(&id, stdout(b"line\n"));
    pair.complete(&id, None);
    assert_eq!((pair.bot.output_len(), pair.bot.due(), pair.bot.commands.len()), (0, None, 0));
    assert_eq!((pair.bot.unheard, pair.bot.events.capacity()), (0, 0));
}

#[test]
fn a_reconnect_is_a_new_session_that_knows_nothing_of_the_earlier() {
    let mut pair = Pair::attached(&["b1"]);
    let earlier = pair.begin("1", "b1", shell());
    let mut pair = Pair::attached(&["b1"]);
    pair.update(&earlier, stdout(b"late\n"));
    pair.complete(&earlier, None);
    assert_eq!((pair.news.len(), pair.bot.output_len()), (0, 0));
    let id = pair.begin("1", "b1", shell());
    pair.complete(&id, None);
    assert_eq!(pair.news, [FromWorker::Complete { id: CommandId::new("1"), failure: None }]);
}
