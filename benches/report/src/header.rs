//! The first line of a results file: where and with what its figures were measured.

use std::collections::BTreeMap;
use std::error::Error;
use std::fs;

use serde::Deserialize;
use serde::Serialize;

/// Whose versions are of interest.
const PEERS: [&str; 8] = [
    "async-channel",
    "corosensei",
    "crossbeam-channel",
    "may",
    "monoio",
    "smol",
    "tokio",
    "async-io",
];

/// What holds for all figures of a file.
#[derive(Debug, Default, PartialEq, Serialize, Deserialize)]
pub(crate) struct Header {
    /// Everything that has one value: date, kernel, compiler.
    pub(crate) about: BTreeMap<String, String>,
    /// The versions of those that are compared.
    pub(crate) peers: BTreeMap<String, String>,
}

/// So that the line differs from those of figures.
#[derive(Serialize, Deserialize)]
struct Named {
    header: Header,
}

impl Header {
    /// Asks the machine; what it cannot tell comes as `NAME=VALUE`.
    pub(crate) fn now(more: &[&str]) -> Result<Header, Box<dyn Error>> {
        let mut about = BTreeMap::new();
        for pair in more {
            let (name, value) = pair.split_once('=').ok_or("a header has NAME=VALUE")?;
            about.insert(name.to_owned(), value.to_owned());
        }
        let kernel = fs::read_to_string("/proc/sys/kernel/osrelease")?;
        about.insert("kernel".to_owned(), kernel.trim().to_owned());
        let processors = fs::read_to_string("/proc/cpuinfo")?;
        let mut models = processors.lines().filter(|line| line.starts_with("model name"));
        let model = models.next().and_then(|line| line.split_once(':'));
        if let Some((_, model)) = model {
            about.insert("processor".to_owned(), model.trim().to_owned());
        }
        about.insert("processors".to_owned(), support::cpu::allowed().len().to_string());
        let load = fs::read_to_string("/proc/loadavg")?;
        let load = load.split(' ').next().unwrap_or_default();
        about.insert("load before".to_owned(), load.to_owned());
        Ok(Header { about, peers: versions(include_str!("../../Cargo.lock")) })
    }

    pub(crate) fn line(self) -> String {
        serde_json::to_string(&Named { header: self }).expect("it is text")
    }

    /// Gives the header of a line that is one.
    pub(crate) fn parse(line: &str) -> Option<Header> {
        serde_json::from_str::<Named>(line).ok().map(|named| named.header)
    }
}

/// Finds the peers' versions in a lock file.
fn versions(lock: &str) -> BTreeMap<String, String> {
    let lines: Vec<&str> = lock.lines().collect();
    let field = |line: &str, name| {
        let value = line.strip_prefix(name)?.strip_prefix(" = ")?;
        Some(value.trim_matches('"').to_owned())
    };
    let package = |pair: &[&str]| Some((field(pair[0], "name")?, field(pair[1], "version")?));
    let all = lines.windows(2).filter_map(package);
    all.filter(|(name, _)| PEERS.contains(&name.as_str())).collect()
}

#[cfg(test)]
mod tests {
    use super::Header;
    use super::versions;

    #[test]
    fn the_versions_come_from_the_lock_file() {
        let lock = "[[package]]\nname = \"tokio\"\nversion = \"1.2.3\"\nsource = \"\"\n\n\
                    [[package]]\nname = \"other\"\nversion = \"4.5.6\"\n";
        let found: Vec<_> = versions(lock).into_iter().collect();
        assert_eq!(found, [("tokio".to_owned(), "1.2.3".to_owned())]);
        assert!(versions(include_str!("../../Cargo.lock")).contains_key("tokio"));
    }

    #[test]
    fn a_header_is_written_and_read() {
        let header = Header::now(&["date=today", "rustc=rustc 1.0"]).unwrap();
        assert_eq!(header.about["date"], "today");
        let line = Header::now(&["date=today", "rustc=rustc 1.0"]).unwrap().line();
        assert_eq!(Header::parse(&line).unwrap().peers, header.peers);
        assert_eq!(Header::parse("{\"bench\":\"b\"}"), None);
    }

    #[test]
    fn what_is_no_pair_is_refused() {
        assert!(Header::now(&["date"]).is_err());
    }
}
