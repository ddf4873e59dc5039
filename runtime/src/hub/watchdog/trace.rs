//! The line that a hub prints of itself every now and then: `COROVENT_TRACE`.

use std::fmt::Write;
use std::time::Duration;

use crate::hub::Hub;
use crate::hub::stats::Stats;
use crate::sys::clock::Deadline;
use crate::sys::process::print_error;
use crate::sys::threads;

impl Hub {
    /// Prints what was done since the last line; the first has nothing to compare with.
    pub(crate) fn trace(&self) {
        let now = Deadline::now();
        let stats = self.stats();
        let before = self.traced.replace(Some(Box::new((now, stats))));
        let passed = before.as_ref().map(|before| now.since(before.0));
        let earlier = before.map_or(Stats::default(), |before| before.1);
        let name = threads::name(threads::current_id());
        print_error(render(&name, &stats, &earlier, passed).as_bytes());
    }
}

fn render(thread: &str, now: &Stats, before: &Stats, passed: Option<Duration>) -> String {
    let mut line = format!(
        "corovent: thread '{thread}': {} live ({} ready, {} parked)",
        now.live, now.ready, now.parked
    );
    let unit = if passed.is_some() { "/s" } else { " so far" };
    let seconds = passed.map_or(1.0, |passed| passed.as_secs_f64().max(0.001));
    for (name, now, before) in [
        ("switches", now.switches, before.switches),
        ("turns", now.turns, before.turns),
        ("events", now.events, before.events),
        ("spawned", now.spawned, before.spawned),
        ("panicked", now.panicked, before.panicked),
        ("killed", now.killed, before.killed),
    ] {
        let rate = now.saturating_sub(before) as f64 / seconds;
        let _ = write!(line, ", {rate:.0} {name}{unit}");
    }
    let _ = writeln!(
        line,
        ", longest run {:.1?}, {} timers, {} descriptors, {} stacks and {} pooled",
        now.longest_run, now.timers, now.descriptors, now.stacks_live, now.stacks_pooled
    );
    line
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_line_has_rates_by_the_second() {
        let before = Stats { switches: 100, ..Stats::default() };
        let now = Stats { live: 3, ready: 1, parked: 2, switches: 1100, ..Stats::default() };
        let line = render("main", &now, &before, Some(Duration::from_secs(2)));
        assert!(
            line.starts_with("corovent: thread 'main': 3 live (1 ready, 2 parked), "),
            "{line}"
        );
        assert!(line.contains(" 500 switches/s, "), "{line}");
        let line = render("main", &now, &Stats::default(), None);
        assert!(line.contains(" 1100 switches so far, "), "{line}");
    }
}
