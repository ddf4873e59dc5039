//! Coroutine-locals and std's thread-locals: what std's own tests expect, with the imports
//! swapped, in coroutines and on threads.
//!
//! The cases are those of library/std/tests/thread_local and, where they are about
//! `thread_local!`, of library/std/tests/thread.rs of Rust 1.95, written anew.

use std::cell::Cell;
use std::cell::RefCell;
use std::collections::HashMap;
use std::panic::catch_unwind;
use std::sync::Mutex;
use std::sync::atomic::AtomicU32;
use std::sync::atomic::Ordering;
use std::thread as os;
use std::time::Duration;

use corovent::Builder;
use corovent::coroutine_local;
use corovent::sleep;
use corovent::spawn;
use corovent::thread::AccessError;
use corovent::thread::LocalKey;
use corovent::yield_now;

use crate::locals::FIRST;
use crate::locals::SECOND;
use crate::locals::THIRD;
use crate::locals::at_end;
use crate::locals::count;
use crate::locals::in_both_worlds;
use crate::support::Log;
use crate::support::run;

#[test]
fn a_new_thread_begins_with_the_initial_value() {
    coroutine_local! {
        static LAZY: Cell<i32> = Cell::new(1);
        static CONST: Cell<i32> = const { Cell::new(1) };
    }

    fn check(key: &'static LocalKey<Cell<i32>>) {
        key.with(|cell| assert_eq!(cell.replace(2), 1));
        spawn(|| assert_eq!(key.get(), 1)).join().unwrap();
        os::spawn(|| assert_eq!(key.get(), 1)).join().unwrap();
        assert_eq!(key.get(), 2);
    }

    run(|| {
        for key in [&LAZY, &CONST] {
            check(key);
            spawn(|| check(key)).join().unwrap();
        }
    });
}

