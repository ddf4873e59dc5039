//! `crawler`: over sites that are served here, good ones and bad ones.

use std::cell::Cell;
use std::cell::RefCell;
use std::io;
use std::io::BufRead;
use std::io::BufReader;
use std::io::Write;
use std::rc::Rc;

use corovent::net::TcpListener;
use corovent::net::TcpStream;
use corovent::spawn;
use corovent::sync::Barrier;
use corovent::thread::park;
use corovent::threadpool::blocking;
use ureq::http::Uri;

use crate::process::Ending;
use crate::process::run;

#[path = "../../examples/crawler/links.rs"]
mod links;

const CRAWLER: &str = "crawler";

/// An answer, from the status line on.
enum Answer {
    /// A page of HTML.
    Page(String),
    Text(&'static str),
    /// A status, and headers of its own.
    Status(&'static str, String),
    Silence,
    /// The connection ends in the middle of a page.
    Cut,
}

/// What the server has seen.
#[derive(Default)]
struct Visits {
    paths: RefCell<Vec<String>>,
    /// Requests that are being answered.
    now: Cell<usize>,
    most: Cell<usize>,
    connections: Cell<usize>,
}

impl Visits {
    fn sorted(&self) -> Vec<String> {
        let mut paths = self.paths.borrow().clone();
        paths.sort();
        paths
    }
}

/// Serves a site, and crawls it from `/` with more arguments, which may name its address as
/// `ADDR`.
fn crawl(answer: impl Fn(&str) -> Answer + 'static, args: &[&str]) -> (Ending, Rc<Visits>, String) {
    corovent::run(|| {
        let listener = TcpListener::bind("127.0.0.1:0").unwrap();
        let addr = listener.local_addr().unwrap().to_string();
        let visits = Rc::new(Visits::default());
        spawn({
            let visits = Rc::clone(&visits);
            let answer = Rc::new(answer);
            move || {
                for stream in listener.incoming() {
                    let (visits, answer) = (Rc::clone(&visits), Rc::clone(&answer));
                    visits.connections.set(visits.connections.get() + 1);
                    // How a client leaves is not looked at.
                    spawn(move || serve(&stream.unwrap(), &visits, &*answer));
                }
            }
        });
        let mut all = vec![format!("http://{addr}/")];
        all.extend(args.iter().map(|arg| arg.replace("ADDR", &addr)));
        let ending = blocking(move || {
            let args: Vec<&str> = all.iter().map(String::as_str).collect();
            run(CRAWLER, &args)
        });
        (ending, visits, addr)
    })
}

/// Answers the requests of a connection.
fn serve(
    mut stream: &TcpStream,
    visits: &Visits,
    answer: &dyn Fn(&str) -> Answer,
) -> io::Result<()> {
    let mut lines = BufReader::new(stream).lines();
    while let Some(first) = lines.next() {
        let path = first?.split(' ').nth(1).unwrap().to_owned();
        while !lines.next().unwrap()?.is_empty() {}
        visits.paths.borrow_mut().push(path.clone());
        visits.now.set(visits.now.get() + 1);
        visits.most.set(visits.most.get().max(visits.now.get()));
        let answer = answer(&path);
        visits.now.set(visits.now.get() - 1);
        let (status, headers, body) = match answer {
            Answer::Page(body) => {
                ("200 OK", "Content-Type: text/html; charset=utf-8\r\n".into(), body)
            }
            Answer::Text(body) => ("200 OK", "Content-Type: text/plain\r\n".into(), body.into()),
            Answer::Status(status, headers) => (status, headers, "sorry".into()),
            Answer::Silence => {
                park();
                return Ok(());
            }
            Answer::Cut => {
                return stream.write_all(b"HTTP/1.1 200 OK\r\nContent-Length: 10\r\n\r\nhalf");
            }
        };
        let size = body.len();
        let head = format!("HTTP/1.1 {status}\r\n{headers}Content-Length: {size}\r\n\r\n");
        stream.write_all((head + &body).as_bytes())?;
    }
    Ok(())
}

fn page(links: impl IntoIterator<Item = impl AsRef<str>>) -> Answer {
    let link = |link: &str| format!("<li><a class=\"x\" href=\"{link}\">a link</a></li>\n");
    Answer::Page(links.into_iter().map(|to| link(to.as_ref())).collect())
}

fn not_found() -> Answer {
    Answer::Status("404 Not Found", String::new())
}

/// The line that sums up, without the time.
fn summary(ending: &Ending) -> &str {
    ending.stdout.last().unwrap().rsplit_once(" in ").unwrap().0
}

#[test]
fn the_help_names_the_options() {
    let ending = run(CRAWLER, &["--help"]);
    ending.assert_done();
    let text = ending.stdout.join("\n");
    for part in ["Usage: crawler URL...", "--jobs N", "--depth D", "--pages P", "--timeout S"] {
        assert!(text.contains(part), "{part} is not in: {text}");
    }
}

#[test]
fn bad_arguments_are_refused_in_one_line() {
    let check = |args: &[&str], why: &str| run(CRAWLER, args).assert_gave_up(CRAWLER, why);
    check(&[], "URL is missing");
    check(&["https://a/"], "'https://a/' is no address that begins with http://");
    check(&["http://"], "'http://' is no address");
    check(&["http://a/", "--colour"], "unknown option --colour");
    check(&["http://a/", "--jobs"], "--jobs needs a number");
    check(&["http://a/", "--jobs", "0"], "from 1 to 1000000000, not '0'");
    check(&["http://a/", "--depth", "-1"], "from 0 to 1000000000, not '-1'");
    check(&["http://a/", "--timeout", "-1"], "a number of seconds, not '-1'");
    check(&["http://a/", "--timeout", "NaN"], "a number of seconds, not 'NaN'");
}

#[test]
fn two_hundred_pages_are_fetched_ten_at_once() {
    const PAGES: usize = 200;
    const JOBS: usize = 10;
    // None is answered before so many are asked for.
    let together = Barrier::new(JOBS);
    let answer = move |path: &str| {
        if path == "/" {
            return page((0..PAGES).map(|n| format!("pages/{n}")));
        }
        together.wait();
        let n: usize = path.strip_prefix("/pages/").unwrap().parse().unwrap();
        // To others, to itself, back, and to places within.
        page([format!("{}", (n + 1) % PAGES), format!("/pages/{n}"), "..".into(), "#top".into()])
    };
    let (ending, visits, _) = crawl(answer, &["--jobs", "10", "--timeout", "60"]);
    ending.assert_done();
    assert_eq!(visits.most.get(), JOBS);
    // Each once.
    let mut expected: Vec<String> = (0..PAGES).map(|n| format!("/pages/{n}")).collect();
    expected.push("/".to_owned());
    expected.sort();
    assert_eq!(visits.sorted(), expected);
    // Connections are used again.
    assert!(visits.connections.get() <= JOBS, "{} connections", visits.connections.get());
    let text = summary(&ending);
    assert!(text.starts_with("201 pages and 0 redirects with "), "{text}");
    assert!(text.ends_with(" bytes, 0 failures"), "{text}");
    assert_eq!(ending.stdout.len(), 1);
}

#[test]
fn broken_links_are_told() {
    let answer = |path: &str| match path {
        "/" => page(["/gone", "/a", "/broken", "/cut", "/text"]),
        "/a" => page(["/gone", "/gone/too"]),
        "/broken" => Answer::Status("500 Internal Server Error", String::new()),
        "/cut" => Answer::Cut,
        "/text" => Answer::Text("<a href='/never'>this is no page</a>"),
        _ => not_found(),
    };
    let (mut ending, visits, addr) = crawl(answer, &[]);
    assert_eq!((ending.code, ending.stderr.len()), (Some(1), 0), "{ending:?}");
    assert_eq!(visits.sorted(), ["/", "/a", "/broken", "/cut", "/gone", "/gone/too", "/text"]);
    let text = summary(&ending);
    assert!(text.starts_with("3 pages and 0 redirects"), "{text}");
    assert!(text.ends_with("4 failures"), "{text}");
    ending.stdout.pop();
    ending.stdout.sort();
    let told = |path: &str, why: &str, from: &str| {
        format!("http://{addr}{path}: {why}, linked from http://{addr}{from}")
    };
    let cut = ending.stdout.remove(1);
    assert!(cut.starts_with(&format!("http://{addr}/cut: ")), "{cut}");
    assert_eq!(
        ending.stdout,
        [told("/broken", "500", "/"), told("/gone/too", "404", "/a"), told("/gone", "404", "/")]
    );
}

#[test]
fn redirects_end() {
    let answer = |path: &str| {
        let to = |to: String| Answer::Status("302 Found", format!("Location: {to}\r\n"));
        match path {
            "/" => page(["/circle/1", "/self", "/endless/0", "/away", "/nowhere", "/moved"]),
            "/circle/1" => to("/circle/2".into()),
            "/circle/2" => to("1".into()),
            "/self" => to("/self".into()),
            "/away" => to("http://192.0.2.1/".into()),
            "/nowhere" => Answer::Status("302 Found", String::new()),
            "/moved" => to("new/".into()),
            "/new/" => page(["here"]),
            "/new/here" => page([""]),
            _ => match path.strip_prefix("/endless/") {
                Some(n) => to(format!("/endless/{}", n.parse::<u32>().unwrap() + 1)),
                None => not_found(),
            },
        }
    };
    let (ending, visits, _) = crawl(answer, &["--depth", "4"]);
    ending.assert_done();
    let text = summary(&ending);
    // The endless one from depth 1 to 4.
    assert!(text.starts_with("3 pages and 10 redirects "), "{text}");
    assert_eq!(visits.paths.borrow().len(), 13);
}

#[test]
fn a_page_that_never_answers_is_given_up() {
    let answer = |path: &str| match path {
        "/" => page(["/never", "/1", "/2", "/3"]),
        "/never" => Answer::Silence,
        _ => page(["/"]),
    };
    // The others are fetched meanwhile, or after it.
    for jobs in ["1", "4"] {
        let (ending, visits, addr) = crawl(answer, &["--timeout", "0.5", "--jobs", jobs]);
        assert_eq!(ending.code, Some(1), "{ending:?}");
        let expected =
            format!("http://{addr}/never: no answer within 500ms, linked from http://{addr}/");
        assert_eq!(ending.stdout[0], expected, "{ending:?}");
        assert!(summary(&ending).starts_with("4 pages "), "{ending:?}");
        assert_eq!(visits.paths.borrow().len(), 5);
    }
}

#[test]
fn it_stays_within_its_bounds() {
    let endless = |path: &str| {
        let n: u32 = path.trim_matches('/').parse().unwrap_or(0);
        page([format!("/{}", 2 * n + 1), format!("/{}", 2 * n + 2), "http://192.0.2.1/".into()])
    };
    let (ending, visits, _) = crawl(endless, &["--depth", "0"]);
    ending.assert_done();
    assert_eq!(visits.sorted(), ["/"]);
    let (ending, visits, _) = crawl(endless, &["--depth", "3"]);
    ending.assert_done();
    assert_eq!(visits.paths.borrow().len(), 1 + 2 + 4 + 8);
    let (ending, visits, _) = crawl(endless, &["--pages", "50"]);
    ending.assert_done();
    assert_eq!(visits.paths.borrow().len(), 50);
    // Beginning with several; the same twice is one.
    let args = ["http://ADDR/7", "http://ADDR/#x", "http://ADDR:80/", "--depth", "0"];
    let (ending, visits, _) =
        crawl(endless, &args[..2].iter().chain(&args[3..]).copied().collect::<Vec<_>>());
    ending.assert_done();
    assert_eq!(visits.sorted(), ["/", "/7"]);
}

#[test]
fn nobody_at_the_address_is_told() {
    let listener = std::net::TcpListener::bind("127.0.0.1:0").unwrap();
    let addr = listener.local_addr().unwrap();
    drop(listener);
    let ending = run(CRAWLER, &[&format!("http://{addr}/")]);
    assert_eq!(ending.code, Some(1), "{ending:?}");
    assert!(ending.stdout[0].contains("Connection refused"), "{ending:?}");
    assert!(summary(&ending).ends_with("1 failures"), "{ending:?}");
}

#[test]
fn links_lead_where_browsers_go() {
    let check = |page: &str, link: &str, expected: &str| {
        let page: Uri = links::parse(page).unwrap();
        let found = links::resolve(&page, link).map(|uri| uri.to_string());
        let expected = (!expected.is_empty()).then(|| expected.to_owned());
        assert_eq!(found, expected, "{link} on {page}");
    };
    // Some of RFC 3986, 5.4.
    let page = "http://a/b/c/d;p?q";
    for (link, expected) in [
        ("g", "http://a/b/c/g"),
        ("./g", "http://a/b/c/g"),
        ("g/", "http://a/b/c/g/"),
        ("/g", "http://a/g"),
        ("//g", "http://g/"),
        ("?y", "http://a/b/c/d;p?y"),
        ("g?y", "http://a/b/c/g?y"),
        ("#s", "http://a/b/c/d;p?q"),
        ("g#s", "http://a/b/c/g"),
        ("g?y#s", "http://a/b/c/g?y"),
        (";x", "http://a/b/c/;x"),
        ("", "http://a/b/c/d;p?q"),
        (".", "http://a/b/c/"),
        ("./", "http://a/b/c/"),
        ("..", "http://a/b/"),
        ("../", "http://a/b/"),
        ("../g", "http://a/b/g"),
        ("../..", "http://a/"),
        ("../../../g", "http://a/g"),
        ("/./g", "http://a/g"),
        ("/../g", "http://a/g"),
        ("g.", "http://a/b/c/g."),
        ("..g", "http://a/b/c/..g"),
        ("./../g", "http://a/b/g"),
        ("g/./h", "http://a/b/c/g/h"),
        ("g/../h", "http://a/b/c/h"),
        ("g?y/../x", "http://a/b/c/g?y/../x"),
        ("http://g/x", "http://g/x"),
        ("HTTP://G:80/x", "http://g/x"),
        ("http://g:8080", "http://g:8080/"),
        (" /spaces around\n", ""),
        ("\n/g\t", "http://a/g"),
        // Not for this crawler.
        ("https://g/", ""),
        ("mailto:g@a", ""),
        ("javascript:void(0)", ""),
        ("http://user:secret@g/", ""),
        ("http:///x", ""),
    ] {
        check(page, link, expected);
    }
    check("http://a", "g", "http://a/g");
    check("http://a", "", "http://a/");
    check("http://[::1]:8000/x", "y", "http://[::1]:8000/y");
}

#[test]
fn links_are_found_in_tags() {
    let check = |html: &str, expected: &[&str]| assert_eq!(links::hrefs(html), expected, "{html}");
    check(
        "<a href=\"one\">a</a> <A HREF='two'>b</A> <a href=three>c</a>",
        &["one", "two", "three"],
    );
    check("<a class=x\n  href = \"spaced\" >", &["spaced"]);
    check("<link rel=next href=/next><a title=ü href='ö'>", &["/next", "ö"]);
    check("<a href=\"?a=1&amp;b=2\">", &["?a=1&b=2"]);
    check("<a href=''><a href><a href=>", &["", ""]);
    check("<a data-href=\"no\" hreflang=\"en\">href=\"text\"", &[]);
    check("no tags at all", &[]);
    check("<a href=\"unfinished", &["unfinished"]);
}
