//! What is measured: which servers, with how many connections, messages of which size, how long.

use std::io;
use std::time::Duration;

use crate::peers::Peer;

const BYTES: [usize; 3] = [64, 4096, 16 * 1024];
/// With these numbers of connections all sizes are measured.
const CONNECTIONS: [usize; 4] = [1, 50, 1_000, 5_000];
/// And with these only the least, to see what a request costs when there are more and more.
const SCALING: [usize; 3] = [10, 100, 10_000];
/// Memory of so many connections is measured: pages no longer count then.
const MEMORY_AT: usize = 5_000;

#[derive(Debug)]
pub(crate) struct Plan {
    pub(crate) rounds: u32,
    /// How long a server is loaded in one round of one cell.
    pub(crate) slot: Duration,
    /// How long it is watched while its connections are idle.
    pub(crate) idle: Duration,
    pub(crate) fields: Vec<Field>,
    /// With so many connections one and two threads are compared.
    pub(crate) threads_at: usize,
    /// Empty for all.
    pub(crate) only: Vec<String>,
    pub(crate) added: Vec<Peer>,
}

/// Servers that are there together, each with so many connections.
#[derive(Debug)]
pub(crate) struct Field {
    pub(crate) connections: usize,
    /// The sizes of messages, one cell each.
    pub(crate) bytes: Vec<usize>,
    /// Whether memory and idle time are measured too.
    pub(crate) is_for_memory: bool,
}

impl Plan {
    fn full() -> Plan {
        let scaling = SCALING.map(|connections| Field::new(connections, &BYTES[..1]));
        let mut fields = fields(&CONNECTIONS, &BYTES);
        fields.extend(scaling);
        fields.sort_by_key(|field| field.connections);
        Plan {
            rounds: 12,
            slot: Duration::from_millis(200),
            idle: Duration::from_secs(3),
            fields,
            threads_at: 1_000,
            only: Vec::new(),
            added: Vec::new(),
        }
    }

    fn quick() -> Plan {
        Plan {
            rounds: 1,
            slot: Duration::from_millis(20),
            idle: Duration::from_millis(100),
            fields: fields(&[1, 50], &BYTES),
            threads_at: 50,
            ..Plan::full()
        }
    }

    pub(crate) fn from_args(args: &[&str]) -> io::Result<Plan> {
        let is_quick = args.contains(&"--quick");
        let mut plan = if is_quick { Plan::quick() } else { Plan::full() };
        let (mut connections, mut bytes) = (None, None);
        let mut args = args.iter().copied().filter(|arg| *arg != "--quick");
        while let Some(arg) = args.next() {
            if let Some((name, command)) = arg.split_once('=') {
                plan.added.push(Peer::new(name, &command.split(' ').collect::<Vec<_>>()));
                continue;
            }
            let value = args.next().ok_or_else(|| no_such(arg))?;
            match arg {
                "--rounds" => plan.rounds = numbers(value)?[0] as u32,
                "--slot-ms" => plan.slot = Duration::from_millis(numbers(value)?[0] as u64),
                "--connections" => connections = Some(numbers(value)?),
                "--bytes" => bytes = Some(numbers(value)?),
                "--only" => plan.only = value.split(',').map(str::to_owned).collect(),
                _ => return Err(no_such(arg)),
            }
        }
        if connections.is_some() || bytes.is_some() {
            let (connections, bytes) = (connections.as_deref(), bytes.as_deref());
            plan.fields = fields(connections.unwrap_or(&CONNECTIONS), bytes.unwrap_or(&BYTES));
        }
        Ok(plan)
    }
}

impl Field {
    fn new(connections: usize, bytes: &[usize]) -> Field {
        Field { connections, bytes: bytes.to_vec(), is_for_memory: false }
    }
}

/// Memory is measured with the number of connections that comes next to the wanted one.
fn fields(connections: &[usize], bytes: &[usize]) -> Vec<Field> {
    let mut fields: Vec<Field> = connections.iter().map(|&n| Field::new(n, bytes)).collect();
    let next = fields.iter_mut().min_by_key(|field| field.connections.abs_diff(MEMORY_AT));
    if let Some(field) = next {
        field.is_for_memory = field.connections > 1;
    }
    fields
}

fn numbers(text: &str) -> io::Result<Vec<usize>> {
    let is_wrong = |_| io::Error::other(format!("'{text}' is not made of numbers"));
    let numbers: Result<Vec<usize>, _> = text.split(',').map(str::parse).collect();
    numbers.map_err(is_wrong)
}

fn no_such(arg: &str) -> io::Error {
    io::Error::other(format!("'{arg}' is no option that has a value, nor NAME=COMMAND"))
}
