//! Programs: how they are drawn, run until nothing moves, and judged.

use std::cell::Cell;
use std::cell::RefCell;
use std::env;
use std::fmt::Debug;
use std::rc::Rc;
use std::time::Duration;

use corovent::JoinHandle;
use corovent::debug;
use corovent::shield;
use corovent::sleep;
use corovent::spawn;
use corovent::timeout;
use corovent::yield_now;
use proptest::prelude::*;
use proptest::test_runner::Config;
use proptest::test_runner::RngAlgorithm;
use proptest::test_runner::TestCaseError;
use proptest::test_runner::TestRng;
use proptest::test_runner::TestRunner;

use crate::support::on_drop;
use crate::support::run;

/// More coroutines find nothing that these do not.
const TASKS_MAX: usize = 5;
const STEPS_MAX: usize = 6;
/// A program has at most some thousand steps, and each needs a few rounds of the hub.
const ROUNDS_MAX: usize = 20_000;

/// What a coroutine does next, where an act is of the model.
#[derive(Clone, Debug)]
pub(crate) enum Step<A> {
    Act(A),
    /// The act with a limit in microseconds.
    Within(u64, A),
    /// Lets others run, twice in a shield, so that a kill comes after it.
    Shielded,
    Yield,
    Sleep(u64),
    /// Kills one that is in the middle of an act: of those, the one of that number.
    Kill(usize),
    /// The same, and at once, before that has run, the act.
    KillAnd(usize, A),
}

/// The steps of each coroutine.
pub(crate) type Program<A> = Vec<Vec<Step<A>>>;

/// What the programs use, and what has to hold.
pub(crate) trait Model: 'static {
    type Act: Clone + Debug + 'static;

    /// Does an act for a coroutine. What is wrong with its outcome is an error; a payload of a kill
    /// or a timeout passes.
    fn act(&self, task: usize, act: &Self::Act) -> Result<(), String>;

    /// Judges what is left when nothing moves: each coroutine that waits, with its act.
    fn at_rest(&self, waiting: &[(usize, Self::Act)]) -> Result<(), String>;

    /// Judges the end: all coroutines are gone.
    fn at_end(&self) -> Result<(), String>;
}

pub(crate) fn programs<A: Clone + Debug + 'static>(
    act: impl Strategy<Value = A> + Clone + 'static,
) -> impl Strategy<Value = Program<A>> {
    let step = prop_oneof![
        8 => act.clone().prop_map(Step::Act),
        3 => (0..300u64, act.clone()).prop_map(|(micros, act)| Step::Within(micros, act)),
        3 => (0..TASKS_MAX, act).prop_map(|(task, act)| Step::KillAnd(task, act)),
        1 => Just(Step::Shielded),
        2 => Just(Step::Yield),
        1 => (0..200u64).prop_map(Step::Sleep),
        1 => (0..TASKS_MAX).prop_map(Step::Kill),
    ];
    let steps = prop::collection::vec(step, 0..STEPS_MAX);
    prop::collection::vec(steps, 1..=TASKS_MAX)
}

/// Runs many programs; `model` makes what one of them uses.
pub(crate) fn check<M: Model, S: Debug>(
    setups: impl Strategy<Value = (S, Program<M::Act>)>,
    model: impl Fn(&S) -> M,
) {
    let number = |name| env::var(name).ok().map(|text: String| text.parse::<u64>().unwrap());
    let mut seed = [0; 32];
    seed[..8].copy_from_slice(&number("COROVENT_RANDOM_SEED").unwrap_or(0).to_le_bytes());
    let cases = number("COROVENT_RANDOM_ROUNDS").unwrap_or(1000) as u32;
    // What fails is printed; there is no file of earlier failures.
    let config = Config { cases, failure_persistence: None, ..Config::default() };
    let rng = TestRng::from_seed(RngAlgorithm::ChaCha, &seed);
    let mut runner = TestRunner::new_with_rng(config, rng);
    let outcome = runner.run(&setups, |(setup, program)| {
        let play = || run(|| play(Rc::new(model(&setup)), program.clone()));
        play().map_err(TestCaseError::fail)
    });
    if let Err(error) = outcome {
        panic!("{error}");
    }
}

/// What the coroutines of a program share.
struct Stage<M: Model> {
    model: Rc<M>,
    tasks: RefCell<Vec<JoinHandle<()>>>,
    /// What each is about to do.
    doing: RefCell<Vec<Option<M::Act>>>,
    steps: Cell<u64>,
    errors: RefCell<Vec<String>>,
}

fn play<M: Model>(model: Rc<M>, program: Program<M::Act>) -> Result<(), String> {
    let stage = Rc::new(Stage {
        model: Rc::clone(&model),
        tasks: RefCell::default(),
        doing: RefCell::new(vec![None; program.len()]),
        steps: Cell::new(0),
        errors: RefCell::default(),
    });
    // Whoever waits still is killed at the end.
    let rested = corovent::run(|| {
        for (number, steps) in program.into_iter().enumerate() {
            let own = Rc::clone(&stage);
            let task = spawn(move || own.perform(number, &steps));
            stage.tasks.borrow_mut().push(task);
        }
        stage.rest()
    });
    stage.tasks.borrow_mut().clear();
    rested.and_then(|()| model.at_end())
}

impl<M: Model> Stage<M> {
    fn perform(&self, number: usize, steps: &[Step<M::Act>]) {
        let _idle = on_drop(|| self.doing.borrow_mut()[number] = None);
        for step in steps {
            match step {
                Step::Act(act) => self.act(number, act),
                Step::Within(micros, act) => {
                    let limit = Duration::from_micros(*micros);
                    let _ = timeout(limit, || self.act(number, act));
                }
                Step::Shielded => shield(|| (0..2).for_each(|_| yield_now())),
                Step::Yield => yield_now(),
                Step::Sleep(micros) => sleep(Duration::from_micros(*micros)),
                Step::Kill(other) => self.kill(*other),
                Step::KillAnd(other, act) => {
                    self.kill(*other);
                    self.act(number, act);
                }
            }
            self.doing.borrow_mut()[number] = None;
            self.steps.set(self.steps.get() + 1);
        }
    }

    fn kill(&self, other: usize) {
        let doing = self.doing.borrow();
        let busy: Vec<usize> = (0..doing.len()).filter(|task| doing[*task].is_some()).collect();
        if !busy.is_empty() {
            self.tasks.borrow()[busy[other % busy.len()]].kill();
        }
    }

    fn act(&self, number: usize, act: &M::Act) {
        self.doing.borrow_mut()[number] = Some(act.clone());
        if let Err(error) = self.model.act(number, act) {
            self.errors.borrow_mut().push(format!("task {number}, {act:?}: {error}"));
        }
    }

    /// Waits until nothing moves any more, and judges that.
    fn rest(&self) -> Result<(), String> {
        let mut quiet = 0;
        for _ in 0..ROUNDS_MAX {
            let before = self.steps.get();
            (0..8).for_each(|_| yield_now());
            if let Some(error) = self.errors.borrow().first() {
                return Err(error.clone());
            }
            if debug::counters().timers > 0 {
                sleep(Duration::from_micros(50));
            } else if self.steps.get() == before {
                quiet += 1;
            }
            if quiet > 3 {
                let doing = self.doing.borrow();
                let waits = |(task, act): (usize, &Option<M::Act>)| Some((task, act.clone()?));
                let waiting: Vec<_> = doing.iter().enumerate().filter_map(waits).collect();
                return self.model.at_rest(&waiting);
            }
        }
        Err(format!("it does not come to rest:\n{}", debug::dump()))
    }
}
