//! Requests, builds and steps.

use super::*;
use crate::model::{EventKind, Outcome};

on_both! {
    async fn a_build_goes_from_wish_to_outcome_and_each_change_is_told(house: &House) {
        let mut open = house.furnished().await;
        let store = open.store.clone();
        let build = begun(&store, 1).await;
        assert_eq!((build.number, build.builder.as_str()), (1, "a"));
        let step = store.begin_step(build.id, 0, "shell", at(2)).await.unwrap();
        store.finish_step(step, Outcome::Success, "done\0", at(3)).await.unwrap();
        store.finish_build(build.id, Outcome::Warnings, "built", RequestEnd::Complete, at(4)).await.unwrap();

        use EventKind as K;
        let kinds = [
            K::ConfigurationCommitted, K::BuildsetAdded, K::BuildRequestAdded, K::BuildRequestClaimed, K::BuildStarted,
            K::StepStarted, K::StepFinished, K::BuildFinished, K::BuildRequestComplete, K::BuildsetComplete,
        ];
        let events = told(&mut open, kinds.len()).await;
        assert_eq!(events.iter().map(|event| event.kind).collect::<Vec<_>>(), kinds);
        let ids: Vec<i64> = events.iter().map(|event| event.id.0).collect();
        assert_eq!(ids, (1..=10).collect::<Vec<_>>(), "ids grow without gaps");
        assert_eq!(events[7].body["complete_at"], 1_700_000_004);
        assert_eq!(events[7].body["results"], 1);

        let stored = store.events(&Query::all()).await.unwrap().rows;
        assert_eq!(stored.len(), 10);
        for (stored, told) in stored.iter().zip(&events) {
            assert_eq!((stored.eventid, stored.kind, &stored.body), (told.id, told.kind, &told.body));
        }
        let row = store.build_by_number(&builder("a"), 1).await.unwrap().unwrap();
        assert_eq!((row.complete, row.results, row.state_string.as_str()), (true, Some(Outcome::Warnings), "built"));
        let set = &store.buildsets(&Query::all()).await.unwrap().rows[0];
        assert_eq!((set.complete, set.results), (true, Some(Outcome::Warnings)));
        assert_eq!(set.properties.get("owner").unwrap(), "ada");
        let request = &store.build_requests(&Query::all()).await.unwrap().rows[0];
        assert_eq!((request.claimed, request.complete, request.results), (true, true, Some(Outcome::Warnings)));
    }
}
