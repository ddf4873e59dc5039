"""gdb commands for programs that use corovent: who waits for what, and where.

    corovent list           all coroutines of all hubs of the process
    corovent bt NUMBER...   the backtrace of coroutines, by number, or of all: 'bt all'

They work on a live process and on a core file, with and without debug information; they read
memory only, call nothing in the program and change nothing in it. A program with debug
information brings this script along; gdb loads it from there if it may:

    gdb -iex 'add-auto-load-safe-path /path/to/program' /path/to/program CORE

In any other case load it by hand: 'source corovent.py'.

The static COROVENT_LAYOUT, see hub/debugger.rs, says where everything is, so no types are
needed, but the symbol is: of a stripped program this script finds nothing. It needs gdb 10 or
later, and knows x86-64 and AArch64. A core file has to be the kernel's: the one that gdb's gcore
writes has no stacks, unless COROVENT_STACK_GUARD was 'mprotect'. Times are those of the hub's
last look at the clock. A coroutine that has not begun has no name here.
"""

import re
import struct

import gdb
import gdb.unwinder


VERSION = 1
# A table, a name or a stack that is larger than this is garbage.
TASKS_MAX = 1 << 24
TEXT_MAX = 4096
HUBS_MAX = 1 << 16
FRAMES_MAX = 200
READY, RUNNING, BLOCKED = 0, 1, 2
STATES = {READY: "ready", RUNNING: "running", BLOCKED: "blocked"}
ROOT = 0


class Trouble(Exception):
    """What cannot be read, in a sentence for the user."""


# Memory.


def read(address, size):
    """Reads bytes of the program."""
    if not 0 < address < 1 << 64:
        raise Trouble("a pointer leads to 0x%x" % address)
    try:
        return bytes(gdb.selected_inferior().read_memory(address, size))
    except (gdb.error, OverflowError, ValueError) as error:
        raise Trouble("cannot read %d bytes at 0x%x" % (size, address)) from error


def word(address):
    return struct.unpack("<Q", read(address, 8))[0]


def half(address):
    return struct.unpack("<I", read(address, 4))[0]


def byte(address):
    return read(address, 1)[0]


def text(start, length):
    if length == 0:
        return ""
    if length > TEXT_MAX:
        raise Trouble("a text of %d bytes" % length)
    shown = read(start, length).decode("utf-8", "replace")
    return "".join(char if char.isprintable() else "?" for char in shown)


# The layout.


FIELDS = (
    "used next hub table thread current clock entry_size state task since coroutine reason id "
    "spawned_at switch switch_size top class_ occupant_id name name_bytes stack_min reason_size"
).split()


class Layout:
    """Where the fields are, as the program itself says."""

    def __init__(self, address):
        head = read(address, 16)
        magic, version, numbers = struct.unpack("<8sII", head)
        if magic != b"corovent":
            raise Trouble("no layout is at 0x%x" % address)
        if version != VERSION or numbers != len(FIELDS):
            raise Trouble("the program's layout is version %d, not %d: take the script of its "
                          "version of corovent" % (version, VERSION))
        names = "hubs reasons whats place file_1 file_2 line column reasons_len whats_len"
        values = struct.unpack("<10Q", read(address + 16, 80))
        self.__dict__.update(zip(names.split(), values))
        offsets = struct.unpack("<%dQ" % numbers, read(address + 96, 8 * numbers))
        self.__dict__.update(("at_" + name, value) for name, value in zip(FIELDS, offsets))
        self.reasons = self.texts(self.reasons, self.reasons_len)
        self.whats = self.texts(self.whats, self.whats_len)
        self.learn_places()

    def texts(self, address, count):
        if count > 256:
            raise Trouble("a list of %d texts" % count)
        pairs = struct.iter_unpack("<QQ", read(address, 16 * count))
        return [text(start, length) for start, length in pairs]

    def learn_places(self):
        """Finds out how a place in a source is kept, by one whose parts are known."""
        # Of the two words of a text one is the length, which is no address.
        self.text_is_swapped = self.file_1 < TEXT_MAX < self.file_2
        sample = read(self.place, 24)
        self.place_file = self.find(sample, struct.pack("<Q", self.file_1), 8)
        self.place_line = self.find(sample, struct.pack("<I", self.line), 4)
        self.place_column = self.find(sample, struct.pack("<I", self.column), 4)

    @staticmethod
    def find(sample, part, step):
        for at in range(0, len(sample), step):
            if sample[at:at + len(part)] == part:
                return at
        return None

    def text_at(self, address):
        start, length = word(address), word(address + 8)
        return text(length, start) if self.text_is_swapped else text(start, length)

    def place_at(self, address):
        if None in (self.place_file, self.place_line, self.place_column):
            return "?"
        # The compiler ends the name with a zero that does not count.
        file = self.text_at(address + self.place_file).rstrip("?") or "?"
        line, column = half(address + self.place_line), half(address + self.place_column)
        return "%s:%d:%d" % (file, line, column)


