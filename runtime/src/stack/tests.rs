//! The pool of stacks: sizes, order of use, guards, and what is given back when.

use std::cell::Cell;
use std::io::Read;
use std::os::fd::AsRawFd;

use super::*;

/// Counts the stacks under watch on this thread.
struct Counted;

/// Ends one watch.
struct Token;

thread_local!(static WATCHED: Cell<usize> = const { Cell::new(0) });

impl Watch for Counted {
    type Token = Token;

    fn watch(low: usize, high: usize) -> Token {
        assert!(low < high);
        WATCHED.set(WATCHED.get() + 1);
        Token
    }
}

impl Drop for Token {
    fn drop(&mut self) {
        WATCHED.set(WATCHED.get() - 1);
    }
}

type Pool = StackPool<Counted>;

const KIB: usize = 1024;

/// Pools with each kind of guard; the first finds out which one there is.
fn pools() -> [Pool; 2] {
    [Guard::Untried, Guard::Protection].map(|guard| {
        let mut pool = Pool::new();
        pool.guard = guard;
        pool
    })
}

fn class(kib: usize) -> SizeClass {
    SizeClass::for_bytes(kib * KIB).unwrap()
}

fn take(pool: &mut Pool, class: SizeClass) -> Stack {
    pool.reserve(class).unwrap();
    bind(pool, class)
}

fn bind(pool: &mut Pool, class: SizeClass) -> Stack {
    pool.bind_warm(class).unwrap_or_else(|| pool.bind_cold(class).unwrap())
}

fn put(pool: &mut Pool, stack: Stack) {
    // SAFETY: the test uses the stack no more.
    unsafe { pool.give_back(&stack) };
}

/// The byte at an address, if it can be read: the kernel is asked, which does not fault.
fn peek(address: usize) -> Option<u8> {
    let (mut reader, writer) = io::pipe().unwrap();
    let byte: *const libc::c_void = std::ptr::with_exposed_provenance(address);
    // SAFETY: write(2) checks the address; for one that faults it fails.
    let written = unsafe { libc::write(writer.as_raw_fd(), byte, 1) };
    if written != 1 {
        assert_eq!(io::Error::last_os_error().raw_os_error(), Some(libc::EFAULT));
        return None;
    }
    let mut read = [0];
    reader.read_exact(&mut read).unwrap();
    Some(read[0])
}

fn is_readable(address: usize) -> bool {
    peek(address).is_some()
}

/// What the tests write. Where nothing is mapped any more, another thread may map memory of
/// its own, which does not hold this.
const MARK: u8 = 0xa7;

/// Writes to the `bytes` at the top of what a coroutine may use, once a page.
fn touch(stack: &Stack, bytes: usize) {
    for depth in (page_bytes()..=bytes).step_by(page_bytes()) {
        let byte: *mut u8 = std::ptr::with_exposed_provenance_mut(stack.top() - depth);
        // SAFETY: the address is in the usable part of a stack that the test has bound.
        unsafe { byte.write(MARK) };
    }
}

/// Whether what `touch` wrote at the top of a stack is there.
fn is_marked(top: usize) -> bool {
    peek(top - page_bytes()) == Some(MARK)
}

#[test]
fn sizes_are_rounded_up_to_powers_of_two() {
    for (asked, given) in [(0, 64), (1, 64), (64, 64), (65, 128), (256, 256), (300, 512)] {
        assert_eq!(class(asked).usable_bytes(), given * KIB, "{asked}");
    }
    assert_eq!(SizeClass::for_bytes(STACK_BYTES_MAX).unwrap().usable_bytes(), 1 << 30);
    for bytes in [STACK_BYTES_MAX + 1, usize::MAX / 2 + 2, usize::MAX] {
        let error = SizeClass::for_bytes(bytes).unwrap_err();
        assert_eq!(error.kind(), io::ErrorKind::InvalidInput);
    }
}

