//! Sockets that several threads use, and that move between them.

use std::cell::Cell;
use std::io::Read;
use std::io::Write;
use std::mem;
use std::mem::ManuallyDrop;
use std::os::fd::AsFd;
use std::os::fd::AsRawFd;
use std::os::fd::FromRawFd;
use std::os::fd::IntoRawFd;
use std::os::fd::OwnedFd;
use std::rc::Rc;
use std::sync::Arc;
use std::sync::Barrier;
use std::sync::Mutex;
use std::sync::atomic::AtomicUsize;
use std::sync::atomic::Ordering;
use std::sync::mpsc;
use std::thread as os;
use std::time::Duration;

use corovent::debug;
use corovent::net::TcpListener;
use corovent::net::TcpStream;
use corovent::sleep;
use corovent::spawn;
use corovent::timeout;
use corovent::yield_now;
use corovent_runtime::fd::Direction;
use corovent_runtime::fd::wait_foreign;
use corovent_runtime::time::Deadline;

use crate::support::child;
use crate::support::open_fds;
use crate::support::run;
use crate::tcp::pair;
use crate::tcp::until_waiting;

const SHORT: Duration = Duration::from_millis(3);
const MOMENT: Duration = Duration::from_micros(100);

/// Waits in vain, so that the socket is registered with this thread's hub.
fn register(stream: &TcpStream) {
    assert!(timeout(MOMENT, || stream.wait_readable()).is_err());
}

/// One socket object, used from two hubs at once.
#[test]
fn two_hubs_share_a_socket() {
    run(|| {
        let (client, mut server) = pair();
        let client = Arc::new(client);
        register(&client);
        let reader = os::spawn({
            let client = Arc::clone(&client);
            move || {
                let task = spawn(move || {
                    let mut byte = [0];
                    (&*client).read_exact(&mut byte).unwrap();
                    byte[0]
                });
                task.join().unwrap()
            }
        });
        // Both wait; whoever reads first, each byte is read once.
        let own = spawn({
            let client = Arc::clone(&client);
            move || {
                let mut byte = [0];
                (&*client).read_exact(&mut byte).unwrap();
                byte[0]
            }
        });
        sleep(SHORT);
        server.write_all(b"a").unwrap();
        sleep(SHORT);
        server.write_all(b"b").unwrap();
        let mut got = vec![own.join().unwrap()];
        while !reader.is_finished() {
            yield_now();
        }
        got.push(reader.join().unwrap());
        got.sort_unstable();
        assert_eq!(got, b"ab");
        // Dropped here, it leaves both hubs; the other has ended already.
        drop(Arc::into_inner(client).unwrap());
    });
}

#[test]
fn a_clone_dropped_on_another_thread_leaves_the_original_alone() {
    run(|| {
        let (client, mut server) = pair();
        let clone = client.try_clone().unwrap();
        register(&client);
        register(&clone);
        os::spawn(move || drop(clone)).join().unwrap();
        sleep(SHORT);
        assert_eq!(debug::counters().descriptors, 1, "this hub has heard of it");
        server.write_all(b"x").unwrap();
        assert_eq!((&client).read(&mut [0; 8]).unwrap(), 1);
    });
}

/// The same from another thread, which has no hub or one that never saw the descriptor.
#[test]
fn a_descriptor_closed_on_another_thread_is_an_error_as_well() {
    run(|| {
        for with_hub in [false, true] {
            let (client, _server) = pair();
            let fd = client.as_raw_fd();
            let client = ManuallyDrop::new(client);
            let waiter = spawn(move || (&*client).read(&mut [0; 8]));
            until_waiting(1);
            let closer = move || {
                if with_hub {
                    spawn(|| ()).join().unwrap();
                }
                // SAFETY: the test is about a descriptor that is closed behind its owner's
                // back; the owner is forgotten.
                drop(unsafe { TcpStream::from_raw_fd(fd) });
            };
            os::spawn(closer).join().unwrap();
            let error = waiter.join().unwrap().unwrap_err();
            assert_eq!(error.raw_os_error(), Some(libc::EBADF));
        }
    });
}

/// Three hubs with three readers each: every byte is read once, and all find the end.
#[test]
fn readers_of_three_hubs_share_a_socket() {
    run(|| {
        for round in 0..10 {
            let (client, mut server) = pair();
            let client = Arc::new(client);
            let got = Arc::new(AtomicUsize::new(0));
            let hubs: Vec<_> = (0..3)
                .map(|n| {
                    let (client, got) = (Arc::clone(&client), Arc::clone(&got));
                    os::spawn(move || {
                        let readers: Vec<_> = (1..4)
                            .map(|size| {
                                let (client, got) = (Arc::clone(&client), Arc::clone(&got));
                                spawn(move || read_to_end(&client, size * 3 + n, &got))
                            })
                            .collect();
                        readers.into_iter().for_each(|reader| reader.join().unwrap());
                    })
                })
                .collect();
            let mut sent = 0;
            for n in 0..200 {
                let count = (n + round) % 11 + 1;
                server.write_all(&vec![1; count]).unwrap();
                sent += count;
            }
            drop(server);
            hubs.into_iter().for_each(|hub| hub.join().unwrap());
            assert_eq!(got.load(Ordering::Relaxed), sent);
        }
    });
}

