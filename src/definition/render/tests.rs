//! Rendering against known properties, facts and answers.

use std::collections::BTreeMap;

use futures_util::FutureExt as _;

use super::*;
use crate::{
    definition::hook::HookId,
    model::{Place, Secret},
};

/// Answers each call with its own arguments, as a list; `again` is answered with itself.
#[derive(Debug)]
struct Echo;

impl Hooks for Echo {
    fn call(&self, call: HookCall) -> BoxFuture<'_, Result<Worth, HookError>> {
        let values = call.arguments.into_iter().map(|argument| match argument {
            HookArgument::Value(value) => value,
            HookArgument::Properties(properties) => format!("{} properties", properties.len()).into(),
            HookArgument::Step { name, .. } => name.into(),
        });
        let answer = match call.hook {
            HookId(0) => Worth::Plain(PropertyValue::Array(values.collect())),
            _ => Worth::Rendered(call_of(1, Vec::new())),
        };
        Box::pin(std::future::ready(Ok(answer)))
    }
}

#[derive(Debug)]
struct OneSecret;

impl Secrets for OneSecret {
    fn secret<'a>(&'a self, name: &'a SecretName) -> BoxFuture<'a, Result<Secret, SecretError>> {
        let answer = match name.as_str() {
            "token" => Ok(Secret::new("sesame")),
            _ => Err(SecretError { name: name.clone(), why: "no provider has it".into() }),
        };
        Box::pin(std::future::ready(answer))
    }
}

fn call_of(hook: u32, arguments: Vec<Worth>) -> Renderable {
    let hook = Hook { id: HookId(hook), text: "function() end".into(), place: Place::new("f", 1) };
    Renderable::Call(Box::new(Call { hook, takes_properties: true, arguments, keywords: BTreeMap::new() }))
}

async fn value(worth: Worth) -> Result<PropertyValue, RenderError> {
    let mut properties = Properties::new();
    properties.set("os", "solaris", "Worker");
    properties.set("n", 3, "Worker");
    properties.set("zero", 0, "Worker");
    properties.set("empty", "", "Worker");
    properties.set("list", serde_json::json!(["a", ["b", 1]]), "Worker");
    properties.set("branch", "main", "Force Build Form");
    let facts = [("os_id", "debian".into()), ("numcpus", 4.into())];
    let worker =
        WorkerInfo(facts.map(|(name, value): (&str, PropertyValue)| (name.to_owned(), value)).into());
    let sources = SourceStamps::of_properties(&properties);
    let known = Known {
        properties: &properties,
        worker: &worker,
        sources: &sources,
        hooks: &Echo,
        secrets: &OneSecret,
    };
    worth.value(known).await
}

async fn render(format: &str) -> String {
    let keywords = BTreeMap::from([
        ("flag".to_owned(), Worth::from("-O2")),
        ("none".to_owned(), Worth::Plain(PropertyValue::Null)),
    ]);
    let renderable = Renderable::interpolate(format, &keywords, &[]).expect("the format is good");
    let value = value(Worth::Rendered(renderable)).await.expect("all fillings are texts");
    value.as_str().expect("an interpolation is text").to_owned()
}

#[tokio::test]
async fn holes_are_filled_as_in_buildbot() {
    assert_eq!(render("build-%(prop:os)s-%(prop:n)s %(kw:flag)s 100%%").await, "build-solaris-3 -O2 100%");
    assert_eq!(render("[%(prop:none)s]").await, "[]");
    assert_eq!(render("%(prop:none:-x)s %(prop:empty:-x)s|%(prop:empty:~y)s").await, "x |y");
    assert_eq!(render("%(prop:os:+set)s%(prop:none:+set)s").await, "set");
    assert_eq!(
        render("%(prop:os:?|yes|no)s %(prop:none:?|yes|no)s %(prop:zero:?:yes:no)s").await,
        "yes no yes"
    );
    assert_eq!(render("%(prop:os:#?|yes|no)s %(prop:zero:#?|yes|no)s").await, "yes no");
    assert_eq!(render("%(prop:none:-%(kw:flag)s and (%(prop:os)s))s").await, "-O2 and (solaris)");
    assert_eq!(render("%(kw:none:-nothing)s").await, "nothing");
}