#[test]
fn the_stack_that_was_used_last_is_used_next() {
    for mut pool in pools() {
        let stacks = [(); 3].map(|()| take(&mut pool, class(64)));
        let tops = stacks.each_ref().map(Stack::top);
        assert!(tops[0] != tops[1] && tops[1] != tops[2] && tops[0] != tops[2]);
        stacks.into_iter().for_each(|stack| put(&mut pool, stack));
        let again = [(); 3].map(|()| take(&mut pool, class(64)));
        assert_eq!(again.each_ref().map(Stack::top), [tops[2], tops[1], tops[0]]);
        again.into_iter().for_each(|stack| put(&mut pool, stack));
        assert_eq!(pool.returned(), 6);
    }
}

/// A reservation is a promise: a slot is bound, and touched, only when it is run.
#[test]
fn a_thousand_that_run_one_by_one_share_one_stack() {
    let mut pool = Pool::new();
    (0..1000).for_each(|_| pool.reserve(class(256)).unwrap());
    let mut top = None;
    for _ in 0..1000 {
        let stack = bind(&mut pool, class(256));
        assert_eq!(*top.get_or_insert(stack.top()), stack.top());
        put(&mut pool, stack);
    }
    assert_eq!(WATCHED.get(), 1);
    // A promise that was not used is given up.
    pool.reserve(class(256)).unwrap();
    pool.release(class(256));
    pool.unmap_unused();
    assert_eq!(WATCHED.get(), 0);
}

#[test]
fn every_stack_has_a_guard_below_and_none_inside() {
    for mut pool in pools() {
        for kib in [64, 256, 1024] {
            let stacks: Vec<Stack> = (0..20).map(|_| take(&mut pool, class(kib))).collect();
            for stack in &stacks {
                let low = stack.top() - stack.usable_bytes();
                assert_eq!(stack.usable_bytes(), kib * KIB);
                for address in [low, low + kib * KIB / 2, stack.top() - 1] {
                    assert!(is_readable(address) && !stack.guards(address));
                }
                for address in [stack.guard_low(), (stack.guard_low() + low) / 2, low - 1] {
                    assert!(!is_readable(address) && stack.guards(address));
                }
                assert!(!stack.guards(stack.guard_low() - 1) && !stack.guards(stack.top()));
            }
            stacks.into_iter().for_each(|stack| put(&mut pool, stack));
        }
        assert_ne!(pool.guard, Guard::Untried);
    }
}

/// Deep ends go back at the next look, also under a guard of either kind; the guards stay.
#[test]
fn what_was_used_deeply_is_given_back() {
    for mut pool in pools() {
        let stack = take(&mut pool, class(256));
        let (span, low) = (stack.span(), stack.top() - stack.usable_bytes());
        touch(&stack, 256 * KIB);
        assert_eq!(pool.usages().of(&span), (256 * KIB, 256 * KIB));
        put(&mut pool, stack);
        assert_eq!(pool.returned(), 1);
        assert!(pool.trim(usize::MAX));
        assert_eq!(pool.returned(), 0);
        assert_eq!(pool.usages().of(&span), (256 * KIB, WARM_BYTES), "its top stays warm");
        assert!(!is_readable(low - 1), "the guard is still there");
        // Used as deeply again, it is looked at again.
        let stack = take(&mut pool, class(256));
        touch(&stack, 128 * KIB);
        put(&mut pool, stack);
        assert!(pool.trim(usize::MAX));
        assert_eq!(pool.usages().of(&span).1, WARM_BYTES);
    }
}

#[test]
fn the_coldest_stacks_are_given_back_as_a_whole() {
    for mut pool in pools() {
        let count = WARM_STACKS_MAX + 50;
        let stacks: Vec<Stack> = (0..count).map(|_| take(&mut pool, class(64))).collect();
        let spans: Vec<StackSpan> = stacks.iter().map(Stack::span).collect();
        for stack in stacks {
            touch(&stack, 8 * KIB);
            put(&mut pool, stack);
        }
        assert!(pool.trim(usize::MAX));
        let used: Vec<usize> = spans.iter().map(|span| pool.usages().of(span).1).collect();
        // Those that came back first.
        assert!(used[..50].iter().all(|used| *used == 0));
        assert!(used[50..].iter().all(|used| *used == 8 * KIB));
        for span in &spans {
            assert!(!is_readable(span.place.top - 64 * KIB - 1), "the guard is still there");
        }
        // They are as good as the others, but nothing is on them.
        let warm = |pool: &mut Pool| {
            pool.reserve(class(64)).unwrap();
            pool.bind_warm(class(64))
        };
        let mut stacks: Vec<Stack> =
            (0..WARM_STACKS_MAX).map(|_| warm(&mut pool).unwrap()).collect();
        assert!(stacks.iter().all(|stack| is_marked(stack.top())));
        assert!(warm(&mut pool).is_none());
        pool.release(class(64));
        let cold: Vec<Stack> = (0..50).map(|_| take(&mut pool, class(64))).collect();
        assert!(cold.iter().all(|stack| !is_marked(stack.top())));
        stacks.extend(cold);
        stacks.iter().for_each(|stack| touch(stack, 8 * KIB));
        stacks.into_iter().for_each(|stack| put(&mut pool, stack));
    }
}

