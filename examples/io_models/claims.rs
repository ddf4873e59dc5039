//! What is commonly said about each model, and whether the figures of this run agree.
//!
//! The limits below are ours: a claim of "more" or "as much" needs a number to be judged by.

use crate::compare::Comparison;
use crate::compare::Figures;
use crate::select::FD_SETSIZE;
use crate::thread_pool::THREADS;

/// Something that can be looked up in the figures.
struct Claim {
    models: &'static [&'static str],
    text: &'static str,
    judge: fn(&Figures, &Comparison) -> Verdict,
}

enum Verdict {
    Agrees(String),
    Differs(String),
    /// This run could not show it.
    Unseen(String),
}

/// Two costs are alike if neither is more than this much of the other.
const ALIKE: f64 = 1.25;
/// A cost grows with the number of clients if many cost more than this much of one.
const GROWS: f64 = 1.5;
/// Below so many connections nothing can be said about many.
const MANY: usize = 50;

const CLAIMS: &[Claim] = &[
    Claim {
        models: &["blocking"],
        text: "serves one client at a time, the others wait",
        judge: |own, all| serves(own, all, 1),
    },
    Claim {
        models: &["nonblocking"],
        text: "burns the processor even when nobody says a thing",
        judge: |own, _| {
            let seen = format!("idle, it takes {:.0} % of a processor", own.idle * 100.0);
            // Others take nothing. A busy machine does not give it all of one.
            agree_if(own.idle > 0.1, seen)
        },
    },
    Claim {
        models: &["nonblocking"],
        text: "wastes calls on clients that have nothing to say",
        judge: |own, _| {
            let cost = own.one_of_many.cpu_us() / own.alone.cpu_us();
            let wasted = own.wasted.unwrap_or_default();
            let seen = format!(
                "{wasted:.2} calls in vain for each request when all talk; when one does, a \
                 request costs {cost:.1} times as much processor time among the silent as alone"
            );
            agree_if(wasted > 0.5 || cost > GROWS, seen)
        },
    },
    Claim {
        models: &["threads"],
        text: "takes a thread, and so memory, for each client",
        judge: |own, all| {
            let Some(epoll) = all.get("epoll_level") else { return without("epoll_level") };
            let threads = own.many.usage.threads;
            let (own_mib, epoll_mib) = (own.resident_mib(), epoll.resident_mib());
            let seen = format!(
                "{threads} threads and {own_mib:.1} MiB, epoll_level has {} and {epoll_mib:.1}",
                epoll.many.usage.threads
            );
            agree_if(threads > all.connections && own_mib > epoll_mib, seen)
        },
    },
    Claim {
        models: &["threads"],
        text: "pays for switching between them when there are many",
        judge: |own, all| {
            let Some(epoll) = all.get("epoll_level") else { return without("epoll_level") };
            if all.connections < MANY {
                return few(all);
            }
            let seen = format!(
                "{:.2} switches and {:.1} us a request, epoll_level has {:.2} and {:.1}",
                own.switches(),
                own.many.cpu_us(),
                epoll.switches(),
                epoll.many.cpu_us()
            );
            let pays = own.many.cpu_us() > epoll.many.cpu_us();
            agree_if(own.switches() > epoll.switches() && pays, seen)
        },
    },
    Claim {
        models: &["thread_pool"],
        text: "serves as many clients as it has threads, more of them wait",
        judge: |own, all| {
            if all.connections <= THREADS {
                return Verdict::Unseen(format!(
                    "it has {THREADS} threads, there were no more \
                    clients"
                ));
            }
            serves(own, all, THREADS)
        },
    },
    Claim {
        models: &["select"],
        text: "takes only descriptors below 1024",
        judge: |own, all| {
            if all.connections < FD_SETSIZE as usize {
                return Verdict::Unseen(format!("{} clients are fewer", all.connections));
            }
            let served = own.many.served;
            agree_if(
                served < FD_SETSIZE as usize,
                format!("of {} clients it served {served}", all.connections),
            )
        },
    },
    Claim {
        models: &["select", "poll"],
        text: "costs more the more clients are connected, even if they are silent",
        judge: |own, all| grows(own, all, true),
    },
    Claim {
        models: &["epoll_level", "epoll_edge", "selectors", "socketserver", "coroutines"],
        text: "costs what the clients cost that talk, however many are silent",
        judge: |own, all| grows(own, all, false),
    },
    Claim {
        models: &[
            "poll",
            "epoll_level",
            "epoll_edge",
            "async_io",
            "selectors",
            "socketserver",
            "coroutines",
        ],
        text: "serves them all at once",
        judge: |own, all| serves(own, all, all.connections),
    },
    Claim {
        models: &["select", "poll", "epoll_level", "epoll_edge"],
        text: "is for many clients: for one alone it is no faster than blocking",
        judge: |own, all| {
            let Some(blocking) = all.get("blocking") else { return without("blocking") };
            let (own, blocking) = (own.alone.cpu_us(), blocking.alone.cpu_us());
            let seen = format!("{own:.1} us for a request of one client, blocking {blocking:.1}");
            // Up to a tenth below is noise.
            agree_if(own > blocking * 0.9, seen)
        },
    },
    Claim {
        models: &["epoll_edge"],
        text: "is told less often than with level triggering",
        judge: |own, all| {
            let Some(level) = all.get("epoll_level") else { return without("epoll_level") };
            let (own, level) = (own.notices(), level.notices());
            agree_if(
                own < level * 0.95,
                format!("it was told {own:.2} times a request, epoll_level {level:.2} times"),
            )
        },
    },
    Claim {
        models: &["epoll_edge"],
        text: "has to go on until EAGAIN, which costs a call in vain",
        judge: |own, all| {
            let Some(level) = all.get("epoll_level") else { return without("epoll_level") };
            let wasted = |figures: &Figures| figures.wasted.unwrap_or_default();
            let (own, level) = (wasted(own), wasted(level));
            agree_if(
                own > level + 0.5,
                format!("{own:.2} calls in vain for each request, epoll_level {level:.2}"),
            )
        },
    },
    Claim {
        models: &["signal_driven"],
        text: "is hardly of use over TCP, where too many things raise a signal",
        judge: |own, _| {
            let (signals, calls) = (own.notices(), own.calls());
            agree_if(
                signals > 1.05,
                format!("{signals:.2} signals and {calls:.2} calls for each request"),
            )
        },
    },
    Claim {
        models: &["async_io"],
        text: "needs no call to learn who is ready: nothing is tried in vain, and one call \
            serves many",
        judge: |own, _| {
            let wasted = own.wasted.unwrap_or_default();
            let calls = own.calls();
            agree_if(
                wasted == 0.0 && calls < 1.0,
                format!("{calls:.2} calls for each request, {wasted:.2} of them in vain"),
            )
        },
    },
    Claim {
        models: &["selectors"],
        text: "is what it waits with, in another form, for about the same price",
        judge: |own, all| costs_like(own, all, "epoll_level"),
    },
    Claim {
        models: &["socketserver"],
        text: "saves the loop and costs what its coroutines cost",
        judge: |own, all| costs_like(own, all, "coroutines"),
    },
    Claim {
        models: &["coroutines"],
        text: "is written like threads and runs like epoll, on one thread",
        judge: |own, all| {
            let Some(epoll) = all.get("epoll_level") else { return without("epoll_level") };
            let (threads, own, epoll) =
                (own.many.usage.threads, own.many.cpu_us(), epoll.many.cpu_us());
            agree_if(
                threads == 1 && own < epoll * ALIKE,
                format!("{threads} thread, {own:.1} us for each request, epoll_level {epoll:.1}"),
            )
        },
    },
];

