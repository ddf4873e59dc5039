//! Callbacks: a selector is told what to call when a descriptor is ready, and a loop calls it.
//!
//! This is the event loop as libraries offer it; what it waits with is their business. Here it
//! is `corovent::selectors`, so the loop is a coroutine among others.

use std::io;
use std::net::TcpListener;
use std::os::fd::AsFd;
use std::rc::Rc;

use corovent::selectors::Events;
use corovent::selectors::Key;
use corovent::selectors::Selector;

use crate::connection::Connection;
use crate::connection::Outcome;
use crate::connection::accept;
use crate::tally;

type Socket = Rc<dyn AsFd>;
type Loop = Selector<Socket, Callback>;
type Registered = Key<Socket, Callback>;
struct Callback(Box<Action>);
/// What to do when the registered socket is ready.
type Action = dyn Fn(&Loop, &Registered) -> io::Result<()>;

pub(crate) fn serve(listener: TcpListener) -> io::Result<()> {
    listener.set_nonblocking(true)?;
    let selector = Selector::new()?;
    let listener = Rc::new(listener);
    register(&selector, listener.clone(), move |selector, _| on_knock(selector, &listener))?;
    loop {
        let ready = tally::wait(|| selector.select(None))?;
        tally::noticed(ready.len());
        for (key, _) in ready {
            let Callback(callback) = key.data();
            callback(&selector, &key)?;
        }
    }
}

fn register(
    selector: &Loop,
    socket: Socket,
    callback: impl Fn(&Loop, &Registered) -> io::Result<()> + 'static,
) -> io::Result<()> {
    selector.register(socket, Events::READ, Callback(Box::new(callback)))?;
    Ok(())
}

fn on_knock(selector: &Loop, listener: &TcpListener) -> io::Result<()> {
    while let Some(connection) = accept(listener) {
        let connection = Rc::new(connection);
        register(selector, connection.clone(), move |selector, key| {
            on_ready(selector, key, &connection)
        })?;
    }
    Ok(())
}

fn on_ready(selector: &Loop, key: &Registered, connection: &Connection) -> io::Result<()> {
    if connection.serve() == Outcome::Closed {
        // The key holds the connection; it closes with the last copy of the key.
        return selector.unregister(key);
    }
    let wanted = if connection.wants_room() { Events::WRITE } else { Events::READ };
    if key.events() == wanted { Ok(()) } else { selector.modify(key, wanted) }
}