#[test]
fn stacks_are_given_back_in_pieces() {
    for mut pool in pools() {
        let count = WARM_STACKS_MAX + 50;
        let stacks: Vec<Stack> = (0..count).map(|_| take(&mut pool, class(64))).collect();
        let spans: Vec<StackSpan> = stacks.iter().map(Stack::span).collect();
        for stack in stacks {
            touch(&stack, 64 * KIB);
            put(&mut pool, stack);
        }
        let used = |pool: &mut Pool| -> Vec<usize> {
            spans.iter().map(|span| pool.usages().of(span).1).collect()
        };
        for (done, left) in [(20, 30), (40, 10)] {
            assert!(!pool.trim(20));
            assert_eq!(pool.returned(), left);
            assert_eq!(pool.returned_ever(), count as u64);
            let used = used(&mut pool);
            assert!(used[..done].iter().all(|used| *used == 0));
            assert!(used[done..50].iter().all(|used| *used == 64 * KIB));
            assert!(used[50..].iter().all(|used| *used == WARM_BYTES), "their deep ends are not");
        }
        assert!(pool.trim(20));
        assert_eq!((pool.returned(), pool.returned_ever()), (0, count as u64));
        assert!(used(&mut pool)[..50].iter().all(|used| *used == 0));
        assert!(pool.trim(20));
    }
}

#[test]
fn only_sizes_without_a_stack_in_use_are_unmapped() {
    for mut pool in pools() {
        let (small, large) = (take(&mut pool, class(64)), take(&mut pool, class(1024)));
        let (small_top, large_top) = (small.top(), large.top());
        touch(&small, page_bytes());
        touch(&large, page_bytes());
        put(&mut pool, small);
        assert!(is_marked(small_top));
        pool.unmap_unused();
        assert!(!is_marked(small_top) && is_marked(large_top));
        assert_eq!(WATCHED.get(), 1);
        put(&mut pool, large);
        drop(pool);
        assert!(!is_marked(large_top));
        assert_eq!(WATCHED.get(), 0);
    }
}

/// A coroutine that never ends keeps its stack: other threads may refer to what is on it.
#[test]
fn a_stack_that_was_lost_outlives_its_pool() {
    for mut pool in pools() {
        let lost_top = {
            let lost = take(&mut pool, class(64));
            touch(&lost, page_bytes());
            lost.top()
        };
        let other = take(&mut pool, class(256));
        let other_top = other.top();
        touch(&other, page_bytes());
        put(&mut pool, other);
        pool.unmap_unused();
        let again = take(&mut pool, class(64));
        assert_ne!(again.top(), lost_top, "it is not used again");
        put(&mut pool, again);
        drop(pool);
        assert!(is_marked(lost_top) && !is_marked(other_top));
    }
}

#[test]
fn an_error_names_the_limit_that_is_in_the_way() {
    let no_memory = || io::Error::from_raw_os_error(libc::ENOMEM);
    let error = explain("guard", class(64), 32_000, no_memory());
    let text = error.to_string();
    for part in ["cannot guard a stack of 64 KiB after 32000 others", "vm.max_map_count is"] {
        assert!(text.contains(part), "{text}");
    }
    let text = explain("map", class(256), 7, no_memory()).to_string();
    assert!(text.contains("RLIMIT_AS") || text.contains("vm.overcommit_memory"), "{text}");
    let other = explain("map", class(256), 7, io::Error::from_raw_os_error(libc::EPERM));
    assert_eq!(other.kind(), io::ErrorKind::PermissionDenied);
}
