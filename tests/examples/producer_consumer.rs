//! `producer_consumer`: nothing is lost, nothing is done twice, and the queue keeps its bound.

use std::collections::BTreeSet;

use crate::process::Ending;
use crate::process::run;

const PROGRAM: &str = "producer_consumer";

/// The numbers in a line.
fn numbers(line: &str) -> Vec<usize> {
    let words = line.split(|c: char| !c.is_ascii_digit());
    words.filter_map(|word| word.parse().ok()).collect()
}

fn work(
    producers: usize,
    consumers: usize,
    items: usize,
    capacity: usize,
    quiet: &[&str],
) -> Ending {
    let numbers = [producers, consumers, items, capacity].map(|number| number.to_string());
    let names = ["--producers", "--consumers", "--items", "--capacity"];
    let mut args: Vec<&str> =
        names.iter().zip(&numbers).flat_map(|(name, number)| [name, number.as_str()]).collect();
    args.extend(quiet);
    let ending = run(PROGRAM, &args);
    ending.assert_done();
    ending
}

#[test]
fn the_help_names_the_options() {
    let ending = run(PROGRAM, &["--help"]);
    ending.assert_done();
    let text = ending.stdout.join("\n");
    for part in ["Usage: producer_consumer", "--producers N", "--capacity N", "--quiet"] {
        assert!(text.contains(part), "{part} is not in: {text}");
    }
}

#[test]
fn bad_arguments_are_refused_in_one_line() {
    let check = |args: &[&str], why: &str| run(PROGRAM, args).assert_gave_up(PROGRAM, why);
    check(&["--colour"], "unexpected argument '--colour'");
    check(&["--items"], "--items needs a number");
    check(&["--capacity", "0"], "--capacity needs a number from 1 to 1000000, not '0'");
    check(&["--producers", "some"], "not 'some'");
}

#[test]
fn all_is_used_up_and_the_bound_holds() {
    for (producers, consumers, items, capacity) in [
        (1, 1, 1, 1),
        (1, 3, 100, 2),
        (5, 1, 50, 7),
        (7, 4, 300, 5),
        (2, 10, 1, 1000),
        (50, 50, 20, 1),
    ] {
        let ending = work(producers, consumers, items, capacity, &["--quiet"]);
        let all = producers * items;
        let line = &ending.stdout[0];
        let start = format!("{producers} producers made {all} items, {consumers} consumers used [");
        assert!(line.starts_with(&start), "{line}");
        let (used, rest) = line[start.len()..].split_once(']').unwrap();
        let used = numbers(used);
        assert_eq!((used.len(), used.iter().sum::<usize>()), (consumers, all), "{line}");
        let rest = numbers(rest);
        assert!(rest[0] >= 1 && rest[0] <= capacity.min(all) && rest[1] == capacity, "{line}");
    }
}

#[test]
fn each_item_is_used_once_after_it_was_made() {
    let ending = work(4, 3, 25, 3, &[]);
    let (lines, _) = ending.stdout.split_at(ending.stdout.len() - 1);
    let mut waiting = BTreeSet::new();
    let mut used = 0;
    for line in lines {
        // `producer P has made P.N; …` or `consumer C has used P.N; …`
        let numbers = numbers(line);
        let item = (numbers[1], numbers[2]);
        if line.starts_with("producer") {
            assert!(waiting.insert(item), "{line}");
        } else {
            assert!(waiting.remove(&item), "{line}");
            used += 1;
        }
        assert!(numbers[3] <= 3, "{line}");
    }
    assert_eq!((used, waiting.len()), (100, 0));
}

#[test]
fn it_always_goes_the_same_way() {
    let first = work(3, 2, 40, 4, &[]);
    assert_eq!(first.stdout, work(3, 2, 40, 4, &[]).stdout);
    let defaults = run(PROGRAM, &["--quiet"]);
    defaults.assert_done();
    assert_eq!(
        defaults.stdout,
        ["3 producers made 12 items, 2 consumers used [6, 6], \
        at most 3 of 3 waited in the queue"]
    );
}