#[tokio::test]
async fn what_is_built_and_what_the_worker_said_fill_holes_and_what_nobody_said_is_empty() {
    assert_eq!(render("%(worker:os_id)s-%(worker:numcpus)s [%(worker:admin)s]").await, "debian-4 []");
    assert_eq!(render("%(worker:admin:-nobody)s %(worker:os_id:+known)s").await, "nobody known");
    assert_eq!(
        render("%(src::branch)s [%(src::revision)s] [%(src:lib:branch:-none)s]").await,
        "main [] [none]"
    );
    assert_eq!(render("%(secret:token)s").await, "sesame");
}

#[tokio::test]
async fn values_by_position_fill_holes_without_a_name() {
    let given = [
        Worth::from("a"),
        Worth::Rendered(Renderable::Property { name: "os".into(), default: None, default_when_false: true }),
    ];
    let renderable = Renderable::interpolate("%s on %s", &BTreeMap::new(), &given).expect("a good format");
    assert_eq!(value(Worth::Rendered(renderable)).await, Ok("a on solaris".into()));
    let error = Renderable::interpolate("%s", &BTreeMap::new(), &given).expect_err("one is too many");
    assert_eq!(error, FormatError::Count { holes: 1, given: 2 });
    let error =
        Renderable::interpolate("%s %(prop:os)s", &BTreeMap::new(), &given[..1]).expect_err("both kinds");
    assert_eq!(error, FormatError::Mixed);
}

#[tokio::test]
async fn a_property_that_stands_for_a_value_keeps_its_type_and_a_false_one_gives_way_to_its_default() {
    let of = |name: &str, default: Option<&str>, default_when_false| {
        let default = default.map(|text| Box::new(Worth::from(text)));
        value(Worth::Rendered(Renderable::Property { name: name.into(), default, default_when_false }))
    };
    assert_eq!(of("n", None, true).await, Ok(3.into()));
    assert_eq!(of("none", None, true).await, Ok(PropertyValue::Null));
    assert_eq!(of("zero", None, true).await, Ok(0.into()));
    assert_eq!(of("zero", Some("x"), true).await, Ok("x".into()));
    assert_eq!(of("zero", Some("x"), false).await, Ok(0.into()));
}

#[tokio::test]
async fn lists_become_flat_where_that_is_asked_for() {
    let property = || Renderable::Property { name: "list".into(), default: None, default_when_false: true };
    let nested = Worth::List(vec![Worth::from("x"), Worth::Rendered(property())]);
    let flat = value(Worth::Rendered(Renderable::Flatten(Box::new(nested)))).await;
    assert_eq!(flat, Ok(serde_json::json!(["x", "a", "b", 1])));
    let mut properties = Properties::new();
    properties.set("list", serde_json::json!(["a", ["b", 1]]), "Worker");
    let worker = WorkerInfo::default();
    let known = Known::plain(&properties, &worker);
    assert_eq!(Text::Rendered(property()).flat(known).await, Ok(vec!["a".into(), "b".into(), "1".into()]));
    let error = Text::Rendered(property()).render(known).await.expect_err("a list is no text");
    assert_eq!(error, RenderError::NotText { name: "%(prop:list)s".into(), kind: "list" });
}

#[tokio::test]
async fn a_function_is_given_the_properties_and_its_arguments_and_what_it_returns_is_rendered_to_an_end() {
    let secret = Worth::Rendered(Renderable::Secret(SecretName::new("token").expect("a good name")));
    let answer = value(Worth::Rendered(call_of(0, vec![secret, Worth::Plain(2.into())]))).await;
    assert_eq!(answer, Ok(serde_json::json!(["6 properties", "sesame", 2])));
    assert_eq!(value(Worth::Rendered(call_of(1, Vec::new()))).await, Err(RenderError::Endless));
}

#[test]
fn a_bad_format_says_what_is_wrong_with_it() {
    let error =
        |format| Renderable::interpolate(format, &BTreeMap::new(), &[]).expect_err("the format is bad");
    assert_eq!(error("5%d"), FormatError::Stray("%d".into()));
    assert_eq!(error("%"), FormatError::Stray("%".into()));
    assert_eq!(error("%(prop:os"), FormatError::Open("prop:os".into()));
    assert_eq!(error("%(prop:os)d"), FormatError::Open("prop:os)d".into()));
    assert_eq!(error("%(env:branch)s"), FormatError::Selector("env".into()));
    assert_eq!(error("%(src:branch)s"), FormatError::Source("src:branch".into()));
    assert_eq!(error("%(src::colour)s"), FormatError::Source("src::colour".into()));
    assert_eq!(error("%(kw:x)s"), FormatError::Keyword("x".into()));
    assert_eq!(error("%(prop:x:=y)s"), FormatError::Form("prop:x:=y".into()));
    assert_eq!(error("%(prop:x:?|yes)s"), FormatError::Form("prop:x:?|yes".into()));
    let nested = (0..20).fold("x".to_owned(), |inner, _| format!("%(prop:a:-{inner})s"));
    assert_eq!(error(&nested), FormatError::Deep);
}