fn read_to_end(mut stream: &TcpStream, size: usize, got: &AtomicUsize) {
    let mut buffer = vec![0; size];
    loop {
        if size.is_multiple_of(2) {
            let _ = timeout(MOMENT, || stream.wait_readable());
        }
        match stream.read(&mut buffer).unwrap() {
            0 => return,
            count => got.fetch_add(count, Ordering::Relaxed),
        };
    }
}

/// One listener and a clone of it, acceptors in three hubs.
#[test]
fn acceptors_of_three_hubs_share_a_listener() {
    const EACH: usize = 50;

    run(|| {
        let listener = Arc::new(TcpListener::bind("127.0.0.1:0").unwrap());
        let addr = listener.local_addr().unwrap();
        let left = Arc::new(AtomicUsize::new(6 * EACH));
        let hubs: Vec<_> = (0..3)
            .map(|n| {
                let listener = match n {
                    0 => Arc::new(listener.try_clone().unwrap()),
                    _ => Arc::clone(&listener),
                };
                let left = Arc::clone(&left);
                os::spawn(move || {
                    let acceptors = [(); 2].map(|()| {
                        let (listener, left) = (Arc::clone(&listener), Arc::clone(&left));
                        spawn(move || {
                            for _ in 0..EACH {
                                let (mut stream, _) = listener.accept().unwrap();
                                stream.write_all(b"hello").unwrap();
                                left.fetch_sub(1, Ordering::Relaxed);
                            }
                        })
                    });
                    acceptors.into_iter().for_each(|acceptor| acceptor.join().unwrap());
                })
            })
            .collect();
        for _ in 0..6 * EACH {
            let mut text = String::new();
            TcpStream::connect(addr).unwrap().read_to_string(&mut text).unwrap();
            assert_eq!(text, "hello");
        }
        hubs.into_iter().for_each(|hub| hub.join().unwrap());
        assert_eq!(left.load(Ordering::Relaxed), 0);
    });
}

/// Hubs come and go, with coroutines parked on the socket when they end; it outlives them,
/// and meets hubs that got their records.
#[test]
fn a_socket_outlives_hubs() {
    run(|| {
        let (mut client, mut server) = pair();
        for round in 0..100 {
            let user = os::spawn(move || {
                register(&client);
                if round % 3 == 0 {
                    let clone = ManuallyDrop::new(client.try_clone().unwrap());
                    spawn(move || clone.peek(&mut [0]).map(drop));
                    yield_now();
                }
                server.write_all(b"ab").unwrap();
                client.read_exact(&mut [0; 2]).unwrap();
                (client, server)
            });
            (client, server) = user.join().unwrap();
            if round % 2 == 0 {
                register(&client);
            }
            if round % 5 == 0 {
                (client, server) = pair();
            }
        }
    });
}

/// A hub ends on its thread while this one drops what is registered there; nothing of it
/// hits the sockets of others that get the numbers.
#[test]
fn a_drop_may_race_with_the_end_of_a_hub() {
    run(|| {
        let bystanders = [(); 4].map(|()| pair());
        bystanders.iter().for_each(|(client, _)| register(client));
        for _ in 0..200 {
            let meet = Arc::new(Barrier::new(2));
            let there = Arc::clone(&meet);
            let (give, take) = mpsc::channel();
            let user = os::spawn(move || {
                let pairs = [(); 3].map(|()| pair());
                pairs.iter().for_each(|(client, _)| register(client));
                give.send(pairs).unwrap();
                there.wait();
            });
            let pairs = take.recv().unwrap();
            meet.wait();
            drop(pairs);
            user.join().unwrap();
        }
        for (mut client, mut server) in bystanders {
            server.write_all(b"x").unwrap();
            client.read_exact(&mut [0]).unwrap();
        }
    });
}

/// Pairs of sockets, with how often they are still to be handed on.
type Wanderers = (TcpStream, TcpStream, usize);

