//! What the models would find: each control relaxes the orderings of one function of the real
//! files, in a process of its own, and a model has to fail.
//!
//! `cargo test -- --ignored every_place` does so with each place alone, and prints those that no
//! model misses: they may be stronger than they need be, or be held up by one beside them, as
//! the fences of two `SeqCst` accesses are; or a model is missing.

use std::env;
use std::process::Command;

use crate::sites::SITES;
use crate::sites::WEAK;

/// A model, and the function of a file that it has to find too weak; only its lines with a text.
const CONTROLS: &[(&str, &str, &str, &str)] = &[
    ("locks::a_lock_is_held_by_one_thread", "sys/lock.rs", "lock", ""),
    ("locks::a_lock_is_held_by_one_thread", "sys/lock.rs", "drop", ""),
    ("locks::a_record_has_one_user_and_is_whole_when_it_is_found", "sys/records.rs", "release", ""),
    ("inbox::a_hub_that_falls_asleep_hears_of_a_message", "hub/shared.rs", "fall_asleep", ""),
    ("inbox::a_hub_that_falls_asleep_hears_of_a_message", "hub/shared.rs", "push", ""),
    ("inbox::a_token_carries_what_came_before", "hub/identity.rs", "unpark", ""),
    ("locks::a_record_has_one_user_and_is_whole_when_it_is_found", "sys/records.rs", "claim", ""),
    ("locks::a_mutex_is_held_by_one_thread_and_forgets_nobody", "sync/raw_lock.rs", "unlock", ""),
    (
        "locks::a_mutex_is_held_by_one_thread_and_forgets_nobody",
        "sync/raw_lock.rs",
        "unlock_and_call",
        "",
    ),
    (
        "locks::a_mutex_is_held_by_one_thread_and_forgets_nobody",
        "sync/raw_lock/waiting.rs",
        "come",
        "",
    ),
    ("locks::readers_share_and_writers_do_not", "sync/raw_lock.rs", "join", ""),
    ("locks::a_permit_is_held_by_one_thread_and_none_is_lost", "sync/permits.rs", "change", ""),
    ("locks::a_once_runs_once_and_what_it_made_is_seen", "sync/once.rs", "drop", ""),
    ("packets::a_join_that_gives_up_meets_the_end", "packet/body.rs", "finish_shared", ""),
    ("packets::a_link_meets_the_end", "packet/links.rs", "add_link", ""),
    ("packets::a_watcher_sees_the_end", "packet/extras.rs", "start_watching", ""),
    ("packets::a_result_is_seen_by_who_joins", "packet/extras.rs", "start_joining", ""),
    ("packets::a_watcher_learns_that_a_kill_was_swallowed", "packet/body.rs", "kill_ignored", ""),
    ("queues::threads_are_woken_for_what_is_there", "sys/lock.rs", "drop", ""),
    ("queues::values_pass_from_block_to_block", "sync/mpsc/channel.rs", "put", ""),
    ("queues::values_pass_from_block_to_block", "sync/mpsc/receiving.rs", "is_empty", ""),
    ("queues::a_value_meets_a_deadline", "sync/mpsc/channel.rs", "remove_sender", ""),
];

/// Runs a model in a process of its own with some places weakened; what it says if it fails.
fn failure(model: &str, places: &[usize]) -> Option<String> {
    let numbers: Vec<String> = places.iter().map(usize::to_string).collect();
    let output = Command::new(env::current_exe().unwrap())
        .args(["--exact", "--nocapture", &format!("models::{model}")])
        .env(WEAK, numbers.join(","))
        .env("RUST_BACKTRACE", "0")
        .output()
        .unwrap();
    let text = String::from_utf8_lossy(&output.stdout) + String::from_utf8_lossy(&output.stderr);
    assert!(text.contains("running 1 test"), "there is no model {model}");
    (!output.status.success()).then(|| text.into_owned())
}

#[test]
fn a_weakness_is_found() {
    for (model, file, function, text) in CONTROLS {
        let is_meant = |(of, within, line): &(&str, &str, &str)| {
            of == file && within == function && line.contains(text)
        };
        let places: Vec<usize> =
            (0..SITES.len()).filter(|place| is_meant(&SITES[*place])).collect();
        assert!(!places.is_empty(), "{file} has no such place in {function}: {text}");
        let found = failure(model, &places);
        let found = found.unwrap_or_else(|| panic!("{model} misses {function} of {file}"));
        let line = found.lines().skip_while(|line| !line.contains("panicked at")).nth(1);
        println!("{file}, {function}: {}", line.unwrap_or("it aborted"));
    }
    println!("{} controls", CONTROLS.len());
}

/// The models, to be run with each place weakened.
#[test]
#[ignore = "takes hours; for who adds a model"]
fn every_place_that_no_model_misses() {
    let output = Command::new(env::current_exe().unwrap()).arg("--list").output().unwrap();
    let list = String::from_utf8(output.stdout).unwrap();
    let models: Vec<&str> = list
        .lines()
        .filter_map(|line| line.strip_suffix(": test")?.strip_prefix("models::"))
        .filter(|model| !model.starts_with("controls::"))
        .collect();
    for (place, (file, function, line)) in SITES.iter().enumerate() {
        if !models.iter().any(|model| failure(model, &[place]).is_some()) {
            println!("{file}, {function}: {line}");
        }
    }
}