#[test]
fn a_format_is_shown_as_it_was_written_and_tells_its_secrets() {
    let text = "a %(prop:os:-%(secret:b)s)s %(src:lib:branch)s %(worker:x:#?|1|2)s %(secret:a)s";
    let renderable = Renderable::interpolate(text, &BTreeMap::new(), &[]).expect("a good format");
    assert_eq!(renderable.shown(), text);
    let mut found = Vec::new();
    renderable.secrets(&mut found);
    assert_eq!(found.iter().map(SecretName::as_str).collect::<Vec<_>>(), ["b", "a"]);
}

/// What a format may be made of, and what breaks it.
const TOKENS: [&str; 28] = [
    "%",
    "%%",
    "%s",
    "%(",
    ")s",
    ")",
    "(",
    "prop:",
    "src:",
    "src::branch",
    "worker:",
    "secret:",
    "kw:",
    "os",
    "n",
    ":-",
    ":~",
    ":+",
    ":?",
    ":#?",
    "|",
    "/",
    "é",
    " ",
    "%(prop:os)s",
    "%(prop:gone:-a)s",
    "%(prop:n:#?|1|2)s",
    "100%%",
];

fn format_of(tokens: &[usize]) -> String {
    tokens.iter().map(|token| TOKENS[token % TOKENS.len()]).collect()
}

/// A good format, of holes within holes.
fn good_format() -> impl proptest::strategy::Strategy<Value = String> {
    use proptest::prelude::*;
    let plain = proptest::sample::select(vec![
        "",
        "text",
        "100%%",
        "a|b/c",
        "é(x)",
        "%(prop:os)s",
        "%(src:lib:revision)s",
        "%(worker:numcpus)s",
    ]);
    plain.prop_map(str::to_owned).prop_recursive(4, 24, 3, |inner| {
        let text = (inner.clone(), inner).boxed();
        let hole = (
            proptest::sample::select(vec!["prop:os", "prop:gone", "src::branch", "secret:token"]),
            0..5,
            text,
        );
        hole.prop_map(|(hole, form, (a, b))| match form {
            0 => format!("{a}%({hole}:-{b})s"),
            1 => format!("%({hole}:~{a})s{b}"),
            2 => format!("{a}%({hole}:+{b})s{a}"),
            3 => format!("%({hole}:?\u{1}{a}\u{1}{b})s"),
            _ => format!("{b}%({hole}:#?\u{2}{a}\u{2}{b})s"),
        })
    })
}

proptest::proptest! {
    #[test]
    fn any_text_is_a_format_or_an_error_and_what_is_rendered_of_it_is_no_panic(tokens in proptest::collection::vec(0_usize..28, 0..24)) {
        let format = format_of(&tokens);
        if let Ok(renderable) = Renderable::interpolate(&format, &BTreeMap::new(), &[]) {
            let again = Renderable::interpolate(&renderable.shown(), &BTreeMap::new(), &[]);
            proptest::prop_assert_eq!(again.as_ref(), Ok(&renderable), "{}", renderable.shown());
            // A list, or a secret that nobody has: an error is an answer too.
            let _answer = value(Worth::Rendered(renderable)).now_or_never().expect("nothing here waits");
        }
    }

    #[test]
    fn a_good_format_is_read_again_as_it_is_shown(format in good_format()) {
        // The same mark within its own choice ends it: then the format is another, or none.
        if let Ok(renderable) = Renderable::interpolate(&format, &BTreeMap::new(), &[]) {
            let shown = renderable.shown();
            proptest::prop_assert_eq!(Renderable::interpolate(&shown, &BTreeMap::new(), &[]), Ok(renderable.clone()), "{}", shown);
            let rendered = value(Worth::Rendered(renderable)).now_or_never().expect("nothing here waits");
            proptest::prop_assert!(rendered.is_ok_and(|value| value.is_string()), "{}", format);
        }
    }
}