/// Pairs move between four hubs, exchange a message in each, and change their descriptors
/// on the way.
#[test]
fn sockets_wander_between_hubs() {
    const HUBS: usize = 4;
    const PAIRS: usize = 12;
    const HOPS: usize = 60;

    run(|| {
        let queues: Arc<Vec<Mutex<Vec<Wanderers>>>> =
            Arc::new((0..HUBS).map(|_| Mutex::default()).collect());
        let arrived = Arc::new(AtomicUsize::new(0));
        for n in 0..PAIRS {
            let (a, b) = pair();
            queues[n % HUBS].lock().unwrap().push((a, b, HOPS));
        }
        let hubs: Vec<_> = (0..HUBS)
            .map(|own| {
                let (queues, arrived) = (Arc::clone(&queues), Arc::clone(&arrived));
                os::spawn(move || {
                    let random = Rc::new(Cell::new(own as u32 * 77 + 5));
                    while arrived.load(Ordering::Acquire) < PAIRS {
                        let came = mem::take(&mut *queues[own].lock().unwrap());
                        let exchanges = came.into_iter().map(|(a, b, hops)| {
                            let random = Rc::clone(&random);
                            let (queues, arrived) = (Arc::clone(&queues), Arc::clone(&arrived));
                            spawn(move || {
                                let mut step = random.get();
                                step ^= step << 13;
                                step ^= step >> 17;
                                step ^= step << 5;
                                random.set(step);
                                let (a, b) = change_descriptors(exchange(a, b, step), step);
                                if hops == 0 {
                                    arrived.fetch_add(1, Ordering::Release);
                                    return;
                                }
                                let next = (step >> 8) as usize % HUBS;
                                queues[next].lock().unwrap().push((b, a, hops - 1));
                            })
                        });
                        let exchanges: Vec<_> = exchanges.collect();
                        exchanges.into_iter().for_each(|exchange| exchange.join().unwrap());
                        sleep(MOMENT);
                    }
                })
            })
            .collect();
        hubs.into_iter().for_each(|hub| hub.join().unwrap());
        assert_eq!(arrived.load(Ordering::Acquire), PAIRS);
        // This hub has yet to hear that those it made were closed elsewhere.
        while debug::counters().descriptors > 0 {
            sleep(MOMENT);
        }
    });
}

/// Sends a message from `b` to `a`, who waits for it, and an answer back.
fn exchange(mut a: TcpStream, mut b: TcpStream, step: u32) -> (TcpStream, TcpStream) {
    let len = step as usize % 50 + 1;
    let answer = spawn(move || {
        a.read_exact(&mut vec![0; len]).unwrap();
        a.write_all(b"k").unwrap();
        a
    });
    yield_now();
    b.write_all(&vec![7; len]).unwrap();
    b.read_exact(&mut [0]).unwrap();
    (answer.join().unwrap(), b)
}

fn change_descriptors((mut a, mut b): (TcpStream, TcpStream), step: u32) -> (TcpStream, TcpStream) {
    if step.is_multiple_of(3) {
        (a, b) = (b.try_clone().unwrap(), a.try_clone().unwrap());
    }
    if step.is_multiple_of(7) {
        a = TcpStream::from(std::net::TcpStream::from(a));
    }
    if step.is_multiple_of(11) {
        // SAFETY: the number was just given away by its owner.
        b = unsafe { TcpStream::from_raw_fd(b.into_raw_fd()) };
    }
    (a, b)
}

/// After kills, timeouts, moves and conversions nothing is left open, and nothing in the
/// epoll instance. Other tests open descriptors, so it is a process of its own.
#[test]
fn nothing_is_left_of_interrupted_waits() {
    let output = child("hubs::child_interrupts_waits");
    assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
}

#[test]
#[ignore = "runs in a process of its own"]
fn child_interrupts_waits() {
    /// How many descriptors the epoll instances of this process watch.
    fn watched() -> usize {
        let in_file = |entry: std::fs::DirEntry| {
            let text = std::fs::read_to_string(entry.path()).unwrap_or_default();
            text.matches("tfd:").count()
        };
        std::fs::read_dir("/proc/self/fdinfo").unwrap().map(|entry| in_file(entry.unwrap())).sum()
    }

    run(|| {
        // Makes the hub.
        spawn(|| ()).join().unwrap();
        let before = (open_fds(), watched());
        for round in 0..100 {
            let (client, _server) = pair();
            let listener = TcpListener::bind("127.0.0.1:0").unwrap();
            // It keeps the file alive, and with it whatever is registered.
            let duplicate = client.as_fd().try_clone_to_owned().unwrap();
            let reader = spawn(move || {
                register(&client);
                match round % 5 {
                    0 => drop((&client).read(&mut [0])),
                    1 => drop(OwnedFd::from(client)),
                    2 => os::spawn(move || drop(client)).join().unwrap(),
                    3 => std::panic::resume_unwind(Box::new("with the socket")),
                    _ => drop(std::net::TcpStream::from(client)),
                }
            });
            let acceptor = spawn(move || listener.accept().map(drop));
            let foreign = spawn(move || {
                wait_foreign(duplicate.as_fd(), Direction::Read, Deadline::NEVER).unwrap();
            });
            until_waiting(2);
            sleep(MOMENT * 3);
            reader.kill();
            acceptor.kill();
            foreign.kill();
            let _ = reader.join();
            assert!(acceptor.join().is_err() && foreign.join().is_err());
        }
        assert_eq!((open_fds(), watched()), before);
    });
}
