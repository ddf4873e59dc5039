//! Futures where code blocks: coroutines await channels and locks that know nothing of them,
//! and the tasks of a runtime on another thread.

use std::cell::Cell;
use std::cell::RefCell;
use std::future::Future;
use std::future::pending;
use std::future::poll_fn;
use std::future::ready;
use std::io::Read;
use std::io::Write;
use std::pin::Pin;
use std::rc::Rc;
use std::sync::Arc;
use std::sync::Mutex;
use std::sync::atomic::AtomicBool;
use std::sync::atomic::AtomicUsize;
use std::sync::atomic::Ordering;
use std::task::Context;
use std::task::Poll;
use std::task::Waker;
use std::thread as os;
use std::time::Duration;
use std::time::Instant;

use corovent::Deadlock;
use corovent::JoinHandle;
use corovent::catch_unwind;
use corovent::current;
use corovent::debug;
use corovent::net::TcpListener;
use corovent::sleep;
use corovent::spawn;
use corovent::task::block_on;
use corovent::thread::park;
use corovent::thread::park_timeout;
use corovent::timeout;
use corovent::yield_now;
use futures::SinkExt;
use futures::StreamExt;
use futures::channel::mpsc;
use futures::channel::oneshot;
use futures::future::join_all;
use tokio::io::AsyncReadExt;
use tokio::io::AsyncWriteExt;
use tokio::runtime;
use tokio::sync::Notify;
use tokio::sync::Semaphore;

use crate::support::is_message;
use crate::support::on_drop;
use crate::support::run;
use crate::support::was_killed;
use crate::tcp::pair;

const LONG: Duration = Duration::from_secs(3600);
const SHORT: Duration = Duration::from_millis(2);

/// Runs a body at the same time in two coroutines of this thread, in one of another thread,
/// and on a thread without a hub.
fn everywhere(body: impl Fn() + Clone + Send + 'static) {
    let thread = os::spawn({
        let body = body.clone();
        move || body()
    });
    let hub = os::spawn({
        let body = body.clone();
        move || run(|| spawn(body).join().unwrap())
    });
    let tasks = [(); 2].map(|()| spawn(body.clone()));
    tasks.into_iter().for_each(|task| task.join().unwrap());
    corovent::threadpool::blocking(move || {
        thread.join().unwrap();
        hub.join().unwrap();
    });
}

/// Holds the last waker that somebody has left.
#[derive(Clone, Default)]
struct Slot(Arc<Mutex<Option<Waker>>>);

impl Slot {
    fn keep(&self, context: &Context<'_>) {
        *self.0.lock().unwrap() = Some(context.waker().clone());
    }

    /// Lets the others run until there is one.
    fn take(&self) -> Waker {
        loop {
            if let Some(waker) = self.0.lock().unwrap().take() {
                return waker;
            }
            yield_now();
        }
    }
}

#[test]
fn coroutines_and_a_thread_share_an_async_channel() {
    run(|| {
        let (sender, receiver) = async_channel::bounded::<u32>(2);
        let thread = os::spawn({
            let sender = sender.clone();
            move || (0..100).for_each(|n| block_on(sender.send(n)).unwrap())
        });
        let green = spawn(move || (100..200).for_each(|n| block_on(sender.send(n)).unwrap()));
        let got = Rc::new(RefCell::new(Vec::new()));
        let readers = [(); 3].map(|()| {
            let (receiver, got) = (receiver.clone(), Rc::clone(&got));
            spawn(move || {
                while let Ok(n) = block_on(receiver.recv()) {
                    got.borrow_mut().push(n);
                }
            })
        });
        green.join().unwrap();
        readers.into_iter().for_each(|reader| reader.join().unwrap());
        thread.join().unwrap();
        got.borrow_mut().sort_unstable();
        assert_eq!(*got.borrow(), (0..200).collect::<Vec<_>>());
    });
}

