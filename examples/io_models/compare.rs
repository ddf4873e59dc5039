//! The same load against each model in turn.
//!
//! A model is measured in three servers, each fresh: with one client; with many that say
//! nothing and then one of them that talks; and with many that all talk.

use std::error::Error;
use std::path::PathBuf;
use std::time::Duration;

use corovent::sleep;

use crate::chart;
use crate::claims;
use crate::load;
use crate::load::MESSAGE_BYTES;
use crate::load::Talk;
use crate::model::MODELS;
use crate::model::Model;
use crate::server::Server;
use crate::table;
use crate::tally::Tally;

/// So many clients at once are enough for what is counted by strace(1).
const TRACED_MAX: usize = 10;

/// What to measure.
pub(crate) struct Plan {
    pub(crate) connections: usize,
    /// With all connections; the other loads are a quarter as long.
    time: Duration,
    models: Vec<&'static Model>,
    svg: Option<PathBuf>,
}

/// What was measured of one model.
pub(crate) struct Figures {
    pub(crate) model: &'static Model,
    /// The only client there is.
    pub(crate) alone: Talk,
    /// The share of a processor that many clients cost which say nothing.
    pub(crate) idle: f64,
    /// One client that talks among many that do not.
    pub(crate) one_of_many: Talk,
    /// All of the many.
    pub(crate) many: Talk,
    pub(crate) tally: Tally,
    /// Calls in vain for each request of the many; `None` if nobody could count them.
    pub(crate) wasted: Option<f64>,
}

/// All that was measured.
pub(crate) struct Comparison {
    pub(crate) connections: usize,
    pub(crate) rows: Vec<Figures>,
}

impl Plan {
    pub(crate) fn from_args(args: &[&str]) -> Result<Plan, Box<dyn Error>> {
        let time = Duration::from_secs(2);
        let models = MODELS.iter().collect();
        let mut plan = Plan { connections: 100, time, models, svg: None };
        for pair in args.chunks(2) {
            let &[name, value] = pair else {
                return Err(format!("unexpected argument '{}' (see --help)", pair[0]).into());
            };
            match name {
                "--connections" => {
                    plan.connections =
                        value.parse().ok().filter(|count| *count > 0).ok_or_else(|| {
                            format!("--connections needs a number from 1 on, not '{value}'")
                        })?;
                }
                "--seconds" => {
                    let seconds = value.parse().ok().filter(|seconds| *seconds >= 0.1);
                    let time =
                        seconds.and_then(|seconds| Duration::try_from_secs_f64(seconds).ok());
                    plan.time = time.ok_or_else(|| {
                        format!("--seconds needs a number from 0.1 on, not '{value}'")
                    })?;
                }
                "--models" => {
                    plan.models = value.split(',').map(Model::named).collect::<Result<_, _>>()?;
                }
                "--svg" => plan.svg = Some(PathBuf::from(value)),
                _ => return Err(format!("unexpected argument '{name}' (see --help)").into()),
            }
        }
        Ok(plan)
    }

    pub(crate) fn run(&self) -> Result<(), Box<dyn Error>> {
        table::print_head(self.connections);
        let mut comparison = Comparison { connections: self.connections, rows: Vec::new() };
        for model in &self.models {
            match self.measure(model) {
                Ok(figures) => {
                    table::print_row(&figures);
                    comparison.rows.push(figures);
                }
                // The kernel, or what keeps the process from it, may not allow a model.
                Err(error) => println!("| {:<13} | cannot run: {error} |", model.name),
            }
        }
        if comparison.rows.is_empty() {
            return Err("no model could run".into());
        }
        table::print_legend(self.connections);
        claims::print(&comparison);
        if let Some(path) = &self.svg {
            chart::write(&comparison, path)
                .map_err(|error| format!("cannot write {}: {error}", path.display()))?;
            println!("\nThe chart is in {}.", path.display());
        }
        Ok(())
    }

    fn measure(&self, model: &'static Model) -> Result<Figures, Box<dyn Error>> {
        let short = self.time / 4;
        let mut server = Server::start(model)?;
        let alone = load::talk(&server, 1, short)?;
        if alone.requests == 0 {
            return Err(server.last_words().into());
        }
        server.stop()?;

        let server = Server::start(model)?;
        let mut greeted = load::greet(&server.addr, self.connections);
        let before = server.usage()?.cpu_seconds;
        sleep(short);
        let idle = (server.usage()?.cpu_seconds - before) / short.as_secs_f64();
        if greeted.is_empty() {
            return Err("nobody was answered".into());
        }
        let first = greeted.remove(0);
        let one_of_many = load::talk_alone(&server, first, short)?;
        drop(greeted);
        server.stop()?;

        let server = Server::start(model)?;
        let many = load::talk(&server, self.connections, self.time)?;
        let (tally, _) = server.stop()?;
        let wasted = if model.counts_calls {
            Some(per_request(tally.wasted, &tally))
        } else {
            self.trace(model)
        };
        Ok(Figures { model, alone, idle, one_of_many, many, tally, wasted })
    }

    /// Counts the calls in vain of a model that does not make its calls itself.
    ///
    /// strace(1) does, in a run of its own, which is slow: what it counts for each request is
    /// all that it is good for.
    fn trace(&self, model: &Model) -> Option<f64> {
        let server = Server::start_traced(model).ok()?;
        // The first look at each connection is in vain; few of them, so that it hardly counts.
        load::talk(&server, self.connections.min(TRACED_MAX), self.time / 2).ok()?;
        let (tally, report) = server.stop().ok()?;
        Some(per_request(wasted_in(&report)?, &tally))
    }
}

impl Figures {
    /// What the kernel told the server, for each request.
    pub(crate) fn notices(&self) -> f64 {
        per_request(self.tally.notices, &self.tally)
    }

    pub(crate) fn calls(&self) -> f64 {
        per_request(self.tally.calls, &self.tally)
    }

    pub(crate) fn switches(&self) -> f64 {
        self.many.switches as f64 / self.many.requests as f64
    }

    pub(crate) fn resident_mib(&self) -> f64 {
        self.many.usage.resident_bytes as f64 / f64::from(1 << 20)
    }
}

fn per_request(count: u64, tally: &Tally) -> f64 {
    (count * MESSAGE_BYTES as u64) as f64 / tally.bytes as f64
}

/// How many of the calls that strace has written down found nothing to do.
fn wasted_in(report: &str) -> Option<u64> {
    let calls = report.lines().filter(|line| line.contains(" = "));
    let wasted = calls.clone().filter(|line| {
        line.contains(" = -1 EAGAIN") || (line.contains("epoll_") && line.ends_with(" = 0"))
    });
    // Without any call, what was written is a complaint.
    calls.clone().next().map(|_| wasted.count() as u64)
}
