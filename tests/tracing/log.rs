//! The subscriber of these tests: a registry with a layer that writes down what it is told, and
//! then does what the test wants of it.

use std::fmt;
use std::fmt::Write;
use std::sync::Arc;
use std::sync::Mutex;

use tracing::Event;
use tracing::Subscriber;
use tracing::field::Field;
use tracing::field::Visit;
use tracing::span::Id;
use tracing::subscriber::DefaultGuard;
use tracing_subscriber::layer::Context;
use tracing_subscriber::layer::Layer;
use tracing_subscriber::layer::SubscriberExt;
use tracing_subscriber::registry::LookupSpan;
use tracing_subscriber::registry::Registry;

/// What a subscriber is told, besides events.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Told {
    Enter,
    Exit,
    Close,
}

/// The lines that were written: `message` outside of all spans, else `outer:inner: message`.
#[derive(Clone, Default)]
pub(crate) struct Log {
    lines: Arc<Mutex<Vec<String>>>,
    others: Arc<Mutex<Vec<(Told, &'static str)>>>,
}

impl Log {
    /// Sets a subscriber for the thread, until the guard is dropped.
    pub(crate) fn set() -> (Log, DefaultGuard) {
        Log::set_with(|_, _| ())
    }

    /// The same with what it does when it is told something of the span of that name.
    pub(crate) fn set_with(
        then: impl Fn(Told, &'static str) + Send + Sync + 'static,
    ) -> (Log, DefaultGuard) {
        let log = Log::default();
        let guard = tracing::subscriber::set_default(log.subscriber(then));
        (log, guard)
    }

    /// A subscriber that writes into this log.
    pub(crate) fn subscriber(
        &self,
        then: impl Fn(Told, &'static str) + Send + Sync + 'static,
    ) -> impl Subscriber + Send + Sync + 'static {
        Registry::default().with(Writer { log: self.clone(), then })
    }

    /// Checks the events so far, in whichever order; the next call looks at those after.
    #[track_caller]
    pub(crate) fn check(&self, expected: &[&str]) {
        let sorted = |mut lines: Vec<String>| {
            lines.sort();
            lines
        };
        // Who runs first is not what these tests are about, and a seed draws it.
        assert_eq!(sorted(self.take()), sorted(expected.iter().map(ToString::to_string).collect()));
    }

    /// The same, for a test that looks at them itself.
    pub(crate) fn take(&self) -> Vec<String> {
        self.lines.lock().unwrap().drain(..).collect()
    }

    /// What else it was told so far; the next call gives what came after.
    pub(crate) fn others(&self) -> Vec<(Told, &'static str)> {
        self.others.lock().unwrap().drain(..).collect()
    }

    /// How often it was told that so far.
    pub(crate) fn count(&self, told: Told, name: &str) -> usize {
        let others = self.others.lock().unwrap();
        others.iter().filter(|other| **other == (told, name)).count()
    }
}

/// The layer.
struct Writer<F> {
    log: Log,
    then: F,
}

impl<F> Writer<F>
where
    F: Fn(Told, &'static str) + 'static,
{
    fn note<S>(&self, told: Told, id: &Id, context: &Context<'_, S>)
    where
        S: Subscriber + for<'a> LookupSpan<'a>,
    {
        let name = context.span(id).unwrap().name();
        self.log.others.lock().unwrap().push((told, name));
        (self.then)(told, name);
    }
}

impl<S, F> Layer<S> for Writer<F>
where
    S: Subscriber + for<'a> LookupSpan<'a>,
    F: Fn(Told, &'static str) + Send + Sync + 'static,
{
    fn on_event(&self, event: &Event<'_>, context: Context<'_, S>) {
        let mut line = String::new();
        for span in context.event_scope(event).into_iter().flat_map(|scope| scope.from_root()) {
            let separator = if line.is_empty() { "" } else { ":" };
            write!(line, "{separator}{}", span.name()).unwrap();
        }
        if !line.is_empty() {
            line.push_str(": ");
        }
        event.record(&mut Message(&mut line));
        self.log.lines.lock().unwrap().push(line);
    }

    fn on_enter(&self, id: &Id, context: Context<'_, S>) {
        self.note(Told::Enter, id, &context);
    }

    fn on_exit(&self, id: &Id, context: Context<'_, S>) {
        self.note(Told::Exit, id, &context);
    }

    fn on_close(&self, id: Id, context: Context<'_, S>) {
        self.note(Told::Close, &id, &context);
    }
}

/// Takes the message out of an event.
struct Message<'a>(&'a mut String);

impl Visit for Message<'_> {
    fn record_debug(&mut self, field: &Field, value: &dyn fmt::Debug) {
        if field.name() == "message" {
            write!(self.0, "{value:?}").unwrap();
        }
    }
}

/// Writes an event when it is dropped.
pub(crate) struct Noisy(pub(crate) &'static str);

impl Drop for Noisy {
    fn drop(&mut self) {
        tracing::info!("{}", self.0);
    }
}
