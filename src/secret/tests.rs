//! Providers against real files, variables and programs; and what a build remembers.

use std::{
    fs,
    os::unix::fs::{PermissionsExt as _, symlink},
    path::Path,
    sync::{
        Arc,
        atomic::{AtomicUsize, Ordering},
    },
    time::Duration,
};

use futures_util::future::BoxFuture;

use super::{BuildSecrets, FindError, Keeper, MOST_BYTES, Masker, Providers, Reach, Stream};
use crate::{
    definition::{MasterDefinition, SecretError, SecretName, Secrets, SecretsProvider, SecretsProviderKind},
    model::{Place, Secret},
};

fn name(text: &str) -> SecretName {
    SecretName::new(text).unwrap()
}

fn providers(root: &Path, kinds: Vec<SecretsProviderKind>) -> Providers {
    let mut definition = MasterDefinition::nothing();
    for (order, kind) in (1..).zip(kinds) {
        // The names are against the order, which decides.
        let name = format!("provider {}", 9 - order);
        let provider = SecretsProvider { name: name.clone(), order, kind, place: Place::new("f", 1) };
        definition.secrets_providers.insert(name, Arc::new(provider));
    }
    Providers::new(&definition, root)
}

fn files(dir: &str, suffixes: &[&str]) -> SecretsProviderKind {
    let suffixes = suffixes.iter().map(|suffix| (*suffix).to_owned()).collect();
    SecretsProviderKind::Files { dir: dir.into(), suffixes, strip: true }
}

fn command(words: &[&str], limit: Duration) -> SecretsProviderKind {
    let words = words.iter().map(|word| (*word).to_owned()).collect();
    SecretsProviderKind::Command { words, limit, strip: true }
}

fn chmod(path: &Path, mode: u32) {
    fs::set_permissions(path, fs::Permissions::from_mode(mode)).unwrap();
}

fn folder(path: &Path) {
    fs::create_dir(path).unwrap();
    chmod(path, 0o700);
}

fn file(path: &Path, text: impl AsRef<[u8]>) {
    fs::write(path, text).unwrap();
    chmod(path, 0o600);
}

async fn find(providers: &Providers, secret: &str) -> Result<String, FindError> {
    let found = providers.find(&name(secret), Reach::All).await;
    found.map(|secret| secret.expose().to_owned())
}

async fn fault(providers: &Providers, secret: &str) -> String {
    match find(providers, secret).await {
        Err(FindError::Fault { why }) => why,
        other => panic!("no fault: {other:?}"),
    }
}

#[tokio::test]
async fn the_first_provider_that_has_a_secret_answers_and_all_places_are_told_if_none_has() {
    let dir = tempfile::tempdir().unwrap();
    for (folder_name, text) in [("one", "1\r\n"), ("two", "2\n\n")] {
        folder(&dir.path().join(folder_name));
        file(&dir.path().join(folder_name).join("both"), text);
    }
    file(&dir.path().join("two/last.txt"), "  l  ");
    folder(&dir.path().join("two/infra"));
    file(&dir.path().join("two/infra/bsd"), "deep");
    let absent = SecretsProviderKind::Environment { prefix: "LUNABOT_NO_SUCH_".into() };
    let all = providers(dir.path(), vec![files("one", &[""]), absent, files("two", &["", ".txt"])]);
    assert_eq!(find(&all, "both").await.as_deref(), Ok("1"));
    assert_eq!(find(&all, "last").await.as_deref(), Ok("  l  "));
    assert_eq!(find(&all, "infra/bsd").await.as_deref(), Ok("deep"));
    let root = dir.path().display();
    assert_eq!(
        find(&all, "in-fra/x").await.unwrap_err().to_string(),
        format!(
            "no provider has it; looked for the file {root}/one/in-fra/x, the variable LUNABOT_NO_SUCH_IN_FRA_X, \
             the file {root}/two/in-fra/x or {root}/two/in-fra/x.txt"
        )
    );
    assert_eq!(all.files(&name("x")).len(), 3);
}

#[tokio::test]
async fn without_providers_the_masters_folder_of_secrets_is_one_and_it_may_be_absent() {
    let dir = tempfile::tempdir().unwrap();
    let all = providers(dir.path(), vec![]);
    assert!(matches!(find(&all, "bsd").await, Err(FindError::Nowhere { is_incomplete: false, .. })));
    folder(&dir.path().join("secrets"));
    file(&dir.path().join("secrets/bsd"), "sesame\n");
    assert_eq!(find(&all, "bsd").await.as_deref(), Ok("sesame"));
}

