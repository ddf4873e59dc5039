//! Makes of the lines that the measuring programs print what people read.
//!
//! ```text
//! report header NAME=VALUE…     prints the first line of a results file
//! report write DIR              reads DIR/results.json, writes DIR/results.md and charts
//! ```

mod charts;
mod header;
mod marks;
mod numbers;
mod results;
mod statistics;
mod tables;
#[cfg(test)]
mod testing;

use std::env;
use std::error::Error;
use std::fs;
use std::path::Path;
use std::process::ExitCode;

use crate::header::Header;
use crate::results::Results;

fn main() -> ExitCode {
    let args: Vec<String> = env::args().skip(1).collect();
    let words: Vec<&str> = args.iter().map(String::as_str).collect();
    let done = match words.as_slice() {
        ["header", more @ ..] => Header::now(more).map(|header| println!("{}", header.line())),
        ["write", directory] => write(Path::new(directory)),
        _ => Err("usage: report header NAME=VALUE… | report write DIR".into()),
    };
    match done {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            eprintln!("report: {error}");
            ExitCode::FAILURE
        }
    }
}

fn write(directory: &Path) -> Result<(), Box<dyn Error>> {
    let results = Results::parse(&fs::read_to_string(directory.join("results.json"))?)?;
    for bench in &results.benches {
        if let Some(chart) = charts::draw(bench)? {
            fs::write(directory.join(charts::file_name(bench)), chart)?;
        }
    }
    fs::write(directory.join("results.md"), tables::markdown(&results))?;
    println!("written: {}", directory.join("results.md").display());
    Ok(())
}
