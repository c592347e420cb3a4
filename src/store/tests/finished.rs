//! Builds that have ended, and how far they are told.

use super::{letters::letter, *};
use crate::{model::Outcome, store::FinishedBuild};

const NAME: &str = "mail";

async fn ended(store: &Store, seconds: i64, outcome: Outcome) {
    let build = begun(store, seconds).await;
    let end = match outcome {
        Outcome::Retry => RequestEnd::Requeue { not_before: None, counted: true },
        _ => RequestEnd::Complete,
    };
    store.finish_build(build.id, outcome, "as it is", end, at(seconds + 1)).await.unwrap();
}

/// The builds that are not told: number, outcome, and that of the one before.
async fn untold(store: &Store) -> Vec<(i64, Outcome, Option<Outcome>)> {
    let builds = store.untold_builds(NAME).await.unwrap();
    builds.iter().map(|build| (build.number, build.outcome, build.previous)).collect()
}

async fn last(store: &Store) -> FinishedBuild {
    store.untold_builds(NAME).await.unwrap().pop().expect("one is not told")
}

on_both! {
    async fn the_history_is_not_told_and_each_build_from_then_on_is_until_that_is_noted(house: &House) {
        let open = house.furnished().await;
        let store = &open.store;
        ended(store, 1, Outcome::Failure).await;
        assert_eq!(untold(store).await, [], "it begins now");
        begun(store, 3).await;
        assert_eq!(untold(store).await, [], "a build that runs is not told of");
        ended(store, 5, Outcome::Success).await;
        ended(store, 7, Outcome::Warnings).await;
        let expected =
            [(3, Outcome::Success, Some(Outcome::Failure)), (4, Outcome::Warnings, Some(Outcome::Success))];
        assert_eq!(untold(store).await, expected);
        assert_eq!(untold(store).await, expected, "nobody has noted it");
        let build = last(store).await;
        assert_eq!((build.builder.as_str(), build.worker.as_str(), build.state.as_str()), ("a", "w", "as it is"));
        assert_eq!((build.started_at, build.complete_at), (at(7), at(8)));

        assert!(store.report_builds(NAME.into(), build.event, vec![letter(1)], at(9)).await.unwrap());
        assert_eq!(untold(store).await, []);
        assert_eq!(store.letters(&Query::all()).await.unwrap().rows.len(), 1);
        assert!(!store.report_builds(NAME.into(), build.event, vec![letter(2)], at(10)).await.unwrap());
        assert_eq!(store.letters(&Query::all()).await.unwrap().rows.len(), 1, "it was told before");
        assert_eq!(store.untold_builds("another").await.unwrap(), [], "names know nothing of each other");
    }

    async fn a_build_that_is_tried_again_is_not_the_one_before(house: &House) {
        let open = house.furnished().await;
        let store = &open.store;
        assert_eq!(untold(store).await, []);
        ended(store, 1, Outcome::Success).await;
        ended(store, 3, Outcome::Retry).await;
        ended(store, 5, Outcome::Failure).await;
        let outcomes: Vec<_> = untold(store).await.into_iter().map(|(_, outcome, before)| (outcome, before)).collect();
        assert_eq!(
            outcomes,
            [
                (Outcome::Success, None),
                (Outcome::Retry, Some(Outcome::Success)),
                (Outcome::Failure, Some(Outcome::Success)),
            ]
        );
    }
}
