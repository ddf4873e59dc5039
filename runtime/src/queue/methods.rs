//! The methods and traits that the queues have in common: each is written once, for all types.

/// What all queues have that need not compare.
macro_rules! methods {
    () => {
        /// Puts an item in, waiting for room; in a channel, for somebody who takes it.
        ///
        /// Those who wait are served in the order in which they came.
        ///
        /// # Suspends
        ///
        /// Until there is room; in a channel, until a call that waits already takes the item, or
        /// the next one does. After many operations in a row the others run first. A thread
        /// without a hub is stopped.
        ///
        /// # Errors
        ///
        /// The item, if the queue is closed, or is meanwhile.
        ///
        /// # Cancellation
        ///
        /// The item was not put in, and is dropped. One that got room before the kill or the
        /// timeout was seen, or was taken, is put in: the call returns, and the kill or the
        /// timeout comes at the next wait.
        #[inline(always)]
        pub fn put(&self, item: T) -> Result<(), PutError<T>> {
            self.core.put(item, || Deadline::NEVER).map_err(|error| match error {
                Unput::Closed(item) | Unput::Late(item) => PutError(item),
            })
        }

        /// Puts an item in if there is room; in a channel, if somebody waits in a get. Who waits
        /// in a select does not count: it may come back with something else.
        ///
        /// # Suspends
        ///
        /// Never.
        ///
        /// # Errors
        ///
        /// The item: `Full` if there is no room, `Closed` if the queue is closed.
        #[inline]
        pub fn try_put(&self, item: T) -> Result<(), TryPutError<T>> {
            match self.core.offer(item) {
                Offered::Put => Ok(()),
                Offered::Full(item) => Err(TryPutError::Full(item)),
                Offered::Closed(item) => Err(TryPutError::Closed(item)),
            }
        }

        /// Puts an item in, waiting so long for room; in a channel, for somebody who takes it.
        ///
        /// # Suspends
        ///
        /// Until the item is put in, or the time is up, and never for less. After many operations
        /// in a row the others run first. A thread without a hub is stopped.
        ///
        /// # Errors
        ///
        /// The item: `Timeout` if the time was up first, `Closed` if the queue is closed, or is
        /// meanwhile.
        ///
        /// # Cancellation
        ///
        /// As of `put`.
        #[inline]
        pub fn put_timeout(&self, item: T, timeout: Duration) -> Result<(), PutTimeoutError<T>> {
            self.core.put(item, || Deadline::after(timeout)).map_err(|error| match error {
                Unput::Late(item) => PutTimeoutError::Timeout(item),
                Unput::Closed(item) => PutTimeoutError::Closed(item),
            })
        }

        /// Closes the queue: nothing is put in from now on, and who waits to do so gets the item
        /// back. What is in the queue can be taken; after that each get fails. Twice is harmless.
        ///
        /// # Suspends
        ///
        /// Never.
        pub fn close(&self) {
            self.core.close();
        }

        /// Whether the queue is closed.
        ///
        /// # Suspends
        ///
        /// Never.
        #[must_use]
        pub fn is_closed(&self) -> bool {
            self.core.queue.lock().state.is_closed
        }
    };
}

