//! Workers that go missing, and the mails about them, as a relay of somebody else takes them.

use serde_json::Value;

use crate::support::{
    master::{HEAD, MasterDir, Process, eventually},
    real_worker::{RealWorker, free_port},
    skip::{needs_real_workers, needs_smtp},
    smtp::{Mail, Smtp, Tls},
};

const BOB: &str = "notify_on_missing = 'bob@example.com'";

/// Workers that never come, each with these options, and these reporters.
fn config(workers: &[(&str, &str)], reporters: &str) -> String {
    let workers: Vec<String> = workers
        .iter()
        .map(|(name, options)| format!("worker.Worker('{name}', 'sesame', {{ {options} }})"))
        .collect();
    format!(
        "{HEAD}local reporters = require('buildbot.plugins').reporters\n\
         c.protocols = {{ pb = {{ port = 'tcp:{}:interface=127.0.0.1' }} }}\n\
         c.workers = {{ {} }}\nc.reporters = {{ {reporters} }}\n",
        free_port(),
        workers.join(", ")
    )
}

/// A reporter of this name that sends to this port.
fn notifier(name: &str, port: u16) -> String {
    format!(
        "reporters.MailNotifier('Build <buildbot@example.org>', 'localhost', {{ name = '{name}', smtpPort = {port}, builders = {{}} }})"
    )
}

fn outbox(dir: &MasterDir) -> Vec<Value> {
    dir.json("outbox", &[])["outbox"].as_array_mut().map(std::mem::take).unwrap_or_default()
}

/// Waits until all that is to be sent is sent.
fn wait_until_empty(dir: &MasterDir) {
    eventually("an empty outbox", || outbox(dir).is_empty().then_some(()));
}

/// Waits until the first letter has an error that holds this text; the letter.
fn wait_for_error(dir: &MasterDir, text: &str) -> Value {
    eventually(&format!("the error {text}"), || {
        let letter = outbox(dir).into_iter().next()?;
        letter["last_error"].as_str().is_some_and(|error| error.contains(text)).then_some(letter)
    })
}

/// A header of a mail, on one line.
fn header(mail: &Mail, name: &str) -> String {
    let head = mail.text.split("\r\n\r\n").next().unwrap_or_default().replace("\r\n ", " ");
    let found = head.lines().find_map(|line| line.strip_prefix(name)?.strip_prefix(": "));
    found.unwrap_or_else(|| panic!("no {name}: {}", mail.text)).to_owned()
}

/// The text that people read.
fn text(mail: &Mail) -> String {
    let mail = mail_parser::MessageParser::default().parse(mail.text.as_bytes()).expect("a mail");
    mail.body_text(0).expect("a mail has a text").into_owned()
}

fn killed(mut master: Process) {
    master.signal("KILL");
    master.wait();
}

#[test]
fn of_a_loss_each_person_has_one_mail_though_there_are_three_reporters() {
    needs_smtp!("of_a_loss_each_person_has_one_mail_though_there_are_three_reporters");
    let smtp = Smtp::start(Tls::None, &[]);
    let three = ["one", "two", "three"].map(|name| notifier(name, smtp.port())).join(", ");
    let both = "missing_timeout = 1, notify_on_missing = { 'bob@example.com', 'Alice <alice@example.org>' }";
    let dir = MasterDir::new(&config(&[("bot-solaris", both)], &three));
    let master = dir.start();
    let mails = smtp.wait_for(1);
    assert_eq!(mails[0].envelope["from"], "buildbot@example.org");
    assert_eq!(header(&mails[0], "To"), "alice@example.org, bob@example.com");
    assert_eq!(header(&mails[0], "Subject"), "Buildbot Lunabot worker bot-solaris missing");
    assert_eq!(header(&mails[0], "Auto-Submitted"), "auto-generated");
    wait_until_empty(&dir);
    let told = dir.worker("bot-solaris");
    assert!(told["missing_reported_at"].is_i64(), "{told}");
    // Neither a restart nor a kill tells of it again.
    killed(master);
    let mut master = dir.start();
    assert!(dir.run("stop", &[]).status.success());
    master.wait();
    let _master = dir.start();
    // Another one is told of meanwhile, which is away for as long.
    let text = std::fs::read_to_string(dir.file("master.cfg.lua")).unwrap();
    dir.reload(&text.replace(
        "c.workers = { ",
        &format!("c.workers = {{ worker.Worker('bot-bsd', 'sesame', {{ {both} }}), "),
    ));
    let mails = smtp.wait_for(2);
    assert_eq!(header(&mails[1], "Subject"), "Buildbot Lunabot worker bot-bsd missing");
    assert_eq!(mails.len(), 2);
}

