//! What can be measured: a case of a benchmark, with a function for everybody who can do it.
//!
//! A function is given how often to do the operation, and gives what one of them costs. Its work
//! has to be exactly proportional to that number, but for a part that does not depend on it: who
//! counts instructions takes the difference of two runs.

use std::thread;
use std::time::Instant;

use support::Better;
use support::Line;

/// Several figures, or why there are none.
pub(crate) type Measured = Result<Vec<Figure>, String>;

/// One of several figures of a run.
pub(crate) struct Figure {
    pub(crate) bench: &'static str,
    pub(crate) value: f64,
    pub(crate) unit: &'static str,
    pub(crate) mark: Option<f64>,
}

/// A case of a benchmark, and who is measured in it.
pub(crate) struct Case {
    pub(crate) bench: &'static str,
    pub(crate) name: String,
    unit: &'static str,
    /// So often is the operation done; and in a run that only shows that it works, and before
    /// the clock starts, so that caches and allocators are warm.
    count: usize,
    quick_count: usize,
    /// The first time is what is measured, and takes at most so much memory.
    cold_bytes: Option<usize>,
    pub(crate) is_heavy: bool,
    pub(crate) needs_cores: bool,
    mark: Option<f64>,
    of: Option<&'static str>,
    better: Better,
    pub(crate) entries: Vec<Entry>,
}

/// Somebody who is measured.
pub(crate) struct Entry {
    pub(crate) who: &'static str,
    /// Of the slow ones only a part is measured.
    part: usize,
    measure: Box<dyn Fn(usize) -> Measured>,
}

const COLD_BYTES: usize = 1 << 30;

impl Case {
    /// Makes a case in nanoseconds for each of `count` operations.
    pub(crate) fn new(bench: &'static str, name: &str, count: usize, quick_count: usize) -> Case {
        Case {
            bench,
            name: name.to_owned(),
            unit: "ns",
            count,
            quick_count,
            cold_bytes: None,
            is_heavy: false,
            needs_cores: false,
            mark: None,
            of: None,
            better: Better::Less,
            entries: Vec::new(),
        }
    }

    pub(crate) fn unit(mut self, unit: &'static str) -> Case {
        self.unit = unit;
        self
    }

    /// More is better.
    pub(crate) fn more(mut self) -> Case {
        self.better = Better::More;
        self
    }

    /// What the design demands of corovent.
    pub(crate) fn mark(mut self, limit: f64) -> Case {
        self.mark = Some(limit);
        self
    }

    /// The same, as a ratio to another.
    pub(crate) fn mark_of(mut self, who: &'static str, ratio: f64) -> Case {
        (self.mark, self.of) = (Some(ratio), Some(who));
        self
    }

    /// The first time is what is measured; it takes a gigabyte at most.
    pub(crate) fn cold(self) -> Case {
        self.cold_with(0)
    }

    /// The same, with so much memory if that is more.
    pub(crate) fn cold_with(mut self, bytes: usize) -> Case {
        self.cold_bytes = Some(bytes.max(COLD_BYTES));
        self
    }

    /// It takes seconds: the runner gives it few rounds.
    pub(crate) fn heavy(mut self) -> Case {
        self.is_heavy = true;
        self
    }

    /// It is about several threads that run at once.
    pub(crate) fn cores(mut self) -> Case {
        self.needs_cores = true;
        self
    }

    pub(crate) fn who(self, who: &'static str, measure: impl Fn(usize) -> f64 + 'static) -> Case {
        self.slow_who(who, 1, measure)
    }

    /// Adds corovent twice: in a process that has one thread, and in one that has another, which
    /// does nothing; but then it might, and what threads share is guarded.
    pub(crate) fn ours(self, measure: impl Fn(usize) -> f64 + Copy + 'static) -> Case {
        self.who("corovent", measure).who("corovent beside a thread", move |count| {
            thread::spawn(thread::park);
            measure(count)
        })
    }

    /// Adds somebody who does a part of the work, being slow.
    pub(crate) fn slow_who(
        mut self,
        who: &'static str,
        part: usize,
        measure: impl Fn(usize) -> f64 + 'static,
    ) -> Case {
        let (bench, unit) = (self.bench, self.unit);
        let measure = Box::new(move |count| {
            Ok(vec![Figure { bench, value: measure(count), unit, mark: None }])
        });
        self.entries.push(Entry { who, part, measure });
        self
    }

    /// Adds somebody with several figures, or one who may be unable.
    pub(crate) fn several(
        mut self,
        who: &'static str,
        measure: impl Fn(usize) -> Measured + 'static,
    ) -> Case {
        self.entries.push(Entry { who, part: 1, measure: Box::new(measure) });
        self
    }

    /// Measures one of the entries.
    pub(crate) fn run(
        &self,
        entry: &Entry,
        count: Option<usize>,
        is_quick: bool,
    ) -> Result<Vec<Line>, String> {
        let usual = if is_quick { self.quick_count } else { (self.count / entry.part).max(1) };
        match self.cold_bytes {
            _ if is_quick => {}
            None => drop((entry.measure)(self.quick_count)?),
            Some(bytes) => support::host_memory::fetch(bytes),
        }
        let figures = (entry.measure)(count.unwrap_or(usual))?;
        Ok(figures.into_iter().map(|figure| self.line(entry.who, figure)).collect())
    }

    fn line(&self, who: &str, figure: Figure) -> Line {
        let mut line = Line::new(figure.bench, &self.name, who, figure.value, figure.unit);
        line.better = self.better;
        if who == "corovent" {
            line.mark = figure.mark.or(self.mark.filter(|_| figure.bench == self.bench));
            line.of = self.of.map(str::to_owned);
        }
        line
    }
}

/// Gives how many nanoseconds each of `count` operations took that `f` does together.
pub(crate) fn ns_each(count: usize, f: impl FnOnce()) -> f64 {
    let start = Instant::now();
    f();
    ns_since(start, count)
}

/// Gives how many nanoseconds each of `count` operations took since then.
pub(crate) fn ns_since(start: Instant, count: usize) -> f64 {
    start.elapsed().as_nanos() as f64 / count as f64
}
