// Small programs, the same in both worlds: what they say is compared.

use std::cell::Cell as Slot;
use std::time::Duration as Time;

/// What the values print as. Numbers are blanked: descriptors, processes and ports differ.
fn texts() -> Vec<String> {
    let mut texts = Vec::new();
    let mut add = |text: String| {
        texts.push(text.chars().map(|c| if c.is_ascii_digit() { '#' } else { c }).collect());
    };

    // Locks: free, held, poisoned; and their guards.
    let mutex = sync::Mutex::new("value");
    add(format!("{mutex:?} {mutex:#?} {:?}", sync::Mutex::<u8>::default()));
    let guard = mutex.lock().unwrap();
    add(format!("{mutex:?} {guard:?} {guard} {:?}", mutex.try_lock().map(drop)));
    drop(guard);
    let rwlock = sync::RwLock::new(vec![1]);
    let guard = rwlock.read().unwrap();
    add(format!("{rwlock:?} {guard:?} {:?}", rwlock.try_write().map(drop)));
    drop(guard);
    let guard = rwlock.write().unwrap();
    add(format!("{rwlock:?} {guard:?} {:?}", rwlock.try_read().map(drop)));
    drop(guard);
    poison(&mutex, &rwlock);
    add(format!("{mutex:?} {rwlock:?} {:?}", mutex.lock().map(drop)));
    add(format!("{} {}", mutex.lock().unwrap_err(), mutex.try_lock().unwrap_err()));
    add(format!("{:?} {:?}", mutex.is_poisoned(), mutex.into_inner().map_err(|_| ())));
    add(format!("{:?} {:?}", sync::Condvar::new(), sync::Barrier::new(1)));
    add(format!("{:?}", sync::Barrier::new(1).wait()));
    let held = sync::Mutex::new(());
    let waited = sync::Condvar::new().wait_timeout(held.lock().unwrap(), Time::ZERO).unwrap();
    add(format!("{waited:?}"));

    // What is made once.
    let once = sync::Once::new();
    add(format!("{once:?} {}", once.is_completed()));
    once.call_once_force(|state| add(format!("{state:?} {}", state.is_poisoned())));
    add(format!("{once:?} {}", once.is_completed()));
    let lock = sync::OnceLock::new();
    add(format!("{lock:?} {:?} {:?}", lock.get(), lock.set(1)));
    add(format!("{lock:?} {:?} {:?} {}", lock.get(), lock.set(2), lock == lock.clone()));
    let lazy = sync::LazyLock::new(|| 7);
    add(format!("{lazy:?}"));
    add(format!("{} {lazy:?}", *lazy));

    // Channels.
    let (sender, receiver) = sync::mpsc::channel();
    add(format!("{sender:?} {receiver:?} {:?}", receiver.try_recv()));
    add(format!("{:?}", receiver.recv_timeout(Time::ZERO)));
    sender.send(1).unwrap();
    drop(sender);
    add(format!("{:?} {:?} {:?}", receiver.recv(), receiver.recv(), receiver.try_recv()));
    add(format!("{:?} {:?}", receiver.iter(), receiver.try_iter()));
    let (sender, receiver) = sync::mpsc::sync_channel(1);
    add(format!("{sender:?} {:?} {:?}", sender.try_send(1), sender.try_send(2)));
    add(format!("{}", sender.try_send(2).unwrap_err()));
    drop(receiver);
    add(format!("{:?} {:?} {}", sender.send(3), sender.try_send(4), sender.send(5).unwrap_err()));

    texts.extend(threads());
    texts.extend(files().unwrap());
    texts.extend(sockets().unwrap());
    texts.extend(processes().unwrap());
    texts
}

fn poison(mutex: &sync::Mutex<&'static str>, rwlock: &sync::RwLock<Vec<i32>>) {
    thread::scope(|scope| {
        let task = scope.spawn(|| {
            let _guards = (mutex.lock().unwrap(), rwlock.write().unwrap());
            std::panic::resume_unwind(Box::new("on purpose"));
        });
        assert_eq!(*task.join().unwrap_err().downcast::<&str>().unwrap(), "on purpose");
    });
}

fn threads() -> Vec<String> {
    use imports::thread_local;

    thread_local! {
        static LOCAL: Slot<u32> = const { Slot::new(1) };
    }

    let mut texts = Vec::new();
    let builder = thread::Builder::new().name("worker".to_owned()).stack_size(1 << 17);
    let task = builder.spawn(|| {
        LOCAL.set(LOCAL.get() + 1);
        let name = thread::current().name().map(str::to_owned);
        thread::park_timeout(Time::ZERO);
        (name, LOCAL.get(), thread::panicking())
    });
    let task = task.unwrap();
    texts.push(format!("{:?} {task:?}", task.thread().name()));
    texts.push(format!("{:?} {}", task.join().unwrap(), LOCAL.get()));
    let scoped = thread::scope(|scope| {
        let task = scope.spawn(|| 5);
        let text = format!("{task:?}");
        (text, task.join().unwrap())
    });
    texts.push(format!("{scoped:?}"));
    let panicked = thread::spawn(|| std::panic::resume_unwind(Box::new(7_u8)));
    texts.push(format!("{:?}", panicked.join().unwrap_err().downcast::<u8>()));
    texts
}

/// Without numbers, and without the directory, which has another name in each world.
fn blank(text: &str, directory: &std::path::Path) -> String {
    let text = text.replace(directory.to_str().unwrap(), "DIRECTORY");
    text.chars().map(|c| if c.is_ascii_digit() { '#' } else { c }).collect()
}