#[tokio::test]
async fn what_others_may_read_is_refused_with_the_command_that_mends_it() {
    let dir = tempfile::tempdir().unwrap();
    let (secrets, bsd) = (dir.path().join("secrets"), dir.path().join("secrets/bsd"));
    folder(&secrets);
    file(&bsd, "sesame");
    let all = providers(dir.path(), vec![]);
    for mode in [0o640, 0o604, 0o610, 0o602] {
        chmod(&bsd, mode);
        let why = fault(&all, "bsd").await;
        let path = bsd.canonicalize().unwrap().display().to_string();
        assert_eq!(
            why,
            format!("the file {path} is open to others (mode {mode:04o}); run `chmod 600 {path}`")
        );
    }
    chmod(&bsd, 0o400);
    for mode in [0o750, 0o701] {
        chmod(&secrets, mode);
        let why = fault(&all, "bsd").await;
        assert!(why.contains(&format!("(mode {mode:04o}); run `chmod 700 ")), "{why}");
    }
    chmod(&secrets, 0o500);
    assert_eq!(find(&all, "bsd").await.as_deref(), Ok("sesame"));
    chmod(&secrets, 0o700);
    // Also a folder in it.
    folder(&secrets.join("infra"));
    file(&secrets.join("infra/bsd"), "deep");
    chmod(&secrets.join("infra"), 0o755);
    assert!(fault(&all, "infra/bsd").await.contains("infra is open to others (mode 0755)"));
}

#[tokio::test]
async fn no_link_leads_out_of_the_folder_and_only_files_are_read() {
    let dir = tempfile::tempdir().unwrap();
    let secrets = dir.path().join("secrets");
    folder(&secrets);
    file(&dir.path().join("outside"), "sesame");
    symlink("../outside", secrets.join("out")).unwrap();
    file(&secrets.join("real"), "inside");
    symlink("real", secrets.join("in")).unwrap();
    folder(&secrets.join("folder"));
    let all = providers(dir.path(), vec![]);
    assert!(fault(&all, "out").await.ends_with("/out is a link that leads out of its folder"));
    assert_eq!(find(&all, "in").await.as_deref(), Ok("inside"));
    assert!(fault(&all, "folder").await.ends_with("/folder is no file"));
    // The folder itself may lie elsewhere.
    symlink(&secrets, dir.path().join("link")).unwrap();
    let linked = providers(dir.path(), vec![files("link", &[""])]);
    assert_eq!(find(&linked, "real").await.as_deref(), Ok("inside"));
}

#[tokio::test]
async fn a_file_is_bounded_text_that_says_something() {
    let dir = tempfile::tempdir().unwrap();
    let secrets = dir.path().join("secrets");
    folder(&secrets);
    file(&secrets.join("large"), vec![b'x'; MOST_BYTES + 1]);
    file(&secrets.join("whole"), vec![b'x'; MOST_BYTES]);
    file(&secrets.join("bytes"), b"a\xffb");
    file(&secrets.join("empty"), "\n");
    let all = providers(dir.path(), vec![]);
    assert!(fault(&all, "large").await.ends_with("has more than 65536 bytes"));
    assert_eq!(find(&all, "whole").await.map(|text| text.len()), Ok(MOST_BYTES));
    assert!(fault(&all, "bytes").await.ends_with("holds bytes that are not UTF-8"));
    assert!(fault(&all, "empty").await.ends_with("/empty is empty"));
}

#[tokio::test]
async fn a_program_is_asked_by_name_without_a_shell_and_may_not_have_it() {
    let dir = tempfile::tempdir().unwrap();
    let limit = Duration::from_secs(60);
    let ask = |words: &[&str]| providers(dir.path(), vec![command(words, limit)]);
    assert_eq!(find(&ask(&["echo", "a;"]), "b/c").await.as_deref(), Ok("a; b/c"));
    assert_eq!(find(&ask(&["echo", "<%(name)s>", "d"]), "b").await.as_deref(), Ok("<b> d"));
    assert_eq!(
        find(&ask(&["false"]), "b").await.unwrap_err().to_string(),
        "no provider has it; looked for it with `false` (exit code 1)"
    );
    assert!(fault(&ask(&["no-such-program"]), "b").await.starts_with("cannot start `no-such-program`"));
    assert_eq!(fault(&ask(&["true"]), "b").await, "`true` wrote nothing");
    // Its standard error is told nobody.
    let loud = ask(&["sh", "-c", "echo sesame >&2; kill -TERM $$"]);
    assert_eq!(fault(&loud, "b").await, "`sh` was ended by signal 15");
    // Not the master's own variables.
    let env = ask(&["sh", "-c", "echo ${LUNABOT_TEST_POSTGRES-none}$1"]);
    assert_eq!(find(&env, "b").await.as_deref(), Ok("none"));
    let offline = ask(&["echo"]).find(&name("b"), Reach::Offline).await;
    assert_eq!(offline, Err(FindError::Nowhere { looked: vec![], is_incomplete: true }));
}