/// What all queues have, where a get may have to compare items.
macro_rules! getting_methods {
    () => {
        /// Takes the next item, waiting for one.
        ///
        /// # Suspends
        ///
        /// Until there is an item, or the queue is closed. After many operations in a row the
        /// others run first. A thread without a hub is stopped.
        ///
        /// # Errors
        ///
        /// If the queue is closed and no item is left.
        ///
        /// # Cancellation
        ///
        /// No item is lost: what came meanwhile is for the next in line.
        #[inline(always)]
        pub fn get(&self) -> Result<T, GetError> {
            self.core.get(|| Deadline::NEVER).map_err(|_| GetError)
        }

        /// Takes the next item if there is one.
        ///
        /// # Suspends
        ///
        /// Never.
        ///
        /// # Errors
        ///
        /// - `Empty` if there is none now, or if another cannot tell for long which one is the
        ///   next, since it waits in the middle of a comparison or a clone.
        /// - `Closed` if there is none and the queue is closed.
        #[inline]
        pub fn try_get(&self) -> Result<T, TryGetError> {
            self.core.try_get().map_err(Missing::now)
        }

        /// Takes the next item, waiting for one so long.
        ///
        /// # Suspends
        ///
        /// Until there is an item, the queue is closed, or the time is up, and never for less.
        /// After many operations in a row the others run first. A thread without a hub is stopped.
        ///
        /// # Errors
        ///
        /// - `Timeout` if no item came in time.
        /// - `Closed` if the queue is closed and no item is left.
        ///
        /// # Cancellation
        ///
        /// No item is lost: what came meanwhile is for the next in line.
        #[inline]
        pub fn get_timeout(&self, timeout: Duration) -> Result<T, GetTimeoutError> {
            self.core.get(|| Deadline::after(timeout)).map_err(Missing::in_time)
        }

        /// Iterates over the items, taking each and waiting for it, until the queue is closed and
        /// empty.
        ///
        /// # Suspends
        ///
        /// Never itself; each step does what `get` does.
        pub fn iter(&self) -> Iter<'_, Self> {
            Iter::new(self)
        }

        /// Iterates over the items that are there, taking each, until there is none.
        ///
        /// # Suspends
        ///
        /// Never, and neither does a step.
        pub fn try_iter(&self) -> TryIter<'_, Self> {
            TryIter::new(self)
        }
    };
}

/// What queues with room have, whose items stay there.
macro_rules! peek_methods {
    () => {
        /// Gives a clone of the next item, which stays, waiting for one.
        ///
        /// While the item is cloned others may put items in, and get none.
        ///
        /// # Suspends
        ///
        /// Until there is an item, or the queue is closed. After many operations in a row the
        /// others run first. A thread without a hub is stopped.
        ///
        /// # Errors
        ///
        /// If the queue is closed and no item is left.
        pub fn peek(&self) -> Result<T, GetError>
        where
            T: Clone,
        {
            self.core.peek(|| Deadline::NEVER).map_err(|_| GetError)
        }

        /// Gives a clone of the next item if there is one.
        ///
        /// # Suspends
        ///
        /// Never.
        ///
        /// # Errors
        ///
        /// As of `try_get`.
        pub fn try_peek(&self) -> Result<T, TryGetError>
        where
            T: Clone,
        {
            self.core.try_peek().map_err(Missing::now)
        }

        /// Gives a clone of the next item, which stays, waiting for one so long.
        ///
        /// # Suspends
        ///
        /// Until there is an item, the queue is closed, or the time is up, and never for less.
        /// After many operations in a row the others run first. A thread without a hub is stopped.
        ///
        /// # Errors
        ///
        /// - `Timeout` if no item came in time.
        /// - `Closed` if the queue is closed and no item is left.
        pub fn peek_timeout(&self, timeout: Duration) -> Result<T, GetTimeoutError>
        where
            T: Clone,
        {
            self.core.peek(|| Deadline::after(timeout)).map_err(Missing::in_time)
        }
    };
}

/// What queues with room have.
macro_rules! size_methods {
    () => {
        /// The number of items in the queue.
        ///
        /// # Suspends
        ///
        /// Never.
        #[must_use]
        pub fn len(&self) -> usize {
            self.core.len.load(Ordering::Relaxed)
        }

        /// Whether no item is in the queue.
        ///
        /// # Suspends
        ///
        /// Never.
        #[must_use]
        pub fn is_empty(&self) -> bool {
            self.len() == 0
        }

        /// Whether there is no room for another item.
        ///
        /// # Suspends
        ///
        /// Never.
        #[must_use]
        pub fn is_full(&self) -> bool {
            self.len() >= self.core.bound
        }

        /// How many items may be in the queue; `None` if there is no bound.
        ///
        /// # Suspends
        ///
        /// Never.
        #[must_use]
        pub fn capacity(&self) -> Option<usize> {
            (self.core.bound < usize::MAX).then_some(self.core.bound)
        }
    };
}

