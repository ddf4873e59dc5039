//! A crawler: fetches pages of a site, many at once, and says which links are broken.
//!
//! ```text
//! cargo run --release --example crawler -- http://127.0.0.1:8000/
//! python3 -m http.server 8000          # a site to try it on, in another terminal
//! ```
//!
//! Each fetch is a coroutine of plain blocking code: `ureq` over green sockets, which `agent.rs`
//! shows. A pool runs at most so many at once as `--jobs` says, and `timeout` ends one that takes
//! too long, wherever it waits. The report belongs to the root alone, which takes the results as
//! they are ready and puts what they link to into the frontier, from which the pool reads on. If
//! stderr is a terminal, a bar shows how far it is.

#![allow(clippy::print_stderr, clippy::print_stdout)]

use std::collections::HashSet;
use std::env;
use std::fmt;
use std::process::ExitCode;
use std::time::Duration;
use std::time::Instant;

use indicatif::ProgressBar;
use indicatif::ProgressStyle;
use ureq::Agent;
use ureq::http::Uri;
use ureq::http::header::LOCATION;

use corovent::group::Pool;
use corovent::sync::mpsc::Sender;
use corovent::sync::mpsc::channel;
use corovent::timeout;

mod agent;
mod links;

const HELP: &str = "\
A crawler: fetches pages of a site, many at once, and says which links are broken.

Usage: crawler URL... [--jobs N] [--depth D] [--pages P] [--timeout S]

  URL          where to begin; links to the same hosts are followed, http alone
  --jobs N     pages that are fetched at once (default 10)
  --depth D    links between the first page and the last (default 5)
  --pages P    pages that are fetched in all (default 1000)
  --timeout S  seconds that one may take (default 10)

The exit code is 1 if a page could not be fetched.";

/// More of a page is not kept.
const PAGE_BYTES_MAX: u64 = 10_000_000;
/// A billion of anything is a mistake.
const NUMBER_MAX: usize = 1_000_000_000;

fn main() -> ExitCode {
    let plan = match Plan::from_args(env::args().skip(1)) {
        Ok(Some(plan)) => plan,
        Ok(None) => {
            println!("{HELP}");
            return ExitCode::SUCCESS;
        }
        Err(message) => {
            eprintln!("crawler: {message} (see --help)");
            return ExitCode::FAILURE;
        }
    };
    let start = Instant::now();
    let report = crawl(plan);
    println!("{report} in {:.2} s", start.elapsed().as_secs_f64());
    if report.failed == 0 { ExitCode::SUCCESS } else { ExitCode::FAILURE }
}

/// What to do.
struct Plan {
    urls: Vec<Uri>,
    jobs: usize,
    depth: usize,
    pages: usize,
    limit: Duration,
}

impl Plan {
    /// `None` if the help was asked for.
    fn from_args(mut args: impl Iterator<Item = String>) -> Result<Option<Plan>, String> {
        let limit = Duration::from_secs(10);
        let mut plan = Plan { urls: Vec::new(), jobs: 10, depth: 5, pages: 1000, limit };
        while let Some(arg) = args.next() {
            let mut value = || args.next().ok_or(format!("{arg} needs a number"));
            let number = |text: String, min| match text.parse() {
                Ok(number) if (min..=NUMBER_MAX).contains(&number) => Ok(number),
                _ => Err(format!("{arg} needs a number from {min} to {NUMBER_MAX}, not '{text}'")),
            };
            match arg.as_str() {
                "--help" | "-h" => return Ok(None),
                "--jobs" => plan.jobs = number(value()?, 1)?,
                "--depth" => plan.depth = number(value()?, 0)?,
                "--pages" => plan.pages = number(value()?, 1)?,
                "--timeout" => {
                    let text = value()?;
                    let limit = text.parse().ok().map(Duration::try_from_secs_f64);
                    let bad = || format!("--timeout needs a number of seconds, not '{text}'");
                    plan.limit = limit.and_then(Result::ok).ok_or_else(bad)?;
                }
                _ if arg.starts_with('-') => return Err(format!("unknown option {arg}")),
                _ => {
                    let bad = || format!("'{arg}' is no address that begins with http://");
                    plan.urls.push(links::parse(&arg).ok_or_else(bad)?);
                }
            }
        }
        if plan.urls.is_empty() { Err("URL is missing".to_owned()) } else { Ok(Some(plan)) }
    }
}

/// A page that is to be fetched.
#[derive(Clone)]
struct Page {
    url: Uri,
    depth: usize,
    /// Where a link to it was found first; `None` for those that the crawl begins with.
    found_on: Option<Uri>,
}