#[test]
fn a_value_is_not_accessible_while_it_is_destroyed() {
    struct Own(&'static LocalKey<Own>);

    impl Drop for Own {
        fn drop(&mut self) {
            DROPS.fetch_add(1, Ordering::Relaxed);
            assert!(self.0.try_with(|_| ()).is_err());
        }
    }

    static DROPS: AtomicU32 = AtomicU32::new(0);

    coroutine_local! {
        static LAZY: Own = Own(&LAZY);
        static CONST: Own = const { Own(&CONST) };
    }

    in_both_worlds(|| assert!(LAZY.try_with(|_| ()).is_ok()));
    in_both_worlds(|| assert!(CONST.try_with(|_| ()).is_ok()));
    assert_eq!(DROPS.load(Ordering::Relaxed), 4);
}

#[test]
fn a_value_may_refer_to_its_own_key() {
    struct Own(&'static LocalKey<RefCell<Option<Own>>>);

    impl Drop for Own {
        fn drop(&mut self) {
            assert!(self.0.try_with(|_| ()).is_err());
        }
    }

    coroutine_local! {
        static LAZY: RefCell<Option<Own>> = RefCell::new(None);
        static CONST: RefCell<Option<Own>> = const { RefCell::new(None) };
    }

    in_both_worlds(|| LAZY.set(Some(Own(&LAZY))));
    in_both_worlds(|| CONST.set(Some(Own(&CONST))));
}

/// Two destructors that each make the other's value: whoever was destroyed stays so.
#[test]
fn destructors_may_make_each_others_values() {
    type Keys = (&'static LocalKey<RefCell<Option<One>>>, &'static LocalKey<RefCell<Option<Two>>>);

    struct One(Keys);
    struct Two(Keys);

    impl Drop for One {
        fn drop(&mut self) {
            let hits = HITS.fetch_add(1, Ordering::Relaxed) + 1;
            let (_, two) = self.0;
            if two.try_with(|_| ()).is_err() || hits != 1 {
                assert_eq!(hits, 3);
            } else {
                two.set(Some(Two(self.0)));
            }
        }
    }

    impl Drop for Two {
        fn drop(&mut self) {
            assert_eq!(HITS.fetch_add(1, Ordering::Relaxed) + 1, 2);
            let (one, _) = self.0;
            one.set(Some(One(self.0)));
        }
    }

    static HITS: AtomicU32 = AtomicU32::new(0);

    coroutine_local! {
        static LAZY_ONE: RefCell<Option<One>> = RefCell::new(None);
        static LAZY_TWO: RefCell<Option<Two>> = RefCell::new(None);
        static CONST_ONE: RefCell<Option<One>> = const { RefCell::new(None) };
        static CONST_TWO: RefCell<Option<Two>> = const { RefCell::new(None) };
    }

    for code in [|| drop(One((&LAZY_ONE, &LAZY_TWO))), || drop(One((&CONST_ONE, &CONST_TWO)))] {
        HITS.store(0, Ordering::Relaxed);
        run(|| spawn(code).join().unwrap());
        assert_eq!(HITS.swap(0, Ordering::Relaxed), 3);
        os::spawn(code).join().unwrap();
        assert_eq!(HITS.load(Ordering::Relaxed), 3);
    }
}

#[test]
fn what_a_destructor_makes_is_destroyed_as_well() {
    static NOTES: AtomicU32 = AtomicU32::new(0);

    fn code() {
        FIRST.set(at_end(|| {
            SECOND.set(at_end(|| {
                THIRD.set(at_end(|| count(&NOTES)));
            }));
        }));
    }

    in_both_worlds(code);
    assert_eq!(NOTES.load(Ordering::Relaxed), 2);
}

#[test]
fn a_joiner_comes_after_the_destructors() {
    run(|| {
        let log = Log::new();
        let task = spawn({
            let log = log.clone();
            move || {
                FIRST.set(at_end({
                    let log = log.clone();
                    move || {
                        log.add("begin");
                        yield_now();
                        sleep(Duration::from_millis(1));
                        log.add("end");
                    }
                }));
                log.add("body");
            }
        });
        let joiner = spawn({
            let log = log.clone();
            move || {
                task.join().unwrap();
                log.add("joined");
            }
        });
        joiner.join().unwrap();
        assert_eq!(log.text(), "body begin end joined");
    });
}

#[test]
fn a_destructor_knows_whose_it_is() {
    static NAMES: Mutex<Vec<String>> = Mutex::new(Vec::new());

    fn code() {
        // A round of destruction goes before.
        FIRST.set(at_end(|| {
            SECOND.set(at_end(|| {
                let name = corovent::current().name().unwrap().to_owned();
                NAMES.lock().unwrap().push(name);
            }));
        }));
    }

    run(|| Builder::new().name("green".to_owned()).spawn(code).unwrap().join().unwrap());
    os::Builder::new().name("os".to_owned()).spawn(code).unwrap().join().unwrap();
    assert_eq!(*NAMES.lock().unwrap(), ["green", "os"]);
}

#[test]
fn initial_values_come_from_any_expression() {
    coroutine_local! {
        static SQUARE: i32 = { fn square(n: i32) -> i32 { n * n } square(3) };
        static MAP: RefCell<HashMap<i32, i32>> = RefCell::new(HashMap::from([(1, 2)]));
        static LIST: RefCell<Vec<u32>> = RefCell::new(vec![1, 2, 3]);
        static EARLY: u8 = { if true { return 5; } 6 };
        static STATEMENTS: Cell<u32> = const { let value = 1; Cell::new(value) };
        static CELL: RefCell<u32> = const { let value = 1; RefCell::new(value) };
        static TEXT: Cell<&'static str> = const { Cell::new("text") }
    }

    in_both_worlds(|| {
        SQUARE.with(|value| assert_eq!(*value, 9));
        MAP.with_borrow(|map| assert_eq!(map[&1], 2));
        LIST.with_borrow_mut(|list| list.push(4));
        assert_eq!(LIST.take(), [1, 2, 3, 4]);
        EARLY.with(|value| assert_eq!(*value, 5));
        assert_eq!((STATEMENTS.get(), CELL.take(), TEXT.get()), (1, 1, "text"));
    });
}

#[test]
fn the_macro_uses_no_name_of_its_caller() {
    #![allow(dead_code, non_camel_case_types, clippy::unused_unit)]
    type LocalKey = ();
    type Site = ();
    type Storage = ();
    type Option = ();
    type usize = ();
    coroutine_local! {
        static A: LocalKey = const { () };
        static B: Site = const { () };
        static C: Storage = ();
        static D: usize = const { () };
    }
    A.with(|unit| *unit);
    C.with(|unit| *unit);
}

/// Attributes, visibility, no declaration at all; and the name that std's macro has.
#[test]
fn the_syntax_is_stds() {
    mod inner {
        use corovent::thread_local;

        thread_local! {}
        thread_local!(pub(super) static ONE: u8 = 1);
        thread_local! {
            /// A comment.
            #[allow(dead_code)]
            pub(crate) static TWO: std::cell::Cell<u8> = const { std::cell::Cell::new(2) };

            #[cfg(not(test))]
            static NONE: Missing = Missing;
            pub static THREE: std::cell::Cell<u8> = std::cell::Cell::new(3);
        }

        pub(super) struct Associated;

        impl Associated {
            thread_local!(pub(super) static FOUR: std::cell::Cell<u8> = std::cell::Cell::new(4));
        }
    }

    const ALIAS: LocalKey<Cell<u8>> = inner::TWO;

    // These are not std's keys.
    let _: &LocalKey<u8> = &inner::ONE;
    run(|| {
        let set = || {
            ALIAS.set(ALIAS.get() + 1);
            inner::Associated::FOUR.set(5);
            (inner::TWO.get(), inner::THREE.get(), inner::Associated::FOUR.get())
        };
        assert_eq!(spawn(set).join().unwrap(), (3, 3, 5));
        assert_eq!(spawn(set).join().unwrap(), (3, 3, 5));
    });
}

#[test]
fn the_helpers_of_cells_are_stds() {
    coroutine_local! {
        static CELL: Cell<u32> = panic!("it is set first");
        static REF_CELL: RefCell<Vec<u32>> = panic!("it is set first");
    }

    in_both_worlds(|| {
        CELL.set(1);
        assert_eq!((CELL.get(), CELL.replace(2), CELL.take(), CELL.get()), (1, 1, 2, 0));
        CELL.set(3);
        assert_eq!(CELL.get(), 3);
        REF_CELL.set(vec![1]);
        assert_eq!(REF_CELL.replace(vec![2]), [1]);
        REF_CELL.with_borrow_mut(|list| list.push(3));
        assert_eq!(REF_CELL.with_borrow(Vec::len), 2);
        REF_CELL.set(vec![4]);
        assert_eq!((REF_CELL.take(), REF_CELL.take()), (vec![4], vec![]));
        REF_CELL.with_borrow(|_| {
            assert!(catch_unwind(|| REF_CELL.set(vec![])).is_err(), "it is borrowed");
        });
    });
}

#[test]
fn the_texts_are_stds() {
    coroutine_local!(static KEY: u8 = 1);
    std::thread_local!(static THEIRS: u8 = const { 1 });

    assert_eq!(format!("{KEY:?}"), format!("{THEIRS:?}"));

    static ERRORS: Mutex<Vec<(String, String)>> = Mutex::new(Vec::new());

    fn note<T: std::fmt::Debug + std::fmt::Display>(error: T) {
        ERRORS.lock().unwrap().push((format!("{error:?}"), error.to_string()));
    }

    struct Ours;
    struct Stds;

    impl Drop for Ours {
        fn drop(&mut self) {
            let error: AccessError = OURS.try_with(|_| ()).unwrap_err();
            let same = error;
            assert!(error == same);
            note(error);
            let payload = catch_unwind(|| OURS.with(|_| ())).unwrap_err();
            note(payload.downcast_ref::<String>().unwrap());
        }
    }

    impl Drop for Stds {
        fn drop(&mut self) {
            note(STDS.try_with(|_| ()).unwrap_err());
            let payload = catch_unwind(|| STDS.with(|_| ())).unwrap_err();
            note(payload.downcast_ref::<String>().unwrap());
        }
    }

    coroutine_local!(static OURS: Ours = const { Ours });
    std::thread_local!(static STDS: Stds = const { Stds });

    run(|| spawn(|| OURS.with(|_| ())).join().unwrap());
    os::spawn(|| STDS.with(|_| ())).join().unwrap();
    let errors = ERRORS.lock().unwrap();
    assert_eq!(errors[..2], errors[2..]);
}
