//! Whose turn it is.

use super::{Deed, Model};

#[test]
fn builders_that_compete_for_one_worker_take_turns() {
    let mut model = Model::new();
    model.carry_out(&Deed::Pause(1));
    model.carry_out(&Deed::Pause(2));
    for _ in 0..5 {
        model.carry_out(&Deed::Request { builder: 0, priority: 0 });
    }
    for _ in 0..2 {
        model.carry_out(&Deed::Request { builder: 2, priority: 0 });
    }
    model.carry_out(&Deed::Attach(0));
    let mut order = Vec::new();
    for _ in 0..7 {
        model.settle();
        let (id, (builder, ..)) = model.running.first_key_value().expect("one runs");
        order.push(builder.clone());
        let id = *id;
        model.end(id, false);
    }
    assert_eq!(order, ["a", "exclusive", "a", "exclusive", "a", "a", "a"]);
}

#[test]
fn a_higher_priority_comes_before_a_fair_share() {
    let mut model = Model::new();
    for (builder, priority) in [(0, 0), (0, 1), (2, 0), (0, 1)] {
        model.carry_out(&Deed::Request { builder, priority });
    }
    model.carry_out(&Deed::Attach(0));
    let mut order = Vec::new();
    for _ in 0..4 {
        model.settle();
        let id = *model.running.first_key_value().expect("one runs").0;
        order.push(id);
        model.end(id, false);
    }
    assert_eq!(order, [2, 4, 3, 1]);
}