/// What came of it.
struct Fetched {
    status: u16,
    bytes: usize,
    links: Vec<String>,
}

/// Fetches all pages of a plan.
fn crawl(plan: Plan) -> Report {
    let (agent, limit) = (agent::agent(plan.jobs), plan.limit);
    let pool = Pool::new(plan.jobs);
    let (frontier, pages) = channel();
    let mut crawl = Crawl::new(plan, frontier);
    // The input waits until a page is found; dropping the results ends that.
    let mut results = pool.imap_unordered(pages, move |page: Page| {
        let result = match timeout(limit, || fetch(&agent, &page.url)) {
            Ok(result) => result.map_err(|error| error.to_string()),
            Err(_) => Err(format!("no answer within {limit:?}")),
        };
        (page, result)
    });
    while crawl.report.pages() < crawl.seen.len() {
        let (page, result) = results.next().expect("the frontier is open");
        crawl.note(&page, result);
    }
    crawl.bar.finish_and_clear();
    crawl.report
}

struct Crawl {
    plan: Plan,
    frontier: Sender<Page>,
    seen: HashSet<Uri>,
    report: Report,
    bar: ProgressBar,
}

impl Crawl {
    fn new(plan: Plan, frontier: Sender<Page>) -> Crawl {
        // Hidden unless stderr is a terminal.
        let style = ProgressStyle::with_template("{bar:40} {pos} of {len} pages  {msg}")
            .expect("the template is right");
        let mut crawl = Crawl {
            frontier,
            seen: HashSet::new(),
            report: Report::default(),
            bar: ProgressBar::new(0).with_style(style),
            plan,
        };
        for url in crawl.plan.urls.clone() {
            crawl.add(Page { url, depth: 0, found_on: None });
        }
        crawl
    }

    /// Notes a page, unless it is known already, or there are enough.
    fn add(&mut self, page: Page) {
        if self.seen.len() < self.plan.pages && self.seen.insert(page.url.clone()) {
            // The pool reads until the crawl is over.
            let _ = self.frontier.send(page);
            self.bar.inc_length(1);
        }
    }

    fn note(&mut self, page: &Page, result: Result<Fetched, String>) {
        self.bar.set_message(page.url.to_string());
        self.bar.inc(1);
        match result {
            Ok(fetched) => {
                self.report.bytes += fetched.bytes;
                match fetched.status {
                    200..=299 => self.report.good += 1,
                    300..=399 => self.report.redirects += 1,
                    status => self.complain(page, &status.to_string()),
                }
                self.follow(page, &fetched.links);
            }
            Err(why) => self.complain(page, &why),
        }
    }

    fn follow(&mut self, page: &Page, links: &[String]) {
        if page.depth == self.plan.depth {
            return;
        }
        for link in links {
            if let Some(url) = links::resolve(&page.url, link)
                && self.plan.urls.iter().any(|first| first.authority() == url.authority())
            {
                let found_on = Some(page.url.clone());
                self.add(Page { url, depth: page.depth + 1, found_on });
            }
        }
    }

    fn complain(&mut self, page: &Page, why: &str) {
        self.report.failed += 1;
        let mut line = format!("{}: {why}", page.url);
        if let Some(found_on) = &page.found_on {
            line += &format!(", linked from {found_on}");
        }
        // Between two pictures of the bar.
        self.bar.suspend(|| println!("{line}"));
    }
}

/// Fetches a page. A redirect is a page with one link: so one that leads in a circle does no
/// harm.
fn fetch(agent: &Agent, url: &Uri) -> Result<Fetched, ureq::Error> {
    let mut response = agent.get(url).call()?;
    let status = response.status();
    let location = response.headers().get(LOCATION).and_then(|value| value.to_str().ok());
    let location = location.map(str::to_owned).filter(|_| status.is_redirection());
    let is_page = status.is_success() && response.body().mime_type() == Some("text/html");
    let body = response.body_mut().with_config().limit(PAGE_BYTES_MAX).read_to_vec()?;
    let links = if is_page {
        links::hrefs(&String::from_utf8_lossy(&body))
    } else {
        location.into_iter().collect()
    };
    Ok(Fetched { status: status.as_u16(), bytes: body.len(), links })
}

#[derive(Default)]
struct Report {
    good: usize,
    redirects: usize,
    failed: usize,
    bytes: usize,
}

impl Report {
    /// How many pages it is about.
    fn pages(&self) -> usize {
        self.good + self.redirects + self.failed
    }
}

impl fmt::Display for Report {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Report { good, redirects, failed, bytes } = self;
        write!(f, "{good} pages and {redirects} redirects with {bytes} bytes, {failed} failures")
    }
}