#[test]
fn combinators_wait_for_several() {
    run(|| {
        let (first_sender, first) = oneshot::channel();
        let (second_sender, second) = oneshot::channel();
        let both = spawn(move || block_on(async { futures::join!(first, second) }));
        yield_now();
        second_sender.send('b').unwrap();
        yield_now();
        assert!(!both.is_finished());
        first_sender.send(1).unwrap();
        assert_eq!(both.join().unwrap(), (Ok(1), Ok('b')));

        let (mut numbers, mut from_numbers) = mpsc::channel::<u32>(1);
        let (mut words, mut from_words) = mpsc::channel::<&str>(1);
        let chooser = spawn(move || {
            block_on(async move {
                let mut log = Vec::new();
                loop {
                    futures::select! {
                        n = from_numbers.select_next_some() => log.push(n.to_string()),
                        word = from_words.select_next_some() => log.push(word.to_owned()),
                        complete => return log,
                    }
                }
            })
        });
        let writer = spawn(move || {
            for n in 0..4 {
                block_on(numbers.send(n)).unwrap();
            }
        });
        ["a", "b", "c"].into_iter().for_each(|word| block_on(words.send(word)).unwrap());
        drop(words);
        writer.join().unwrap();
        let log = chooser.join().unwrap();
        let is_number = |word: &&String| word.parse::<u32>().is_ok();
        assert_eq!(log.iter().filter(is_number).collect::<Vec<_>>(), ["0", "1", "2", "3"]);
        assert_eq!(log.iter().filter(|word| !is_number(word)).count(), 3);

        let (senders, receivers): (Vec<_>, Vec<_>) = (0..50).map(|_| oneshot::channel()).unzip();
        let all = spawn(move || block_on(join_all(receivers)));
        yield_now();
        let sends = senders.into_iter().enumerate();
        let threads: Vec<_> = sends.map(|(n, one)| os::spawn(move || one.send(n))).collect();
        let all: Vec<usize> = all.join().unwrap().into_iter().map(Result::unwrap).collect();
        assert_eq!(all, (0..50).collect::<Vec<_>>());
        threads.into_iter().for_each(|thread| thread.join().unwrap().unwrap());
    });
}

/// A select whose loser is dropped every time, and whose winner comes from another hub.
#[test]
fn messages_go_to_and_fro_between_two_hubs() {
    const ROUNDS: u32 = if cfg!(debug_assertions) { 2_000 } else { 20_000 };
    run(|| {
        let (mut there, mut arrives) = mpsc::channel::<u32>(0);
        let (mut back, mut answers) = mpsc::channel::<u32>(0);
        let hub = os::spawn(move || {
            run(|| {
                let echo = move || {
                    block_on(async {
                        while let Some(n) = arrives.next().await {
                            back.send(n + 1).await.unwrap();
                        }
                    });
                };
                spawn(echo).join().unwrap();
            });
        });
        let asker = spawn(move || {
            for n in 0..ROUNDS {
                block_on(there.send(n)).unwrap();
                let answer = block_on(async {
                    futures::select! {
                        answer = answers.select_next_some() => answer,
                        () = futures::future::pending() => unreachable!(),
                    }
                });
                assert_eq!(answer, n + 1);
            }
        });
        asker.join().unwrap();
        hub.join().unwrap();
    });
}

#[test]
fn a_tokio_mutex_excludes_coroutines_and_threads() {
    run(|| {
        let total = Arc::new(tokio::sync::Mutex::new(0));
        everywhere({
            let total = Arc::clone(&total);
            move || {
                for _ in 0..200 {
                    let mut total = block_on(total.lock());
                    let before = *total;
                    yield_now();
                    *total = before + 1;
                }
            }
        });
        assert_eq!(*total.try_lock().unwrap(), 4 * 200);
    });
}

#[test]
fn a_tokio_semaphore_bounds_coroutines_and_threads() {
    run(|| {
        let (permits, inside) = (Arc::new(Semaphore::new(2)), Arc::new(AtomicUsize::new(0)));
        everywhere({
            let permits = Arc::clone(&permits);
            move || {
                for _ in 0..200 {
                    let _permit = block_on(permits.acquire()).unwrap();
                    assert!(inside.fetch_add(1, Ordering::SeqCst) < 2);
                    yield_now();
                    inside.fetch_sub(1, Ordering::SeqCst);
                }
            }
        });
        assert_eq!(permits.available_permits(), 2);
    });
}

#[test]
fn tokio_channels_join_coroutines_and_threads() {
    run(|| {
        let (sender, mut receiver) = tokio::sync::mpsc::channel::<(u32, _)>(1);
        let server = spawn(move || {
            let mut served = 0;
            while let Some((n, answer)) = block_on(receiver.recv()) {
                let answer: tokio::sync::oneshot::Sender<u32> = answer;
                answer.send(n * 2).unwrap();
                served += 1;
            }
            served
        });
        everywhere(move || {
            for n in 0..100 {
                let (answer, answered) = tokio::sync::oneshot::channel();
                block_on(sender.send((n, answer))).unwrap();
                assert_eq!(block_on(answered), Ok(n * 2));
            }
        });
        assert_eq!(server.join().unwrap(), 400);
    });
}