SYMBOL = "corovent_runtime::hub::debugger::COROVENT_LAYOUT"


def layouts():
    """The layouts of all versions of the runtime in the program."""
    symbols = gdb.lookup_static_symbols(SYMBOL) + [gdb.lookup_global_symbol(SYMBOL)]
    found = {int(symbol.value().address) for symbol in symbols if symbol is not None}
    # Without debug information there are the names that the linker knows.
    listed = gdb.execute("info variables COROVENT_LAYOUT", to_string=True)
    # AddressSanitizer marks each global by another one, of a longer name.
    at = r"^0x([0-9a-f]+) (?! *__odr_asan).*LAYOUT"
    found.update(int(digits, 16) for digits in re.findall(at, listed, re.M))
    if not found:
        raise Trouble("the program has no corovent in it, or no symbols")
    return [Layout(address) for address in sorted(found)]


# Hubs and tasks.


class Hub:
    def __init__(self, layout, record):
        self.layout = layout
        self.address = word(record + layout.at_hub)
        self.thread = half(record + layout.at_thread)
        self.table = word(record + layout.at_table)

    def tasks(self):
        """All of them; those that cannot be read are told of and left out."""
        entries, count = word(self.table), word(self.table + 8)
        if count > TASKS_MAX:
            raise Trouble("a table of %d tasks" % count)
        current = half(self.address + self.layout.at_current)
        clock = half(self.address + self.layout.at_clock)
        for slot in range(count):
            address = entries + slot * self.layout.at_entry_size
            try:
                state = byte(address + self.layout.at_state)
                # A vacant slot is marked as running, and the one that runs is known.
                if state != RUNNING or slot == current:
                    yield Task(self, slot, state, address + self.layout.at_task, clock)
            except Trouble as trouble:
                say("  (the task in slot %d cannot be read: %s)" % (slot, trouble))

    def gdb_thread(self):
        for thread in gdb.selected_inferior().threads():
            if thread.is_valid() and self.thread in thread.ptid[1:]:
                return thread
        return None