#[tokio::test]
async fn a_program_that_hangs_or_floods_is_ended() {
    let dir = tempfile::tempdir().unwrap();
    let hangs =
        providers(dir.path(), vec![command(&["sleep", "1000", "%(name)s"], Duration::from_millis(200))]);
    // The name is an argument that `sleep` does not take: a number is one that it does.
    assert_eq!(fault(&hangs, "1").await, "`sleep` did not answer within 0.2 s");
    let floods = providers(dir.path(), vec![command(&["yes"], Duration::from_secs(60))]);
    assert_eq!(fault(&floods, "x").await, "`yes` wrote more than 65536 bytes");
}

#[tokio::test]
async fn pass_gets_its_phrase_where_no_process_list_shows_it_and_gives_its_first_line() {
    let dir = tempfile::tempdir().unwrap();
    let script = dir.path().join("pass");
    fs::write(
        &script,
        "#!/bin/sh\necho \"$1 $2 $(cat) $PASSWORD_STORE_DIR $PASSWORD_STORE_GPG_OPTS\"\necho user: ann\n",
    )
    .unwrap();
    chmod(&script, 0o755);
    let mut asked =
        super::program::Asked::pass(Some("/store".into()), Some(Secret::new("phrase with spaces")));
    asked.words[0] = script.display().to_string();
    let answer = asked.ask("infra/bsd", dir.path()).await.unwrap();
    let expected =
        "show infra/bsd phrase with spaces /store --batch --pinentry-mode loopback --passphrase-fd 0";
    assert_eq!(answer, super::program::Answer::Secret(Secret::new(expected)));
}

/// Gives another value each time.
#[derive(Debug, Default)]
struct Counting(AtomicUsize);

impl Secrets for Counting {
    fn secret<'a>(&'a self, _: &'a SecretName) -> BoxFuture<'a, Result<Secret, SecretError>> {
        let count = self.0.fetch_add(1, Ordering::Relaxed);
        Box::pin(std::future::ready(Ok(Secret::new(format!("sesame-{count}")))))
    }
}

#[tokio::test]
async fn a_build_reads_each_secret_once_and_masks_it_from_then_on() {
    let secrets = BuildSecrets::new(Arc::new(Counting::default()));
    assert!(secrets.patterns().is_none(), "nothing is searched before there is something to find");
    for _ in 0..3 {
        assert_eq!(secrets.secret(&name("a")).await, Ok(Secret::new("sesame-0")));
    }
    assert_eq!(secrets.secret(&name("b")).await, Ok(Secret::new("sesame-1")));
    assert_eq!(secrets.mask("sesame-0 sesame-1 sesame-2"), "<a> <b> sesame-2");
    assert_eq!(secrets.mask_value(serde_json::json!(["sesame-0"])), serde_json::json!(["<a>"]));
    // A stream that began before the second secret was read.
    let mut stream = Stream::default();
    let patterns = secrets.patterns().unwrap();
    assert_eq!(&*stream.feed(&patterns, b"x sesame-"), b"x ");
    assert_eq!(secrets.secret(&name("c")).await, Ok(Secret::new("sesame-2")));
    assert_eq!(&*stream.feed(&secrets.patterns().unwrap(), b"2 y"), b"<c> y");
}

#[tokio::test]
async fn what_the_keeper_gives_the_masker_knows() {
    let dir = tempfile::tempdir().unwrap();
    folder(&dir.path().join("secrets"));
    file(&dir.path().join("secrets/bsd"), "sesame\n");
    let keeper = Keeper::new(providers(dir.path(), vec![]), Masker::new());
    assert_eq!(keeper.secret(&name("bsd")).await, Ok(Secret::new("sesame")));
    assert_eq!(keeper.masker().mask("the sesame"), "the <bsd>");
    // Other providers are in force.
    keeper
        .change(providers(dir.path(), vec![command(&["echo", "from", "program"], Duration::from_secs(60))]));
    assert_eq!(keeper.secret(&name("bsd")).await, Ok(Secret::new("from program bsd")));
    let error =
        Keeper::new(providers(dir.path(), vec![]), Masker::new()).secret(&name("x")).await.unwrap_err();
    assert!(
        error.to_string().starts_with("cannot have the secret `x`: no provider has it; looked for the file ")
    );
}

#[tokio::test]
async fn many_secrets_are_found_at_once_and_all_that_are_missing_are_told() {
    let dir = tempfile::tempdir().unwrap();
    folder(&dir.path().join("secrets"));
    let names: Vec<_> = (0..100).map(|count| name(&format!("s{count}"))).collect();
    for name in &names {
        file(&dir.path().join("secrets").join(name.as_str()), format!("value of {name}"));
    }
    let all = providers(dir.path(), vec![]);
    let (found, missing) = all.find_all(names).await;
    assert_eq!((found.len(), missing.len()), (100, 0));
    assert_eq!(found[&name("s7")].expose(), "value of s7");
    let (found, missing) = all.find_all([name("s1"), name("gone"), name("lost")]).await;
    assert_eq!(found.len(), 1);
    assert_eq!(missing.into_keys().collect::<Vec<_>>(), [name("gone"), name("lost")]);
}