/// Of two who wait, one is killed: what was meant for it goes to the other, or to itself if
/// it came first.
#[test]
fn what_a_killed_one_does_not_take_goes_to_the_next() {
    run(|| {
        let bell = Arc::new(Notify::new());
        let waiter = |bell: &Arc<Notify>| {
            let bell = Arc::clone(bell);
            spawn(move || block_on(bell.notified()))
        };
        let (first, second) = (waiter(&bell), waiter(&bell));
        yield_now();
        first.kill();
        bell.notify_one();
        second.join().unwrap();
        assert!(was_killed(first));

        let (first, second) = (waiter(&bell), waiter(&bell));
        yield_now();
        bell.notify_one();
        first.kill();
        first.join().unwrap();
        yield_now();
        assert!(!second.is_finished());
        bell.notify_waiters();
        second.join().unwrap();
    });
}

/// A runtime of tokio's that lives on a thread of its own.
struct Tokio {
    handle: runtime::Handle,
    stop: tokio::sync::oneshot::Sender<()>,
    thread: os::JoinHandle<()>,
}

impl Tokio {
    fn start() -> Tokio {
        let (give_handle, handle) = std::sync::mpsc::channel();
        let (stop, stopped) = tokio::sync::oneshot::channel();
        let thread = os::spawn(move || {
            let runtime = runtime::Builder::new_current_thread().enable_all().build().unwrap();
            give_handle.send(runtime.handle().clone()).unwrap();
            runtime.block_on(stopped).unwrap();
        });
        Tokio { handle: handle.recv().unwrap(), stop, thread }
    }

    fn stop(self) {
        self.stop.send(()).unwrap();
        self.thread.join().unwrap();
    }
}

/// Tasks of tokio's sleep, and talk with a server of coroutines by sockets of tokio's.
#[test]
fn coroutines_await_the_tasks_of_a_tokio_runtime() {
    run(|| {
        let tokio = Tokio::start();
        let listener = TcpListener::bind("127.0.0.1:0").unwrap();
        let addr = listener.local_addr().unwrap();
        let server = spawn(move || {
            while let Ok((mut stream, _)) = listener.accept() {
                spawn(move || {
                    let mut word = [0; 4];
                    stream.read_exact(&mut word).unwrap();
                    word.reverse();
                    stream.write_all(&word).unwrap();
                });
            }
        });
        let client = move |n: u32| async move {
            tokio::time::sleep(Duration::from_micros(u64::from(n))).await;
            let mut stream = tokio::net::TcpStream::connect(addr).await?;
            stream.write_all(&n.to_le_bytes()).await?;
            let mut answer = [0; 4];
            stream.read_exact(&mut answer).await?;
            std::io::Result::Ok(u32::from_be_bytes(answer))
        };
        let awaiting = |n| {
            let handle = tokio.handle.clone();
            spawn(move || block_on(handle.spawn(client(n))).unwrap().unwrap())
        };
        let tasks: Vec<JoinHandle<u32>> = (0..50).map(awaiting).collect();
        for (n, task) in tasks.into_iter().enumerate() {
            assert_eq!(task.join().unwrap() as usize, n);
        }
        server.kill();
        assert!(was_killed(server));
        tokio.stop();
    });
}

#[test]
fn a_tokio_task_that_fails_says_so() {
    run(|| {
        let tokio = Tokio::start();
        let panics = tokio.handle.spawn(async { panic!("in tokio") });
        let result: Result<(), _> = block_on(panics);
        assert!(is_message(&*result.unwrap_err().into_panic(), "in tokio"));
        let endless = tokio.handle.spawn(pending::<()>());
        endless.abort();
        assert!(block_on(endless).unwrap_err().is_cancelled());
        tokio.stop();
    });
}

/// As when an `async` function is cancelled: the task of tokio's is detached.
#[test]
fn a_kill_leaves_the_awaited_task_alone() {
    run(|| {
        let tokio = Tokio::start();
        let (go, going) = tokio::sync::oneshot::channel::<()>();
        let (tell, told) = oneshot::channel();
        let work = tokio.handle.spawn(async {
            going.await.unwrap();
            tell.send("done").unwrap();
        });
        let task = spawn(move || block_on(work));
        yield_now();
        task.kill();
        assert!(was_killed(task));
        go.send(()).unwrap();
        assert_eq!(block_on(told), Ok("done"));
        tokio.stop();
    });
}

/// Never done; tells by which coroutine it is dropped.
struct Endless {
    dropped_by: Rc<Cell<Option<corovent::thread::ThreadId>>>,
}

impl Future for Endless {
    type Output = ();

