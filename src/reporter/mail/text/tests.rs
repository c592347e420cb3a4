use std::time::{Duration, Instant};

use super::*;

fn at(text: &str) -> Timestamp {
    text.parse().expect("an instant")
}

fn gone(name: &str) -> Missing {
    let info = [("admin".to_owned(), "Bob <bob@example.org>".into())];
    Missing {
        worker: WorkerName::new(name).expect("a name"),
        source: Place::new("master.cfg.lua", 14),
        absent_since: at("2026-03-01T12:30:05.5Z"),
        last_connection: Some(at("2026-03-01T11:00:00Z")),
        peer: Some("192.0.2.7:51234".into()),
        info: WorkerInfo(info.into()),
        lost_builds: vec!["linux/12".into(), "linux/13".into()],
        notify: vec![Address::new("bob@example.org").expect("an address")],
    }
}

fn master() -> Master {
    Master { title: "Lunabot".into(), url: Some("https://ci.example.org/".into()) }
}

fn message(subject: Option<&str>, template: Option<&str>, template_type: TemplateType) -> Message {
    let context = [("team".to_owned(), "infra & co".into())].into();
    Message { template: template.map(Into::into), subject: subject.map(Into::into), template_type, context }
}

fn plain(words: &Words) -> &str {
    match &words.body {
        Body::Plain(plain) | Body::Html { plain, .. } => plain,
    }
}

fn html(words: &Words) -> &str {
    match &words.body {
        Body::Html { html, .. } => html,
        Body::Plain(_) => "",
    }
}

