//! Producers and consumers with a bounded queue between them.
//!
//! ```text
//! cargo run --example producer_consumer
//! cargo run --example producer_consumer -- --producers 5 --consumers 1 --capacity 2
//! ```
//!
//! Who puts into a full queue waits, and so does who takes from an empty one: nobody counts,
//! locks or polls. Each consumer says `task_done` for each item that it has worked on, so
//! `join` knows when all is done, and `close` sends the consumers home. As all run on one
//! thread, first come, first served, the same arguments always give the same output.

#![allow(clippy::print_stderr, clippy::print_stdout)]

use std::cell::Cell;
use std::env;
use std::process::ExitCode;

use corovent::ScopedJoinHandle;
use corovent::queue::JoinableQueue;
use corovent::scope;
use corovent::yield_now;

const HELP: &str = "\
Producers and consumers with a bounded queue between them.

Usage: producer_consumer [--producers N] [--consumers N] [--items N] [--capacity N] [--quiet]

  --producers N  who make items (default 3)
  --consumers N  who use them up (default 2)
  --items N      items that each producer makes (default 4)
  --capacity N   items that the queue holds (default 3)
  --quiet        only the sum at the end is told";

const NUMBER_MAX: usize = 1_000_000;

fn main() -> ExitCode {
    match Plan::from_args(env::args().skip(1)) {
        Ok(Some(plan)) => {
            Workshop::new(plan).run();
            ExitCode::SUCCESS
        }
        Ok(None) => {
            println!("{HELP}");
            ExitCode::SUCCESS
        }
        Err(message) => {
            eprintln!("producer_consumer: {message} (see --help)");
            ExitCode::FAILURE
        }
    }
}

struct Plan {
    producers: usize,
    consumers: usize,
    items: usize,
    capacity: usize,
    is_quiet: bool,
}

impl Plan {
    /// `None` if the help was asked for.
    fn from_args(mut args: impl Iterator<Item = String>) -> Result<Option<Plan>, String> {
        let mut plan = Plan { producers: 3, consumers: 2, items: 4, capacity: 3, is_quiet: false };
        while let Some(arg) = args.next() {
            let number = match arg.as_str() {
                "--help" | "-h" => return Ok(None),
                "--quiet" => {
                    plan.is_quiet = true;
                    continue;
                }
                "--producers" => &mut plan.producers,
                "--consumers" => &mut plan.consumers,
                "--items" => &mut plan.items,
                "--capacity" => &mut plan.capacity,
                _ => return Err(format!("unexpected argument '{arg}'")),
            };
            let text = args.next().ok_or(format!("{arg} needs a number"))?;
            *number = match text.parse() {
                Ok(number @ 1..=NUMBER_MAX) => number,
                _ => {
                    return Err(format!(
                        "{arg} needs a number from 1 to {NUMBER_MAX}, not '{text}'"
                    ));
                }
            };
        }
        Ok(Some(plan))
    }
}

/// What a producer or a consumer has to say in the end.
fn done(worker: ScopedJoinHandle<'_, usize>) -> usize {
    worker.join().expect("neither producers nor consumers panic")
}

struct Item {
    producer: usize,
    number: usize,
}

struct Workshop {
    plan: Plan,
    queue: JoinableQueue<Item>,
    /// The most items that were seen in the queue.
    fullest: Cell<usize>,
}

impl Workshop {
    fn new(plan: Plan) -> Workshop {
        let queue = JoinableQueue::bounded(plan.capacity);
        Workshop { plan, queue, fullest: Cell::new(0) }
    }

    fn run(&self) {
        let Plan { producers, consumers, .. } = self.plan;
        scope(|scope| {
            let consuming: Vec<_> =
                (1..=consumers).map(|n| scope.spawn(move || self.consume(n))).collect();
            let producing: Vec<_> =
                (1..=producers).map(|n| scope.spawn(move || self.produce(n))).collect();
            let made: usize = producing.into_iter().map(done).sum();
            // What is in the queue, and what is being worked on.
            self.queue.join();
            self.queue.close();
            let used: Vec<_> = consuming.into_iter().map(done).collect();
            println!(
                "{producers} producers made {made} items, {consumers} consumers used {used:?}, \
                 at most {} of {} waited in the queue",
                self.fullest.get(),
                self.plan.capacity,
            );
        });
    }

    /// Gives how many items it has made.
    fn produce(&self, producer: usize) -> usize {
        for number in 1..=self.plan.items {
            if self.queue.put(Item { producer, number }).is_err() {
                // The queue was closed: nobody wants any more.
                return number - 1;
            }
            self.fullest.set(self.fullest.get().max(self.queue.len()));
            self.tell(format_args!("producer {producer} has made {producer}.{number}"));
        }
        self.plan.items
    }

    /// Gives how many items it has used up.
    fn consume(&self, consumer: usize) -> usize {
        let mut used = 0;
        for Item { producer, number } in &self.queue {
            // The work, during which others run.
            yield_now();
            self.tell(format_args!("consumer {consumer} has used {producer}.{number}"));
            used += 1;
            self.queue.task_done();
        }
        used
    }

    fn tell(&self, what: std::fmt::Arguments<'_>) {
        if !self.plan.is_quiet {
            println!("{what}; {} wait in the queue", self.queue.len());
        }
    }
}