/// How a type of queue is made.
macro_rules! constructors {
    ($($joins:tt)*) => {
        /// Makes an empty queue without a bound: a put never waits for room.
        ///
        /// # Suspends
        ///
        /// Never.
        #[must_use]
        pub const fn unbounded() -> Self {
            Self { core: Core::new(usize::MAX), $($joins)* }
        }

        /// Makes an empty queue for at most so many items: a put waits for room.
        ///
        /// Memory is allocated as items come.
        ///
        /// # Suspends
        ///
        /// Never.
        ///
        /// # Panics
        ///
        /// If the capacity is 0: see [`Channel`](crate::queue::Channel) for what that would be.
        #[must_use]
        pub const fn bounded(capacity: usize) -> Self {
            assert!(capacity > 0, "a queue has room for an item; one without is a `Channel`");
            Self { core: Core::new(capacity), $($joins)* }
        }
    };
}

/// How a queue is closed with what is in it.
macro_rules! closing_method {
    () => {
        /// Closes the queue, and gives the items that are left; of a queue that compares, in no
        /// particular order.
        ///
        /// # Suspends
        ///
        /// Only while another compares or clones items: until that is done.
        ///
        /// # Cancellation
        ///
        /// The queue is not closed.
        pub fn close_now(&self) -> Vec<T> {
            self.core.close_now()
        }
    };
}

/// The traits of a type of queue, of which the items may have to be compared.
macro_rules! traits {
    ($queue:ident, $name:literal, [$($bound:tt)*]) => {
        impl<$($bound)*> Gets for $queue<T> {
            type Item = T;

            fn next_item(&self) -> Option<T> {
                self.get().ok()
            }

            fn next_item_now(&self) -> Option<T> {
                self.try_get().ok()
            }
        }

        impl<'a, $($bound)*> IntoIterator for &'a $queue<T> {
            type Item = T;
            type IntoIter = Iter<'a, $queue<T>>;

            fn into_iter(self) -> Iter<'a, $queue<T>> {
                self.iter()
            }
        }

        impl<T> fmt::Debug for $queue<T> {
            fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                let len = self.core.len.load(Ordering::Relaxed);
                f.debug_struct($name).field("len", &len).finish_non_exhaustive()
            }
        }

        impl<$($bound)*> Puts for $queue<T> {
            type Item = T;

            fn branch<'a>(&'a self, slot: &'a mut Option<T>) -> Box<dyn PutBranch<T> + 'a> {
                Box::new(Putting::new(&self.core, slot))
            }
        }

        impl<$($bound)*> Selectable for $queue<T> {}

        impl<$($bound)*> Takeable for $queue<T> {
            type Output = Result<T, GetError>;

            fn try_take(&self) -> Option<Result<T, GetError>> {
                match self.core.try_get() {
                    Ok(item) => Some(Ok(item)),
                    Err(Missing::Ended) => Some(Err(GetError)),
                    Err(Missing::Late) => None,
                }
            }
        }

        waits_as!([$($bound)*] $queue<T>, this => this.core);
    };
}

/// The traits of a queue with room.
macro_rules! collection_traits {
    ($queue:ident, [$($bound:tt)*]) => {
        impl<$($bound)*> FromIterator<T> for $queue<T> {
            /// Makes a queue without a bound that holds the items.
            fn from_iter<I: IntoIterator<Item = T>>(items: I) -> $queue<T> {
                let queue = $queue::unbounded();
                for item in items {
                    // It is not closed, and has no bound.
                    let _ = queue.core.offer(item);
                }
                queue
            }
        }

        impl<$($bound)*> Default for $queue<T> {
            fn default() -> $queue<T> {
                $queue::unbounded()
            }
        }
    };
}