class Task:
    def __init__(self, hub, slot, state, address, clock):
        layout = hub.layout
        self.hub, self.slot, self.state = hub, slot, state
        self.id = word(address + layout.at_id)
        self.coroutine = word(address + layout.at_coroutine)
        self.spawned_at = layout.place_at(word(address + layout.at_spawned_at))
        self.reason = self.read_reason(layout, address + layout.at_reason)
        self.since_ms = (clock - half(address + layout.at_since)) & 0xffffffff
        self.name = ""
        if self.coroutine:
            owner = word(self.coroutine + layout.at_occupant_id)
            if owner == 0:
                raise Trouble("its stack at 0x%x was left out of the core file; gdb's own gcore "
                              "cannot read past guards, the kernel can" % self.coroutine)
            if owner != self.id:
                raise Trouble("its stack at 0x%x is that of #%d" % (self.coroutine, owner))
            start = word(self.coroutine + layout.at_name)
            self.name = text(start, word(self.coroutine + layout.at_name_bytes))

    @staticmethod
    def read_reason(layout, address):
        data = read(address, layout.at_reason_size)
        if data[0] >= len(layout.reasons):
            return "?"
        kind = layout.reasons[data[0]]
        if kind == layout.whats[0]:
            return layout.whats[data[1]] if data[1] < len(layout.whats) else "?"
        if kind in ("read", "write", "descriptors"):
            return "%s (fd %d)" % (kind, struct.unpack_from("<i", data, 4)[0])
        if kind == "join":
            return "%s (#%d)" % (kind, struct.unpack_from("<Q", data, 8)[0])
        if kind == "end of process":
            return "%s (pid %d)" % (kind, struct.unpack_from("<I", data, 4)[0])
        return kind

    def label(self):
        if self.slot == ROOT:
            return "root (#%d)" % self.id
        return "'%s' (#%d)" % (self.name, self.id) if self.name else "#%d" % self.id

    def line(self):
        parts = ["%s: %s" % (self.label(), STATES.get(self.state, "in an unknown state"))]
        if self.state == BLOCKED:
            parts.append("on %s for %.1f s" % (self.reason, self.since_ms / 1000))
        line = " ".join(parts)
        if self.slot != ROOT:
            line += ", spawned at %s" % self.spawned_at
        return line

    def stack(self):
        """The lowest usable address of its stack, and the record that ends it."""
        layout = self.hub.layout
        top = word(self.coroutine + layout.at_top)
        usable = layout.at_stack_min << min(byte(self.coroutine + layout.at_class_), 24)
        if not top - usable < self.coroutine < top:
            raise Trouble("its stack is not where its record is")
        return top - usable, self.coroutine

    def stack_pointer(self):
        """Where it was when it was suspended.

        The switch keeps that among other words, which lead elsewhere; but for the pointer that
        it began with, which is higher.
        """
        layout = self.hub.layout
        low, high = self.stack()
        words = struct.iter_unpack("<Q", read(self.coroutine + layout.at_switch,
                                              layout.at_switch_size // 8 * 8))
        inside = [value for (value,) in words if low <= value < high and value % 8 == 0]
        if not inside:
            raise Trouble("it has no saved stack pointer")
        return min(inside)


def hubs():
    found = []
    for layout in layouts():
        record, count = word(layout.hubs), 0
        while record:
            count += 1
            if count > HUBS_MAX:
                raise Trouble("the list of hubs has no end")
            if byte(record + layout.at_used) and word(record + layout.at_hub):
                found.append(Hub(layout, record))
            record = word(record + layout.at_next)
    return found


# Backtraces.


class FrameId:
    def __init__(self, sp, pc):
        self.sp, self.pc = gdb.Value(sp), gdb.Value(pc)


# The registers that lie at the saved stack pointer, and how much lies there.
SAVED = {
    "i386:x86-64": ({"rip": 0, "rbx": 8, "rbp": 16}, "rsp", 24),
    "aarch64": ({"x19": 0, "x29": 8, "pc": 16}, "sp", 32),
}


class Jump(gdb.unwinder.Unwinder):
    """Says that the innermost frame was called from a suspended coroutine.

    So gdb's own unwinding goes on from there: nothing is written, which a core file does not
    allow, and all registers are back when the jump is over.
    """

    def __init__(self):
        super().__init__("corovent")
        self.enabled = False
        self.to = None
        self.used = False

    def __call__(self, pending):
        if self.to is None or self.used:
            return None
        self.used = True
        saved, stack_register, size = SAVED[pending.architecture().name()]
        # Stacks grow down, and gdb would stop where a caller's is lower.
        unwound = pending.create_unwind_info(FrameId(self.to - 16, 0))
        kind = gdb.lookup_type("unsigned long")
        for register, offset in saved.items():
            unwound.add_saved_register(register, gdb.Value(word(self.to + offset)).cast(kind))
        unwound.add_saved_register(stack_register, gdb.Value(self.to + size).cast(kind))
        return unwound


JUMP = Jump()


def frames_of(stack_pointer):
    """The frames of a suspended coroutine, innermost first."""
    JUMP.to, JUMP.used, JUMP.enabled = stack_pointer, False, True
    try:
        gdb.invalidate_cached_frames()
        frame = gdb.newest_frame()
        yield from walk(frame.older())
    finally:
        JUMP.to, JUMP.enabled = None, False
        gdb.invalidate_cached_frames()


def walk(frame):
    count = 0
    while frame is not None and frame.is_valid() and count < FRAMES_MAX:
        yield frame
        count += 1
        try:
            frame = frame.older()
        except gdb.error as error:
            say("  (the rest cannot be unwound: %s)" % error)
            return


def short(name):
    """A function's name without what it is generic over, and without its hash."""
    name, before = re.sub("::h[0-9a-f]{16}$", "", name), None
    while name != before:
        # The innermost brackets first; an arrow is none, and '<impl A for B>' is a name.
        name, before = re.sub(r"(?<=[\w}])(::)?<(?:->|[^<>])*>", "", name), name
    return name


def print_frames(frames):
    """Prints them as gdb does, until the coroutine's beginning."""
    for number, frame in enumerate(frames):
        name = short(frame.name() or "??")
        # The stack of whoever resumed it last follows.
        if "stack_init_trampoline" in name:
            return
        where = ""
        sal = frame.find_sal()
        if sal.symtab is not None:
            where = " at %s:%d" % (sal.symtab.filename, sal.line)
        else:
            solib = gdb.solib_name(frame.pc())
            where = " from %s" % solib if solib else ""
        say("  #%-2d 0x%016x in %s%s" % (number, frame.pc(), name, where))


def print_backtrace(task):
    say("%s" % task.line())
    try:
        if task.slot == ROOT or task.state == RUNNING:
            print_thread(task)
        elif not task.coroutine:
            say("  (it has not begun)")
        else:
            architecture = gdb.newest_frame().architecture().name()
            if architecture not in SAVED:
                raise Trouble("this script does not know %s" % architecture)
            print_frames(frames_of(task.stack_pointer()))
    except (Trouble, gdb.error) as trouble:
        say("  (%s)" % trouble)


def print_thread(task):
    """The stack of the hub's thread, which the task runs on."""
    thread = task.hub.gdb_thread()
    if thread is None:
        raise Trouble("gdb does not see its thread, %d" % task.hub.thread)
    before = gdb.selected_thread()
    thread.switch()
    try:
        print_frames(walk(gdb.newest_frame()))
    finally:
        if before is not None:
            before.switch()


# The commands.


def say(line):
    gdb.write(line + "\n")


def each_hub():
    found = hubs()
    if not found:
        say("No thread has a hub.")
    return found


def guarded(work):
    """Runs a command: what is wrong with the memory is a message, whatever it is."""
    try:
        if not gdb.selected_inferior().threads():
            raise Trouble("there is no process and no core file")
        work()
    except Trouble as trouble:
        raise gdb.GdbError("corovent: %s" % trouble)
    except (gdb.MemoryError, struct.error) as error:
        raise gdb.GdbError("corovent: the memory is not as it should be: %s" % error)


class Corovent(gdb.Command):
    """Looks at coroutines: 'corovent list', 'corovent bt NUMBER...', 'corovent bt all'."""

    def __init__(self):
        super().__init__("corovent", gdb.COMMAND_STACK, prefix=True)


class List(gdb.Command):
    """Lists all coroutines: state, what each waits for, where it was spawned."""

    def __init__(self):
        super().__init__("corovent list", gdb.COMMAND_STACK)

    def invoke(self, argument, _from_tty):
        if argument:
            raise gdb.GdbError("corovent list takes no argument")
        guarded(self.list_all)

    @staticmethod
    def list_all():
        for hub in each_hub():
            say("Hub of thread %d:" % hub.thread)
            try:
                for task in hub.tasks():
                    say("  " + task.line())
            except Trouble as trouble:
                say("  (%s)" % trouble)


class Backtrace(gdb.Command):
    """Prints backtraces: 'corovent bt NUMBER...' or 'corovent bt all'."""

    def __init__(self):
        super().__init__("corovent bt", gdb.COMMAND_STACK)

    def invoke(self, argument, _from_tty):
        words = argument.replace("#", " ").split()
        if words == ["all"]:
            wanted = None
        elif words and all(word.isdecimal() for word in words):
            wanted = {int(word) for word in words}
        else:
            raise gdb.GdbError("corovent bt takes numbers of coroutines, or 'all'")
        guarded(lambda: self.print_all(wanted))

    @staticmethod
    def print_all(wanted):
        seen = set()
        for hub in each_hub():
            try:
                for task in hub.tasks():
                    if wanted is None or task.id in wanted:
                        print_backtrace(task)
                        seen.add(task.id)
            except Trouble as trouble:
                say("  (%s)" % trouble)
        for number in sorted((wanted or set()) - seen):
            say("There is no coroutine #%d." % number)


gdb.unwinder.register_unwinder(None, JUMP, replace=True)
Corovent()
List()
Backtrace()