    fn poll(self: Pin<&mut Self>, _: &mut Context<'_>) -> Poll<()> {
        Poll::Pending
    }
}

impl Drop for Endless {
    fn drop(&mut self) {
        self.dropped_by.set(Some(current().id()));
    }
}

#[test]
fn what_ends_the_wait_drops_the_future_there() {
    run(|| {
        let dropped_by = Rc::new(Cell::new(None));
        let endless = || Endless { dropped_by: Rc::clone(&dropped_by) };

        let future = endless();
        let killed = spawn(move || block_on(future));
        let id = killed.thread().id();
        yield_now();
        killed.kill();
        assert!(was_killed(killed));
        assert_eq!(dropped_by.take(), Some(id));

        let future = endless();
        let late = spawn(move || timeout(SHORT, || block_on(future)));
        let id = late.thread().id();
        assert!(late.join().unwrap().is_err());
        assert_eq!(dropped_by.take(), Some(id));

        // One that does not get to be polled.
        let future = endless();
        let killed = spawn(move || {
            (0..1000).for_each(|_| block_on(ready(())));
            block_on(future);
        });
        let id = killed.thread().id();
        yield_now();
        killed.kill();
        assert!(was_killed(killed));
        assert_eq!(dropped_by.take(), Some(id));

        let future = endless();
        let panics = spawn(move || {
            block_on(async move {
                let _future = future;
                panic!("in the poll");
            })
        });
        let id = panics.thread().id();
        let result: os::Result<()> = panics.join();
        assert!(is_message(&*result.unwrap_err(), "in the poll"));
        assert_eq!(dropped_by.take(), Some(id));
    });
}

#[test]
fn a_coroutine_that_unwinds_waits_for_its_future() {
    run(|| {
        let (sender, receiver) = oneshot::channel();
        let got = Rc::new(Cell::new(None));
        let task = spawn({
            let got = Rc::clone(&got);
            move || {
                let _guard = on_drop(move || {
                    yield_now();
                    got.set(block_on(receiver).ok());
                });
                panic!("unwinds");
            }
        });
        (0..5).for_each(|_| yield_now());
        task.kill();
        (0..5).for_each(|_| yield_now());
        assert!(!task.is_finished());
        sender.send(5).unwrap();
        let result: os::Result<()> = task.join();
        assert!(is_message(&*result.unwrap_err(), "unwinds"));
        assert_eq!(got.get(), Some(5));
    });
}

/// It must not keep the thread: what it waits for comes by a timer and a socket.
#[test]
fn a_future_that_wakes_itself_lets_the_others_run() {
    run(|| {
        let (mut client, mut server) = pair();
        let writer = spawn(move || {
            sleep(SHORT);
            server.write_all(b"x").unwrap();
        });
        let read = Rc::new(Cell::new(false));
        let reader = spawn({
            let read = Rc::clone(&read);
            move || {
                client.read_exact(&mut [0]).unwrap();
                read.set(true);
            }
        });
        block_on(poll_fn(|context| {
            context.waker().wake_by_ref();
            if read.get() { Poll::Ready(()) } else { Poll::Pending }
        }));
        reader.join().unwrap();
        writer.join().unwrap();

        let endless = spawn(|| {
            block_on(poll_fn(|context| {
                context.waker().wake_by_ref();
                Poll::<()>::Pending
            }));
        });
        (0..3).for_each(|_| yield_now());
        endless.kill();
        assert!(was_killed(endless));
    });
}

#[test]
fn futures_that_are_done_at_once_let_the_others_run() {
    run(|| {
        let busy: JoinHandle<()> = spawn(|| {
            loop {
                block_on(ready(()));
            }
        });
        yield_now();
        busy.kill();
        assert!(was_killed(busy));
    });
}

/// The inner one waits in the poll of the outer one, which is rung meanwhile.
#[test]
fn one_may_wait_in_the_poll_of_another() {
    run(|| {
        let outer_waker = Slot::default();
        let (sender, receiver) = oneshot::channel();
        let task = spawn({
            let outer_waker = outer_waker.clone();
            let mut inner = Some(receiver);
            let mut got = 0;
            move || {
                block_on(poll_fn(move |context| {
                    let Some(inner) = inner.take() else { return Poll::Ready(got) };
                    outer_waker.keep(context);
                    got = block_on(async { block_on(inner).unwrap() + block_on(ready(1)) });
                    Poll::Pending
                }))
            }
        });
        yield_now();
        outer_waker.take().wake();
        yield_now();
        assert!(!task.is_finished(), "the inner one still waits");
        sender.send(41).unwrap();
        assert_eq!(task.join().unwrap(), 42);
    });
}