#[test]
fn without_any_reporter_the_master_writes_in_its_own_name_to_the_relay_of_its_machine() {
    let dir = MasterDir::new(&config(&[("bot-solaris", &format!("missing_timeout = 1, {BOB}"))], ""));
    let _master = dir.start();
    let letter = eventually("the letter", || outbox(&dir).into_iter().next());
    assert_eq!(letter["reporter"], "the default MailNotifier");
    assert!(letter["sender"].as_str().unwrap().starts_with("buildbot@"), "{letter}");
    assert_eq!(letter["recipients"], serde_json::json!(["bob@example.com"]));
}

#[test]
fn five_hundred_workers_that_are_lost_at_once_are_one_mail_to_each_person() {
    needs_smtp!("five_hundred_workers_that_are_lost_at_once_are_one_mail_to_each_person");
    let smtp = Smtp::start(Tls::None, &[]);
    let names: Vec<String> = (0..500).map(|number| format!("w{number}")).collect();
    let options = format!("missing_timeout = 1, {BOB}");
    let workers: Vec<(&str, &str)> = names.iter().map(|name| (name.as_str(), options.as_str())).collect();
    let dir = MasterDir::new(&config(&workers, &notifier("mail", smtp.port())));
    let _master = dir.start();
    let mails = smtp.wait_for(1);
    assert!(header(&mails[0], "Subject").contains("500 workers missing"), "{}", mails[0].text);
    wait_until_empty(&dir);
    assert_eq!(smtp.mails().len(), 1);
    let missing = dir.json("workers", &[])["workers"].as_array().unwrap().len();
    assert_eq!(missing, 500);
}

#[test]
fn a_reload_that_shortens_the_timeout_counts_from_the_loss() {
    needs_smtp!("a_reload_that_shortens_the_timeout_counts_from_the_loss");
    let smtp = Smtp::start(Tls::None, &[]);
    let text =
        config(&[("bot-solaris", &format!("missing_timeout = 3600, {BOB}"))], &notifier("mail", smtp.port()));
    let dir = MasterDir::new(&text);
    let _master = dir.start();
    let absent_since = dir.worker("bot-solaris")["absent_since"].clone();
    assert!(outbox(&dir).is_empty());
    dir.reload(&text.replace("3600", "1"));
    smtp.wait_for(1);
    wait_until_empty(&dir);
    assert_eq!(dir.worker("bot-solaris")["absent_since"], absent_since);
}

#[test]
fn a_real_worker_that_dies_is_told_of_once_with_the_build_that_it_lost_and_again_when_it_is_back() {
    needs_smtp!(
        "a_real_worker_that_dies_is_told_of_once_with_the_build_that_it_lost_and_again_when_it_is_back"
    );
    needs_real_workers!(
        "a_real_worker_that_dies_is_told_of_once_with_the_build_that_it_lost_and_again_when_it_is_back"
    );
    let smtp = Smtp::start(Tls::None, &[]);
    let port = free_port();
    let plain = "generators = { reporters.WorkerMissingGenerator() }";
    let config = format!(
        "{HEAD}local reporters = require('buildbot.plugins').reporters\n\
         c.protocols = {{ pb = {{ port = 'tcp:{port}:interface=127.0.0.1' }} }}\n\
         c.workers = {{ worker.Worker('w1', 'sesame', {{ missing_timeout = 3600, notify_on_return = true, {BOB} }}) }}\n\
         c.builders = {{ util.BuilderConfig {{ name = 'b', workername = 'w1', \
           factory = util.BuildFactory {{ steps.ShellCommand {{ command = 'touch here; sleep 60' }} }} }} }}\n\
         c.schedulers = {{ schedulers.ForceScheduler('force', {{ 'b' }}) }}\n\
         c.reporters = {{ reporters.MailNotifier {{ fromaddr = 'ci@example.org', smtpPort = {}, {plain} }} }}\n",
        smtp.port()
    );
    let dir = MasterDir::new(&config);
    let _master = dir.start();
    let mut worker = RealWorker::start(port, "w1", "sesame");
    worker.wait_attached(1);
    // Only now: until a worker has come for the first time it is away as well.
    dir.reload(&config.replace("3600", "2"));
    assert!(dir.run("force", &["b"]).status.success());
    eventually("the build", || worker.build_dir("b").join("here").exists().then_some(()));
    worker.kill();
    let mails = smtp.wait_for(1);
    assert!(text(&mails[0]).contains("b/1"), "{}", text(&mails[0]));
    worker.run();
    let mails = smtp.wait_for(2);
    assert!(header(&mails[1], "Subject").contains("back"), "{}", mails[1].text);
    wait_until_empty(&dir);
    assert_eq!(smtp.mails().len(), 2);
    assert!(dir.worker("w1")["missing_reported_at"].is_null());
}

