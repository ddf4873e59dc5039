//! What the processor is asked to fetch before a coroutine is resumed.

use crate::coroutine::Coroutine;
use crate::sys::cache::LINE_BYTES;
use crate::sys::cache::prefetch;
use crate::sys::frames;

impl Coroutine {
    /// How many cache lines below the record, about, a coroutine's frames end if it waits now, as
    /// its own code says. Any number where there is no coroutine, or other code says so.
    #[inline(always)]
    pub(crate) fn depth_lines(coroutine: Option<Coroutine>) -> u16 {
        let record = coroutine.map_or(0, |coroutine| coroutine.record.addr().get());
        // One more for what a switch pushes. A stack may be deeper than 16 bits tell, which costs
        // time and does no harm.
        (record.wrapping_sub(frames::stack_pointer()) / LINE_BYTES + 1) as u16
    }

    /// Asks for what a resume reads first: the record and the line below.
    #[inline(always)]
    pub(crate) fn prefetch(self) {
        let record = self.record.as_ptr().cast::<u8>();
        prefetch(record);
        prefetch(record.wrapping_sub(LINE_BYTES));
    }

    /// The same, and so many lines of the frames that wait, if they are as many: from the lowest,
    /// which is so deep below the record.
    #[inline(always)]
    pub(crate) fn prefetch_frames(self, depth_lines: u16, lines: u16) {
        let record = self.record.as_ptr().cast::<u8>();
        prefetch(record);
        let lowest = record.wrapping_sub(usize::from(depth_lines) * LINE_BYTES);
        for line in 0..lines.min(depth_lines) {
            prefetch(lowest.wrapping_add(usize::from(line) * LINE_BYTES));
        }
    }
}