/// Prints a paragraph for each model.
pub(crate) fn print(comparison: &Comparison) {
    for figures in &comparison.rows {
        let name = figures.model.name;
        let mut text = format!("{name}:");
        for claim in CLAIMS.iter().filter(|claim| claim.models.contains(&name)) {
            text += &format!(" It is said that it {}.", claim.text);
            text += &match (claim.judge)(figures, comparison) {
                Verdict::Agrees(seen) => format!(" This run agrees: {seen}."),
                Verdict::Differs(seen) => format!(" This run does not agree: {seen}."),
                Verdict::Unseen(why) => format!(" This run cannot tell: {why}."),
            };
        }
        println!("\n{}", wrapped(&text));
    }
}

fn agree_if(agrees: bool, seen: String) -> Verdict {
    if agrees { Verdict::Agrees(seen) } else { Verdict::Differs(seen) }
}

fn without(model: &str) -> Verdict {
    Verdict::Unseen(format!("{model} was not measured"))
}

fn few(all: &Comparison) -> Verdict {
    Verdict::Unseen(format!("{} clients are not many", all.connections))
}

fn serves(own: &Figures, all: &Comparison, expected: usize) -> Verdict {
    let served = own.many.served;
    agree_if(served == expected, format!("of {} clients it served {served}", all.connections))
}

fn costs_like(own: &Figures, all: &Comparison, other: &str) -> Verdict {
    let Some(figures) = all.get(other) else { return without(other) };
    let (own, its) = (own.many.cpu_us(), figures.many.cpu_us());
    agree_if(own < its * ALIKE, format!("{own:.1} us for each request, {other} {its:.1}"))
}

/// Whether silent clients make the one that talks dearer.
fn grows(own: &Figures, all: &Comparison, expected: bool) -> Verdict {
    if all.connections < MANY {
        return few(all);
    }
    let (alone, among) = (own.alone.cpu_us(), own.one_of_many.cpu_us());
    let seen = format!(
        "a request costs {alone:.1} us alone and {among:.1} us beside {} silent clients",
        all.connections - 1
    );
    agree_if((among > alone * GROWS) == expected, seen)
}

/// The text in lines that fit a screen.
fn wrapped(text: &str) -> String {
    const COLUMNS: usize = 96;
    let mut lines = vec![String::new()];
    for word in text.split_whitespace() {
        let line = lines.last_mut().expect("there is a first line");
        if line.chars().count() + 1 + word.chars().count() > COLUMNS {
            lines.push(word.to_owned());
        } else {
            *line += if line.is_empty() { "" } else { " " };
            *line += word;
        }
    }
    lines.join("\n")
}

impl Comparison {
    fn get(&self, name: &str) -> Option<&Figures> {
        self.rows.iter().find(|figures| figures.model.name == name)
    }
}