#[test]
fn our_own_words_tell_who_since_when_and_how_to_silence_them() {
    let words = missing(&message(None, None, TemplateType::Plain), &[gone("bot-solaris")], &master());
    assert_eq!(words.subject, "Buildbot Lunabot worker bot-solaris missing");
    assert!(matches!(words.body, Body::Plain(_)) && words.faults.is_empty());
    insta::assert_snapshot!(plain(&words), @r"
    The worker bot-solaris of Lunabot has been missing since 2026-03-01T12:30:05Z.

    bot-solaris (master.cfg.lua:14)
      missing since:   2026-03-01T12:30:05Z
      connected last:  2026-03-01T11:00:00Z
      last address:    192.0.2.7:51234
      admin on record: Bob <bob@example.org>
      builds lost:     linux/12, linux/13

    `lunabot worker DIR show bot-solaris` tells more, where DIR is the folder of the master.

    To be told later or no more, change `missing_timeout` or `notify_on_missing` of the worker. A pause does not silence these mails.

    Lunabot
    https://ci.example.org/
    ");
}

#[test]
fn many_workers_are_one_mail_that_does_not_grow_without_end() {
    let all: Vec<Missing> = (0..10_000).map(|n| gone(&format!("w{n}"))).collect();
    let words = missing(&message(None, None, TemplateType::Html), &all[..12], &master());
    assert_eq!(words.subject, "Buildbot Lunabot: 12 workers missing: w0, w1, w2 and 9 more");
    assert_eq!(html(&words).matches("<h3>").count(), 12);
    let words = missing(&message(None, None, TemplateType::Html), &all, &master());
    assert!(html(&words).len() < MOST_BYTES && plain(&words).contains("9950 more: w50, w51"));
    let own = message(None, Some("{{ worker.name }}{{ 'x' * 10000 }}"), TemplateType::Plain);
    let words = missing(&own, &all, &master());
    assert!(words.faults.is_empty() && plain(&words).len() < MOST_BYTES + 100);
    assert!(plain(&words).ends_with("more\n"), "the rest is counted");
}

#[test]
fn those_who_are_back_are_told_in_one_mail() {
    let words = returned(&[gone("a")], at("2026-03-02T00:00:00Z"), &master());
    assert_eq!(words.subject, "Buildbot Lunabot worker a is back");
    assert!(plain(&words).starts_with("The worker a of Lunabot has been back since 2026-03-02T00:00:00Z.\n"));
    assert!(plain(&words).contains("was missing since: 2026-03-01T12:30:05Z"));
    let words = returned(&["a", "b"].map(gone), at("2026-03-02T00:00:00Z"), &master());
    assert_eq!(words.subject, "Buildbot Lunabot: 2 workers are back: a, b");
}

#[test]
fn a_page_shows_what_a_worker_says_and_does_not_obey_it() {
    let mut worker = gone("a");
    worker.info = WorkerInfo([("admin".to_owned(), "<script>x()</script>\nBcc: y".into())].into());
    let own = "<p>{{ worker.workerinfo.admin }} {{ team }}</p>";
    for template in [None, Some(own)] {
        let words = missing(&message(None, template, TemplateType::Html), &[worker.clone()], &master());
        assert!(
            html(&words).contains("&lt;script&gt;") && !html(&words).contains("<script"),
            "{}",
            html(&words)
        );
        assert!(plain(&words).contains("admin on record: <script>x()</script> Bcc: y\n"));
    }
}

#[test]
fn a_template_has_the_names_of_buildbot() {
    let template = "{{ buildbot_title }} noticed that {{ worker.name }} went away, last seen {{ worker.last_connection }}.\n\
        {% if 'admin' in worker.workerinfo %}Its admin is {{ worker.workerinfo.admin }}.\n{% endif %}\
        Told: {{ worker.notify|join(', ') }}. Of {{ workers|length }}. {{ team }} {{ ctx.team }} {{ buildbot_url }}";
    let own = message(Some("{{ worker.name }} is gone"), Some(template), TemplateType::Plain);
    assert_eq!(check(&own), Ok(()));
    let words = missing(&own, &[gone("a")], &master());
    assert_eq!(words.subject, "a is gone");
    assert_eq!(
        plain(&words),
        "Lunabot noticed that a went away, last seen 2026-03-01T11:00:00Z.\nIts admin is Bob <bob@example.org>.\nTold: \
         bob@example.org. Of 1. infra & co infra & co https://ci.example.org/"
    );
    let words = missing(&own, &["a", "b"].map(gone), &master());
    assert_eq!(words.subject, "a is gone (and 1 more)");
    assert!(plain(&words).contains("\n\nLunabot noticed that b went away"));
    let all = message(Some("{{ workers|length }} are gone"), None, TemplateType::Plain);
    assert_eq!(missing(&all, &["a", "b"].map(gone), &master()).subject, "2 are gone");
}

#[test]
fn a_broken_template_does_not_swallow_the_news() {
    let own = message(Some("{{ worker.name"), Some("fine\n{{ worker.name|nosuch }}"), TemplateType::Plain);
    let words = missing(&own, &[gone("a")], &master());
    assert_eq!(words.subject, "Buildbot Lunabot worker a missing");
    assert_eq!(words.faults.len(), 2);
    assert_eq!((words.faults[1].option, words.faults[1].line), ("template", Some(2)));
    let told = plain(&words);
    assert!(told.contains("missing since:   2026-03-01T12:30:05Z"), "{told}");
    assert!(
        told.contains("`template`, line 2: unknown filter") && told.contains("`subject`, line 1: "),
        "{told}"
    );
    let half = message(Some("{{"), Some("own body"), TemplateType::Plain);
    let told = missing(&half, &[gone("a")], &master());
    assert!(plain(&told).ends_with("\n\nown body") && plain(&told).contains("`subject`"));
}

#[test]
fn a_template_ends_whatever_it_says() {
    let begin = Instant::now();
    let nested = "{% for a in range(9999) %}{% for b in range(9999) %}{% for c in range(9999) %}{% endfor %}{% endfor %}{% endfor %}";
    let endless = "{% macro m() %}{{ m() }}{% endmacro %}{{ m() }}";
    let long = "{% for a in range(9999) %}{{ 'x' * 9999 }}{% endfor %}";
    for (template, why) in [(nested, "too many steps"), (endless, ""), (long, "it writes more than 256 KiB")]
    {
        let words = missing(&message(None, Some(template), TemplateType::Plain), &[gone("a")], &master());
        assert_eq!(words.faults.len(), 1, "{template}");
        assert!(words.faults[0].why.contains(why), "{}", words.faults[0]);
        assert!(plain(&words).contains("missing since:"));
    }
    assert!(begin.elapsed() < Duration::from_secs(20));
}

#[test]
fn a_template_that_cannot_be_used_is_found_before_it_is_needed() {
    let of = |subject, template| check(&message(subject, template, TemplateType::Html));
    assert_eq!(of(None, None), Ok(()));
    assert_eq!(of(Some("{{ a.b.c }}"), None), Ok(()), "what is not there may be there later");
    let parse = of(None, Some("a\nb\n{% if %}")).expect_err("it does not parse");
    assert_eq!((parse.option, parse.line), ("template", Some(3)));
    assert!(parse.to_string().starts_with("`template`, line 3: syntax error: "), "{parse}");
    let unknown = of(Some("{{ worker.name|nosuch }}"), None).expect_err("there is no such filter");
    assert_eq!(unknown.option, "subject");
    let file = of(None, Some(&"x".repeat(70_000))).expect_err("it is too long");
    assert_eq!(file.to_string(), "`template`: it is longer than 64 KiB");
}