#[test]
fn a_letter_outlives_a_kill_and_a_relay_that_is_down_and_is_sent_once_when_the_operator_asks() {
    needs_smtp!("a_letter_outlives_a_kill_and_a_relay_that_is_down_and_is_sent_once_when_the_operator_asks");
    let port = free_port();
    let dir =
        MasterDir::new(&config(&[("w1", &format!("missing_timeout = 1, {BOB}"))], &notifier("mail", port)));
    let master = dir.start();
    let letter = wait_for_error(&dir, "onnection refused");
    assert!(letter["next_try_at"].is_i64(), "{letter}");
    let mut master = {
        killed(master);
        dir.start()
    };
    let smtp = Smtp::start(Tls::None, &["--port", &port.to_string()]);
    let id = letter["letterid"].to_string();
    assert!(dir.run("outbox", &["retry", &id]).status.success());
    let mails = smtp.wait_for(1);
    assert!(
        header(&mails[0], "Message-ID").contains(letter["message_id"].as_str().unwrap()),
        "{}",
        mails[0].text
    );
    wait_until_empty(&dir);
    assert!(dir.run("stop", &[]).status.success());
    master.wait();
    let _master = dir.start();
    wait_until_empty(&dir);
    assert_eq!(smtp.mails().len(), 1);
}

#[test]
fn killed_between_the_relays_yes_and_its_own_note_a_master_sends_the_same_letter_again() {
    needs_smtp!("killed_between_the_relays_yes_and_its_own_note_a_master_sends_the_same_letter_again");
    let port = free_port();
    let late = Smtp::start(Tls::None, &["--port", &port.to_string(), "--late", "60"]);
    let dir =
        MasterDir::new(&config(&[("w1", &format!("missing_timeout = 1, {BOB}"))], &notifier("mail", port)));
    let master = dir.start();
    let first = late.wait_for(1);
    killed(master);
    drop(late);
    let smtp = Smtp::start(Tls::None, &["--port", &port.to_string()]);
    let _master = dir.start();
    let second = smtp.wait_for(1);
    assert_eq!(header(&first[0], "Message-ID"), header(&second[0], "Message-ID"));
    wait_until_empty(&dir);
    assert_eq!(smtp.mails().len(), 1);
}

#[test]
fn a_relay_that_cannot_take_it_now_is_asked_again_and_one_that_never_takes_it_is_not() {
    needs_smtp!("a_relay_that_cannot_take_it_now_is_asked_again_and_one_that_never_takes_it_is_not");
    for (options, error, is_given_up) in [
        (&["--rcpt", "451 4.3.0 try later"][..], "451", false),
        (&["--data", "452 4.3.1 no space"], "452", false),
        (&["--drop"], "", false),
        (&["--rcpt", "550 5.1.1 no such user"], "550", true),
        (&["--data", "554 5.7.1 spam"], "554", true),
    ] {
        let smtp = Smtp::start(Tls::None, options);
        let workers = [("w1", &*format!("missing_timeout = 1, {BOB}"))];
        let dir = MasterDir::new(&config(&workers, &notifier("mail", smtp.port())));
        let _master = dir.start();
        let letter = wait_for_error(&dir, error);
        assert_eq!(letter["given_up_at"].is_i64(), is_given_up, "{options:?}: {letter}");
        assert_eq!(letter["attempts"], 1, "{options:?}: {letter}");
        assert_eq!(dir.run("outbox", &["drop", &letter["letterid"].to_string()]).status.code(), Some(0));
        wait_until_empty(&dir);
    }
}

#[test]
fn what_a_relay_takes_for_some_goes_to_the_others_alone_later() {
    needs_smtp!("what_a_relay_takes_for_some_goes_to_the_others_alone_later");
    let smtp = Smtp::start(Tls::None, &["--rcpt", "450 4.2.1 busy", "--rcpt-of", "bob@example.com"]);
    let options = "missing_timeout = 1, notify_on_missing = { 'bob@example.com', 'alice@example.org' }";
    let dir = MasterDir::new(&config(&[("w1", options)], &notifier("mail", smtp.port())));
    let _master = dir.start();
    let letter = wait_for_error(&dir, "bob@example.com: 450 4.2.1 busy");
    assert_eq!(letter["recipients"], serde_json::json!(["bob@example.com"]));
    assert_eq!(smtp.mails()[0].envelope["to"], serde_json::json!(["alice@example.org"]));
}
