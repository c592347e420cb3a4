//! Mails about builds, as a relay of somebody else takes them.

use crate::support::{
    master::{HEAD, MasterDir, eventually},
    skip::needs_smtp,
    smtp::{Mail, Smtp, Tls},
};

/// A builder `b` whose build ends as its property `how` says, one `quiet` that succeeds, and a reporter with these options.
fn config(port: u16, options: &str) -> String {
    format!(
        "{HEAD}local reporters = require('buildbot.plugins').reporters\n\
         c.workers = {{ worker.LocalWorker('w1') }}\n\
         local f = util.BuildFactory {{ steps.ShellCommand {{ name = 'make', command = util.Interpolate('echo the output; %(prop:how)s') }} }}\n\
         for _, name in ipairs {{ 'b', 'quiet' }} do\n\
           table.insert(c.builders, util.BuilderConfig {{ name = name, workernames = {{ 'w1' }}, factory = f, tags = {{ name .. '-tag' }} }})\n\
         end\n\
         c.schedulers = {{ schedulers.ForceScheduler('force', {{ 'b', 'quiet' }}) }}\n\
         c.reporters = {{ reporters.MailNotifier {{ fromaddr = 'ci@example.org', smtpPort = {port}, {options} }} }}\n"
    )
}

/// Has somebody force a build that ends so, and waits for that.
fn build_for(dir: &MasterDir, owner: &str, builder: &str, how: &str) {
    let before = dir.builds().len();
    let params = serde_json::json!({ "buildername": builder, "owner": owner, "how": how });
    let answer = dir.post("/api/v2/forceschedulers/force", "force", &params.to_string());
    assert!(answer.contains("\"result\""), "{answer}");
    eventually("the end of the build", || {
        let builds = dir.builds();
        (builds.len() > before && builds.iter().all(|build| build["complete"] == true)).then_some(())
    });
}

fn build(dir: &MasterDir, builder: &str, how: &str) {
    build_for(dir, "ada", builder, how);
}

fn subject(mail: &Mail) -> String {
    let read = mail_parser::MessageParser::default().parse(mail.text.as_bytes()).expect("a mail");
    read.subject().expect("a mail has a subject").to_owned()
}

fn wait_until_empty(dir: &MasterDir) {
    eventually("an empty outbox", || {
        dir.json("outbox", &[])["outbox"].as_array().is_some_and(Vec::is_empty).then_some(())
    });
}

#[test]
fn a_build_that_fails_is_mailed_once_to_those_who_want_it_with_its_log() {
    needs_smtp!("a_build_that_fails_is_mailed_once_to_those_who_want_it_with_its_log");
    let smtp = Smtp::start(Tls::None, &[]);
    let dir = MasterDir::new(&config(
        smtp.port(),
        "extraRecipients = { 'ops@example.org' }, lookup = 'example.com', \
         generators = { reporters.BuildStatusGenerator { mode = { 'failing' }, builders = { 'b' }, add_logs = { 'make.stdio' } } }",
    ));
    let mut master = dir.start();
    build(&dir, "b", "true");
    build(&dir, "quiet", "exit 1");
    build(&dir, "b", "exit 1");
    let mails = smtp.wait_for(1);
    assert_eq!(subject(&mails[0]), "Buildbot Lunabot: b/2 failure (before: success)");
    // The one who forced it, as the domain makes an address of a name.
    assert_eq!(mails[0].envelope["to"], serde_json::json!(["ada@example.com", "ops@example.org"]));
    let read = mail_parser::MessageParser::default().parse(mails[0].text.as_bytes()).expect("a mail");
    assert!(read.body_text(0).unwrap().contains("step make: failure"));
    let log = read.attachment(0).expect("the log");
    assert!(String::from_utf8_lossy(log.contents()).contains("\nthe output\n"));
    wait_until_empty(&dir);

    assert!(dir.run("stop", &[]).status.success());
    master.wait();
    let _master = dir.start();
    build(&dir, "b", "exit 1");
    assert_eq!(subject(&smtp.wait_for(2)[1]), "Buildbot Lunabot: b/3 failure");
    wait_until_empty(&dir);
    assert_eq!(smtp.mails().len(), 2);
}

#[test]
fn a_problem_is_mailed_when_it_begins_and_a_change_when_it_ends() {
    needs_smtp!("a_problem_is_mailed_when_it_begins_and_a_change_when_it_ends");
    let smtp = Smtp::start(Tls::None, &[]);
    let dir = MasterDir::new(&config(
        smtp.port(),
        "extraRecipients = { 'ops@example.org' }, sendToInterestedUsers = false, generators = {\n\
           reporters.BuildStatusGenerator { mode = 'problem', tags = { 'b-tag' }, message_formatter = reporters.MessageFormatter {\n\
             subject = 'problem of {{ buildername }}', template = '{{ build.properties.owner[0] }} {{ build.steps[0].name }}' } },\n\
           reporters.BuildStatusGenerator { mode = 'change', tags = { 'b-tag' } } }",
    ));
    let _master = dir.start();
    for how in ["true", "exit 1", "exit 1", "true"] {
        build(&dir, "b", how);
    }
    smtp.wait_for(2);
    wait_until_empty(&dir);
    let mut subjects: Vec<String> = smtp.mails().iter().map(subject).collect();
    subjects.sort();
    assert_eq!(subjects, ["Buildbot Lunabot: b/4 success (before: failure)", "problem of b"]);
    let problem = smtp.mails().into_iter().find(|mail| subject(mail) == "problem of b").unwrap();
    assert!(problem.text.contains("ada make"), "{}", problem.text);
}

#[test]
fn a_function_says_the_address_of_a_person_and_whom_it_does_not_know_nobody_tells() {
    needs_smtp!("a_function_says_the_address_of_a_person_and_whom_it_does_not_know_nobody_tells");
    let smtp = Smtp::start(Tls::None, &[]);
    let lookup = "lookup = function(name) if name == 'ada' then return 'Ada <ada@lovelace.example>' end end";
    let dir = MasterDir::new(&config(smtp.port(), lookup));
    let _master = dir.start();
    build_for(&dir, "nobody", "b", "true");
    build(&dir, "b", "true");
    let mails = smtp.wait_for(1);
    assert_eq!(mails[0].envelope["to"], serde_json::json!(["ada@lovelace.example"]));
}