#[test]
fn the_token_of_park_is_another() {
    run(|| {
        let (sender, receiver) = oneshot::channel::<()>();
        let late = Slot::default();
        let task = spawn({
            let late = late.clone();
            let mut receiver = receiver;
            move || {
                // One before and one meanwhile: of the two, `park` finds one.
                current().unpark();
                let mut polls = 0;
                block_on(poll_fn(|context| {
                    polls += 1;
                    late.keep(context);
                    Pin::new(&mut receiver).poll(context)
                }))
                .unwrap();
                park();
                let start = Instant::now();
                park_timeout(SHORT);
                assert!(start.elapsed() >= SHORT, "a waker has made a token");
                polls
            }
        });
        yield_now();
        task.thread().unpark();
        (0..5).for_each(|_| yield_now());
        assert!(!task.is_finished());
        sender.send(()).unwrap();
        late.take().wake();
        assert_eq!(task.join().unwrap(), 2, "unpark does not poll");
    });
}

/// The coroutine goes on to other waits, and another one takes its place.
#[test]
fn a_waker_does_nothing_once_its_future_is_done() {
    run(|| {
        let late = Slot::default();
        let await_once = {
            let late = late.clone();
            move || {
                block_on(poll_fn(|context| {
                    late.keep(context);
                    Poll::Ready(())
                }));
            }
        };
        let waits: [fn(); 3] = [park, || sleep(LONG), || block_on(pending())];
        for wait in waits {
            let await_once = await_once.clone();
            let task = spawn(move || {
                await_once();
                wait();
            });
            yield_now();
            let waker = late.take();
            waker.wake_by_ref();
            os::scope(|scope| {
                scope.spawn(|| waker.wake_by_ref());
            });
            (0..3).for_each(|_| yield_now());
            assert!(!task.is_finished());
            task.kill();
            assert!(was_killed(task));
            let next = spawn(wait);
            yield_now();
            waker.wake();
            (0..3).for_each(|_| yield_now());
            assert!(!next.is_finished());
            next.kill();
            assert!(was_killed(next));
        }
    });
}

/// Coroutines that await when their thread ends, and one whose future is done by then.
#[test]
fn a_waker_outlives_its_thread() {
    for is_used in [false, true] {
        let (waiting, done) = (Slot::default(), Slot::default());
        let (semaphore, leave) = (Arc::new(Semaphore::new(0)), Arc::new(AtomicBool::new(false)));
        let hub = os::spawn({
            let (waiting, done) = (waiting.clone(), done.clone());
            let (semaphore, leave) = (Arc::clone(&semaphore), Arc::clone(&leave));
            move || {
                spawn(move || {
                    block_on(poll_fn(|context| {
                        waiting.keep(context);
                        Poll::<()>::Pending
                    }));
                });
                // Its place in the line stays on its stack.
                spawn(move || drop(block_on(semaphore.acquire())));
                block_on(poll_fn(|context| {
                    done.keep(context);
                    Poll::Ready(())
                }));
                while !leave.load(Ordering::SeqCst) {
                    yield_now();
                }
            }
        });
        let wakers = [waiting.take(), done.take()];
        leave.store(true, Ordering::SeqCst);
        hub.join().unwrap();
        if is_used {
            semaphore.add_permits(1);
            wakers.iter().for_each(Waker::wake_by_ref);
            wakers.into_iter().for_each(Waker::wake);
        }
    }
}

#[test]
fn a_thread_without_a_hub_is_stopped() {
    run(|| {
        let (sender, receiver) = oneshot::channel();
        let thread = os::spawn(move || {
            let got = block_on(receiver);
            (got, debug::dump().to_string())
        });
        sleep(SHORT);
        sender.send(3).unwrap();
        let (got, table) = corovent::threadpool::blocking(|| thread.join().unwrap());
        assert_eq!(got, Ok(3));
        assert!(!table.contains("root:"), "it has made a hub:\n{table}");
        assert!(debug::dump().to_string().contains("root:"), "a hub shows its root");
    });
}

#[test]
fn one_that_nobody_wakes_is_in_the_table_and_a_deadlock() {
    run(|| {
        debug::deadlock(debug::Scope::Hub);
        let task = spawn(|| block_on(pending::<()>()));
        let payload = catch_unwind(|| block_on(pending::<()>())).unwrap_err();
        let report = payload.downcast::<Deadlock>().unwrap().to_string();
        assert_eq!(report.matches("future").count(), 3, "in both, and in a path:\n{report}");
        task.kill();
        assert!(was_killed(task));
    });
}
