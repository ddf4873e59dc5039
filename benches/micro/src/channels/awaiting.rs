//! Channels whose calls are awaited: tokio's, and async-channel, which is smol's.

use std::hint::black_box;
use std::time::Instant;

use tokio::sync::mpsc;

use crate::operation::ns_since;
use crate::peers::on_smol;
use crate::peers::on_tokio;

const THERE: &str = "the other end is there";

/// Two tasks of tokio that send to each other in turns. Its channels with and without a bound
/// have senders of two types, and only one of them awaits.
macro_rules! tokio_trips {
    ($count:expr, $channel:expr $(, $await:ident)?) => {{
        let ((ask, mut asked), (answer, mut answered)) = ($channel, $channel);
        let start = Instant::now();
        let echo = tokio::spawn(async move {
            while let Some(n) = asked.recv().await {
                answer.send(n)$(.$await)?.expect(THERE);
            }
        });
        let caller = tokio::spawn(async move {
            for n in 0..$count {
                ask.send(n)$(.$await)?.expect(THERE);
                assert_eq!(answered.recv().await, Some(n));
            }
        });
        caller.await.expect("it does not panic");
        echo.await.expect("it does not panic");
        ns_since(start, $count)
    }};
}

pub(super) fn tokio_round_trips(bound: Option<usize>, count: usize) -> f64 {
    on_tokio(async {
        match bound {
            Some(bound) => tokio_trips!(count, mpsc::channel(bound), await),
            None => tokio_trips!(count, mpsc::unbounded_channel()),
        }
    })
}

/// Tasks of tokio that send to one.
pub(super) fn tokio_messages(bound: Option<usize>, senders: usize, count: usize) -> f64 {
    let each = count / senders;
    on_tokio(async {
        let start = Instant::now();
        let receiving = if let Some(bound) = bound {
            let (sender, mut receiver) = mpsc::channel(bound);
            for _ in 0..senders {
                let sender = sender.clone();
                tokio::spawn(async move {
                    for n in 0..each {
                        sender.send(n).await.expect(THERE);
                    }
                });
            }
            drop(sender);
            tokio::spawn(async move { while black_box(receiver.recv().await).is_some() {} })
        } else {
            let (sender, mut receiver) = mpsc::unbounded_channel();
            for _ in 0..senders {
                let sender = sender.clone();
                tokio::spawn(async move {
                    for n in 0..each {
                        sender.send(n).expect(THERE);
                        // As tokio advises for what never waits, and as ours does by itself.
                        tokio::task::coop::consume_budget().await;
                    }
                });
            }
            drop(sender);
            tokio::spawn(async move { while black_box(receiver.recv().await).is_some() {} })
        };
        receiving.await.expect("it does not panic");
        ns_since(start, each * senders)
    })
}

/// async-channel, with a bound or without.
fn channel(bound: Option<usize>) -> (smol::channel::Sender<usize>, smol::channel::Receiver<usize>) {
    bound.map_or_else(smol::channel::unbounded, smol::channel::bounded)
}

/// Tasks of tokio that send to as many others, through async-channel.
pub(super) fn tokio_to_many(bound: Option<usize>, many: usize, count: usize) -> f64 {
    let each = count / many;
    on_tokio(async {
        let (sender, receiver) = channel(bound);
        let start = Instant::now();
        for _ in 0..many {
            let sender = sender.clone();
            tokio::spawn(async move {
                for n in 0..each {
                    sender.send(n).await.expect(THERE);
                }
            });
        }
        drop(sender);
        let receive = |_| {
            let receiver = receiver.clone();
            tokio::spawn(async move { while black_box(receiver.recv().await).is_ok() {} })
        };
        let receiving: Vec<_> = (0..many).map(receive).collect();
        for receiving in receiving {
            receiving.await.expect("it does not panic");
        }
        ns_since(start, each * many)
    })
}

pub(super) fn smol_round_trips(bound: Option<usize>, count: usize) -> f64 {
    on_smol(async |executor| {
        let ((ask, asked), (answer, answered)) = (channel(bound), channel(bound));
        let start = Instant::now();
        let echo = executor.spawn(async move {
            while let Ok(n) = asked.recv().await {
                answer.send(n).await.expect(THERE);
            }
        });
        let caller = executor.spawn(async move {
            for n in 0..count {
                ask.send(n).await.expect(THERE);
                assert_eq!(answered.recv().await, Ok(n));
            }
        });
        caller.await;
        echo.await;
        ns_since(start, count)
    })
}

/// Tasks of smol that send to one or several.
pub(super) fn smol_messages(
    bound: Option<usize>,
    senders: usize,
    receivers: usize,
    count: usize,
) -> f64 {
    let each = count / senders;
    on_smol(async |executor| {
        let (sender, receiver) = channel(bound);
        let start = Instant::now();
        for _ in 0..senders {
            let sender = sender.clone();
            let sending = async move {
                for n in 0..each {
                    sender.send(n).await.expect(THERE);
                }
            };
            executor.spawn(sending).detach();
        }
        drop(sender);
        let receive = |_| {
            let receiver = receiver.clone();
            executor.spawn(async move { while black_box(receiver.recv().await).is_ok() {} })
        };
        let receiving: Vec<_> = (0..receivers).map(receive).collect();
        for receiving in receiving {
            receiving.await;
        }
        ns_since(start, each * senders)
    })
}