fn files() -> io::Result<Vec<String>> {
    use io::Read;
    use io::Seek;
    use io::Write;
    use os::unix::fs::FileExt;

    let mut texts = Vec::new();
    let directory = tempfile::tempdir()?;
    let at = |name: &str| directory.path().join(name);
    let mut add = |text: String| texts.push(blank(&text, directory.path()));

    let options = fs::OpenOptions::new();
    add(format!("{options:?} {:?}", fs::DirBuilder::new()));
    add(format!("{:?}", fs::File::open(at("gone")).map(drop)));
    let mut file = fs::File::create_new(at("file"))?;
    write!(file, "some text")?;
    file.write_at(b"S", 0)?;
    add(format!("{file:?} {:?} {:?}", file.stream_position(), file.read(&mut [0; 4])));
    add(format!("{:?} {:?}", fs::read_to_string(at("file")), fs::metadata(at("file"))?.len()));
    add(format!("{:?}", fs::create_dir(at("file")).map_err(|error| error.kind())));
    add(format!("{:?}", fs::remove_dir(directory.path()).map_err(|error| error.kind())));
    add(format!("{:?}", fs::File::create_new(at("file")).map(drop)));
    add(format!("{:?}", fs::read_dir(directory.path())?));
    for entry in fs::read_dir(directory.path())? {
        let entry = entry?;
        add(format!("{entry:?} {:?} {:?}", entry.file_name(), entry.file_type()?.is_file()));
    }
    add(format!("{:?} {:?}", fs::exists(at("gone")), fs::copy(at("file"), at("copy"))));
    add(format!("{:?}", file.try_lock().map(|()| file.unlock().is_ok())));
    Ok(texts)
}

fn sockets() -> io::Result<Vec<String>> {
    use io::Read;

    let mut texts = Vec::new();
    let directory = tempfile::tempdir()?;
    let at = |name: &str| directory.path().join(name);
    let mut add = |text: String| texts.push(blank(&text, directory.path()));

    let listener = net::TcpListener::bind("127.0.0.1:0")?;
    let client = net::TcpStream::connect(listener.local_addr()?)?;
    let (server, _) = listener.accept()?;
    add(format!("{listener:?} {client:?} {server:?} {:?}", listener.incoming()));
    client.set_read_timeout(Some(Time::from_millis(1)))?;
    add(format!("{:?} {:?}", (&client).read(&mut [0]), client.read_timeout()));
    drop(server);
    client.set_read_timeout(None)?;
    add(format!("{:?} {:?}", (&client).read(&mut [0]), client.peek(&mut [0])));
    let udp = net::UdpSocket::bind("127.0.0.1:0")?;
    add(format!("{udp:?} {:?} {:?}", udp.peer_addr().map(drop), udp.send(&[1])));
    let listener = os::unix::net::UnixListener::bind(at("socket"))?;
    let client = os::unix::net::UnixStream::connect(at("socket"))?;
    add(format!("{listener:?} {client:?} {:?}", client.local_addr()));
    add(format!("{:?}", os::unix::net::UnixStream::pair()?));
    add(format!("{:?}", os::unix::net::UnixDatagram::bind(at("socket")).map(drop)));
    add(format!("{:?}", os::unix::net::UnixDatagram::unbound()?.send(&[1])));
    Ok(texts)
}

fn processes() -> io::Result<Vec<String>> {
    use io::Read;
    use io::Write;
    use os::unix::process::ExitStatusExt;

    let mut texts = Vec::new();
    let mut add = |text: String| texts.push(blank(&text, std::path::Path::new("DIRECTORY")));

    let mut command = process::Command::new("sh");
    command.args(["-c", "cat; echo err >&2; exit 3"]).env("A", "b").current_dir("/");
    add(format!("{command:?} {command:#?} {:?}", process::Stdio::null()));
    let child = command.stdin(process::Stdio::piped()).stdout(process::Stdio::piped());
    let mut child = child.stderr(process::Stdio::null()).spawn()?;
    add(format!("{child:?} {:?}", child.try_wait()));
    child.stdin.as_ref().unwrap().write_all(b"in")?;
    let output = child.wait_with_output()?;
    add(format!("{output:?} {:?}", output.status.code()));
    let mut child = process::Command::new("sleep").arg("1000").spawn()?;
    child.kill()?;
    let status = child.wait()?;
    add(format!("{status:?} {status} {:?} {:?}", status.signal(), child.kill()));
    add(format!("{:?}", process::Command::new("/no/such/program").status()));
    add(format!("{:?}", process::Command::new("a\0b").status()));
    add(format!("{:?} {:?} {:?}", io::stdin(), io::stdout(), io::stderr()));
    let (mut reader, writer) = io::pipe()?;
    add(format!("{reader:?} {writer:?}"));
    drop(writer);
    add(format!("{:?}", reader.read_to_end(&mut Vec::new())));
    Ok(texts)
}

/// Where std's types are covariant, so are ours.
fn shorter<'short, 'long: 'short>(
    a: sync::RwLockReadGuard<'long, &'long str>,
    b: sync::MutexGuard<'long, u8>,
    c: sync::RwLockWriteGuard<'long, u8>,
    d: thread::ScopedJoinHandle<'long, u8>,
    e: net::Incoming<'long>,
    f: sync::mpsc::Iter<'long, u8>,
    g: os::unix::net::Incoming<'long>,
) -> (
    sync::RwLockReadGuard<'short, &'short str>,
    sync::MutexGuard<'short, u8>,
    sync::RwLockWriteGuard<'short, u8>,
    thread::ScopedJoinHandle<'short, u8>,
    net::Incoming<'short>,
    sync::mpsc::Iter<'short, u8>,
    os::unix::net::Incoming<'short>,
) {
    (a, b, c, d, e, f, g)
}
