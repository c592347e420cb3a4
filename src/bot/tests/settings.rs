//! What the operator of a worker decides.

use std::os::unix::fs::symlink;

use super::*;

async fn answered(master: &mut Master) {
    master.say(ToWorker::Ping(1)).await;
    assert_eq!(master.heard().await, FromWorker::Pong(1));
}

#[tokio::test]
async fn folders_that_no_builder_has_are_removed_if_that_is_wished() {
    let mut master = Master::with(|settings| {
        for folder in ["old/deep", "info", "other"] {
            fs::create_dir_all(settings.basedir.join(folder)).unwrap();
        }
        symlink("/etc", settings.basedir.join("link")).unwrap();
        fs::write(settings.basedir.join("file"), "").unwrap();
        settings.delete_leftover_dirs = true;
    })
    .await;
    let basedir = master.builddir().parent().unwrap().to_owned();
    let names = || {
        let entries = fs::read_dir(&basedir).unwrap();
        let mut names: Vec<_> =
            entries.map(|entry| entry.unwrap().file_name().into_string().unwrap()).collect();
        names.sort_unstable();
        names.join(" ")
    };
    eventually("they are gone", || names() == "b-folder file info link").await;

    // A builder that is gone, with a command that runs on.
    master.order(&id("1"), "b", shell("echo ready; while ! [ -e go ]; do sleep 0.01; done; echo done")).await;
    let mut told = Told::default();
    master.lines(&mut told, 1).await;
    master.set_builders(&[("c", "c-folder")]).await;
    answered(&mut master).await;
    assert_eq!(names(), "b-folder c-folder file info link");
    fs::write(basedir.join("b-folder/build/go"), "").unwrap();
    assert_eq!(master.rest(told).await.text(), "ready\ndone\n");

    // A builder that comes back at once has a folder from which nothing goes.
    master.set_builders(&[("c", "c-folder")]).await;
    master.set_builders(&[("b", "b-folder")]).await;
    assert_eq!(master.run(shell("ls -a; echo x > kept")).await.text(), ".\n..\n");
    eventually("the rest is gone", || names() == "b-folder file info link").await;
    assert!(basedir.join("b-folder/build/kept").exists());
}

#[tokio::test]
async fn no_folder_goes_unless_that_is_wished_or_if_one_builder_has_no_folder() {
    let mut master = Master::start().await;
    let old = master.builddir().with_file_name("old");
    fs::create_dir(&old).unwrap();
    master.set_builders(&[("c", "c-folder")]).await;
    answered(&mut master).await;
    assert!(old.is_dir() && master.builddir().is_dir());

    let mut master = Master::with(|settings| settings.delete_leftover_dirs = true).await;
    answered(&mut master).await;
    let old = master.builddir().with_file_name("old");
    fs::create_dir(&old).unwrap();
    master.set_builders(&[("b", "../outside"), ("c", "c-folder")]).await;
    answered(&mut master).await;
    assert!(old.is_dir());
    // Its paths may lead anywhere in the worker's folder.
    master.set_builders(&[("all", ".")]).await;
    answered(&mut master).await;
    assert!(old.is_dir());
}

#[tokio::test]
async fn a_hidden_variable_reaches_no_command() {
    // Cargo gives the test this one.
    let name = "CARGO_PKG_NAME";
    let shown = shell(&format!("echo ${name}-; echo $REFERRED-"));
    let shown = ShellArguments {
        env: [("REFERRED".to_owned(), EnvironmentChange::Set(format!("${{{name}}}")))].into(),
        ..shown
    };
    let mut master = Master::with(|settings| settings.hidden = HiddenVariables::parse("CARGO_PKG_*")).await;
    assert_eq!(master.run(shown.clone()).await.text(), "-\n-\n");
    let mut master = Master::start().await;
    assert_eq!(master.run(shown).await.text(), "lunabot-\nlunabot-\n");
}
