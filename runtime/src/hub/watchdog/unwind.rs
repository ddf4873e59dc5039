//! The frames of code that was interrupted, from a copy of its registers and of its stack.
//!
//! Whatever the copy holds, nothing else is read than the copy and the unwind tables of the
//! program. At an instruction that the tables do not describe, as those of a switch between
//! stacks, the frames may be wrong, and that is all.

use gimli::BaseAddresses;
use gimli::CfaRule;
use gimli::EhFrame;
use gimli::EhFrameHdr;
use gimli::Encoding;
use gimli::EndianSlice;
use gimli::EvaluationResult;
use gimli::Location;
use gimli::NativeEndian;
use gimli::Pointer;
use gimli::Register;
use gimli::RegisterRule;
use gimli::UnwindContext;
use gimli::UnwindExpression;
use gimli::UnwindSection;
use gimli::UnwindTableRow;
use gimli::Value;

use crate::hub::watchdog::capture::StackCopy;
use crate::sys::modules;
use crate::sys::modules::Tables;
use crate::sys::registers;
use crate::sys::registers::REGISTERS;
use crate::sys::registers::Registers;
use crate::sys::registers::STACK_POINTER;

type Bytes<'a> = EndianSlice<'a, NativeEndian>;

/// So many frames are told.
const FRAMES_MAX: usize = 128;
/// So many steps of one rule are followed.
const STEPS_MAX: u32 = 1000;

/// One frame of the walk.
struct Frame {
    /// Those whose values are known.
    registers: [Option<usize>; REGISTERS],
    /// Where the code goes on.
    code: usize,
    /// It was interrupted there, and has not called.
    is_interrupted: bool,
}

/// Where the calls return to, innermost first, as far as the copy goes; the first is behind where
/// the code stood, as if it had called.
pub(super) fn walk(registers: &Registers, stack: &StackCopy) -> Vec<usize> {
    let mut frames = Vec::new();
    let mut context = UnwindContext::new();
    let mut at = Frame {
        registers: registers.general.map(Some),
        code: registers.code,
        is_interrupted: true,
    };
    while at.code != 0 && frames.len() < FRAMES_MAX {
        frames.push(at.code.wrapping_add(at.is_interrupted.into()));
        // A call may be the last instruction of its function.
        let code = at.code.wrapping_sub((!at.is_interrupted).into());
        let step = |tables: Tables<'_>| at.caller(code, &tables, stack, &mut context);
        let Some(Some(caller)) = modules::with_tables(code, step) else { break };
        at = caller;
    }
    frames
}

impl Frame {
    fn register(&self, register: Register) -> Option<usize> {
        // x86-64 numbers the place of the code too.
        if cfg!(target_arch = "x86_64") && usize::from(register.0) == REGISTERS {
            return Some(self.code);
        }
        self.registers.get(usize::from(register.0)).copied().flatten()
    }

    /// The frame that called this one; `None` if there is none, or nobody can tell.
    fn caller(
        &self,
        code: usize,
        tables: &Tables<'_>,
        stack: &StackCopy,
        context: &mut UnwindContext<usize>,
    ) -> Option<Frame> {
        let (index_address, index) = tables.index()?;
        let bases = BaseAddresses::default().set_eh_frame_hdr(index_address as u64);
        let index = EhFrameHdr::new(index, NativeEndian).parse(&bases, 8).ok()?;
        let Pointer::Direct(address) = index.eh_frame_ptr() else { return None };
        let mut section = EhFrame::new(tables.from(address as usize)?, NativeEndian);
        if cfg!(target_arch = "aarch64") {
            section.set_vendor(gimli::Vendor::AArch64);
        }
        let bases = bases.set_eh_frame(address);
        let get_cie = EhFrame::cie_from_offset;
        let entry = index.table()?.fde_for_address(&section, &bases, code as u64, get_cie).ok()?;
        let row = entry.unwind_info_for_address(&section, &bases, context, code as u64).ok()?;
        let encoding = entry.cie().encoding();
        let return_register = entry.cie().return_address_register();
        let rules = Rules { frame: self, stack, section: &section, encoding, row };
        rules.caller(return_register, entry.is_signal_trampoline())
    }
}

/// How the values that a caller had are found.
struct Rules<'a> {
    frame: &'a Frame,
    stack: &'a StackCopy,
    section: &'a EhFrame<Bytes<'a>>,
    encoding: Encoding,
    row: &'a UnwindTableRow<usize>,
}

impl Rules<'_> {
    fn caller(&self, return_register: Register, is_interrupted: bool) -> Option<Frame> {
        let cfa = match self.row.cfa() {
            CfaRule::RegisterAndOffset { register, offset } => {
                self.frame.register(*register)?.wrapping_add_signed(*offset as isize)
            }
            CfaRule::Expression(expression) => self.evaluate(expression, None)?,
        };
        let is_saved = self.row.register(return_register).is_some();
        if !is_saved && !self.frame.is_interrupted {
            // Only a function that calls nobody leaves it in its register.
            return None;
        }
        let code = registers::without_signature(self.value(return_register, cfa)?);
        let mut values: [Option<usize>; REGISTERS] =
            std::array::from_fn(|n| self.value(Register(n as u16), cfa));
        if self.row.register(Register(STACK_POINTER as u16)).is_none() {
            values[STACK_POINTER] = Some(cfa);
        }
        let goes_up = values[STACK_POINTER] > self.frame.registers[STACK_POINTER];
        // Elsewhere the same frame would be found again and again.
        let goes_on = goes_up || self.frame.is_interrupted || is_interrupted;
        goes_on.then_some(Frame { registers: values, code, is_interrupted })
    }

    /// The value that a register had in the caller.
    fn value(&self, register: Register, cfa: usize) -> Option<usize> {
        match self.row.register(register) {
            None | Some(RegisterRule::SameValue) => self.frame.register(register),
            Some(RegisterRule::Offset(offset)) => {
                self.stack.read(cfa.wrapping_add_signed(offset as isize))
            }
            Some(RegisterRule::ValOffset(offset)) => Some(cfa.wrapping_add_signed(offset as isize)),
            Some(RegisterRule::Register(other)) => self.frame.register(other),
            Some(RegisterRule::Expression(expression)) => {
                self.stack.read(self.evaluate(&expression, Some(cfa))?)
            }
            Some(RegisterRule::ValExpression(expression)) => self.evaluate(&expression, Some(cfa)),
            Some(_) => None,
        }
    }

    fn evaluate(&self, expression: &UnwindExpression<usize>, cfa: Option<usize>) -> Option<usize> {
        let mut evaluation = expression.get(self.section).ok()?.evaluation(self.encoding);
        evaluation.set_max_iterations(STEPS_MAX);
        if let Some(cfa) = cfa {
            evaluation.set_initial_value(cfa as u64);
        }
        let mut result = evaluation.evaluate().ok()?;
        loop {
            result = match result {
                EvaluationResult::Complete => break,
                EvaluationResult::RequiresRegister { register, .. } => {
                    let value = Value::Generic(self.frame.register(register)? as u64);
                    evaluation.resume_with_register(value).ok()?
                }
                EvaluationResult::RequiresMemory { address, size: 8, .. } => {
                    let value = Value::Generic(self.stack.read(address as usize)? as u64);
                    evaluation.resume_with_memory(value).ok()?
                }
                _ => return None,
            };
        }
        match evaluation.as_result() {
            [piece] => match piece.location {
                Location::Address { address } => Some(address as usize),
                _ => None,
            },
            _ => None,
        }
    }
}
