"""The machine code that scores forests: built for this processor by LLVM when the first one asks for it.

It is one function for all models, whose trees come as tables, so that a model is ready as soon as it is read:
there is nothing to compile, keep or throw away for each of them. Eight requests go through the nodes side
by side (Lucchese et al., Exploiting CPU SIMD Extensions to Speed-up Document Scoring with Tree Ensembles,
2016), without a branch that depends on them. What a request's candidates have in common is asked once; of
what tells the action apart, each action's answer stands in a table.
"""

import ctypes
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from functools import cache
from typing import Any, NamedTuple

LANES = 8
"""How many requests go side by side: as many float64 as the widest registers hold."""
ABREAST = 4
"""How many candidates add up their leaves side by side, because each has to wait for its own last sum."""

FIELDS = (
    "trees",
    "first_leaf",
    "leaf_values",
    "nan_left",
    "nodes",
    "thresholds",
    "columns",
    "node_trees",
    "keeps",
    "lookups",
    "lookup_columns",
    "lookup_sizes",
    "lookup_first",
    "lookup_trees",
    "lookup_tables",
    "lookup_keeps",
    "actions",
    "action_columns",
    "action_keeps",
)
"""A forest in memory: a row of int64, which are counts or addresses of arrays; see `quickscorer.Panel`."""


class KernelMissing(Exception):
    """There is no compiler for this machine, and why."""


_ARGUMENTS = (
    ctypes.c_int64,  # how many requests
    ctypes.c_int64,  # how many there is room for in a column
    ctypes.c_void_p,  # f64: the columns of all requests
    ctypes.c_int64,  # how many actions
    ctypes.c_void_p,  # u8, requests x actions: which are candidates
    ctypes.c_void_p,  # out: f64, requests x actions: the margins of the candidates
    ctypes.c_int64,  # how many forests
    ctypes.c_void_p,  # i64, forests x fields
    ctypes.c_void_p,  # u64, trees x LANES: work space
    ctypes.c_void_p,  # i32, LANES x room: work space
    ctypes.c_int64,  # room: the most actions of a forest, and ABREAST more
)


class Kernel(NamedTuple):
    """The function, and the engine that owns its code."""

    engine: Any
    score: Callable[..., None]


@cache
def kernel() -> Kernel:
    """The function; threads may share it, and the GIL is free meanwhile.

    Raises:
        KernelMissing: llvmlite is not installed, or does not know this machine.
    """
    try:
        import llvmlite.binding as llvm  # 40 MB that a service without it does without

        llvm.initialize_native_target()
        llvm.initialize_native_asmprinter()
        target = llvm.Target.from_triple(llvm.get_process_triple())
        machine = target.create_target_machine(
            cpu=llvm.get_host_cpu_name(), features=llvm.get_host_cpu_features().flatten(), opt=3
        )
        module = llvm.parse_assembly(str(_module()))
        tuning = llvm.create_pipeline_tuning_options(speed_level=3)
        builder = llvm.create_pass_builder(machine, tuning)
        builder.getModulePassManager().run(module, builder)
        engine = llvm.create_mcjit_compiler(module, machine)
        engine.finalize_object()
    except (ImportError, OSError, RuntimeError) as error:
        raise KernelMissing(f"no machine code can be made here: {error}") from error
    return Kernel(engine, ctypes.CFUNCTYPE(None, *_ARGUMENTS)(engine.get_function_address("score")))


def _module() -> Any:
    """The function in LLVM's language.

    In the words of C, for each forest and each eight requests:

        for each request, each action of the forest: if it is a candidate, note it
        reach[*][*] = all leaves
        for each node: reach[tree][lane] &= x[column][lane] > threshold ? keeps : all leaves
        for each lookup, request, tree that has it: reach[tree][lane] &= table[code of the request][tree]
        for each noted candidate: margin = sum over trees of
            leaf_values[first_leaf[tree] + first bit of (reach[tree][lane] & action_keeps[action][tree])]

    The sums are LightGBM's, in its order and without any rearrangement, so they are equal to the last bit.
    """
    from llvmlite import ir

    return _Builder(ir).module


class _Builder:
    def __init__(self, ir: Any) -> None:
        self.ir = ir
        self.i1, self.i32, self.i64 = ir.IntType(1), ir.IntType(32), ir.IntType(64)
        self.f64 = ir.DoubleType()
        self.xs, self.words = ir.VectorType(self.f64, LANES), ir.VectorType(self.i64, LANES)
        byte = ir.IntType(8).as_pointer()
        self.module = ir.Module("score")
        kinds = [byte if kind is ctypes.c_void_p else self.i64 for kind in _ARGUMENTS]
        function = ir.Function(self.module, ir.FunctionType(ir.VoidType(), kinds), "score")
        self.cttz = self.module.declare_intrinsic(
            "llvm.cttz", (self.i64,), ir.FunctionType(self.i64, (self.i64, self.i1))
        )
        (
            self.requests,
            self.stride,
            columns,
            self.width,
            candidates,
            margins,
            forests,
            fields,
            reach,
            noted,
            self.room,
        ) = function.args
        self.b = ir.IRBuilder(function.append_basic_block())
        self.columns = self.cast(columns, self.f64)
        self.candidates = candidates
        self.margins = self.cast(margins, self.f64)
        self.fields = self.cast(fields, self.i64)
        self.reach, self.noted = self.cast(reach, self.i64), self.cast(noted, self.i32)
        self.counts = self.b.alloca(self.i64, LANES)
        with self.loop(self.whole(0), self.requests, LANES) as first:
            left = self.b.sub(self.requests, first)
            full = self.b.icmp_signed("<", left, self.whole(LANES))
            lanes = self.b.select(full, left, self.whole(LANES))
            with self.loop(self.whole(0), forests) as number:
                self.forest(number, first, lanes)
        self.b.ret_void()

    def forest(self, number: Any, first: Any, lanes: Any) -> None:
        b = self.b
        row = b.mul(number, self.whole(len(FIELDS)))
        self.of = {
            name: self.load(self.fields, b.add(row, self.whole(place))) for place, name in enumerate(FIELDS)
        }
        anybody = self.note(first, lanes)
        with b.if_then(b.icmp_signed(">", anybody, self.whole(0))):
            self.reset()
            self.compare(first)
            self.look_up(first, lanes)
            with self.loop(self.whole(0), lanes) as lane:
                self.add_up(b.add(first, lane), lane)

    def note(self, first: Any, lanes: Any) -> Any:
        """List the candidates of each request, and count all."""
        b = self.b
        actions, total = self.array("action_columns", self.i32), self.variable(self.i64)
        b.store(self.whole(0), total)
        with self.loop(self.whole(0), lanes) as lane:
            row = b.mul(b.add(first, lane), self.width)
            start = b.mul(lane, self.room)
            count = b.gep(self.counts, [lane])
            b.store(self.whole(0), count)
            with self.loop(self.whole(0), self.of["actions"]) as k:
                action = b.sext(self.load(actions, k), self.i64)
                candidate = self.load(self.candidates, b.add(row, action))
                found = b.load(count)
                b.store(b.trunc(k, self.i32), b.gep(self.noted, [b.add(start, found)]))
                b.store(b.add(found, b.zext(candidate, self.i64)), count)
            b.store(b.add(b.load(total), b.load(count)), total)
            with self.loop(self.whole(0), self.whole(ABREAST)) as spare:  # so that the last ones are ABREAST
                at = b.add(b.add(start, b.load(count)), spare)
                b.store(self.i32(0), b.gep(self.noted, [at]))
        return b.load(total)

    def reset(self) -> None:
        """Nothing is ruled out yet."""
        everything = self.ir.Constant(self.words, [-1] * LANES)
        with self.loop(self.whole(0), self.of["trees"]) as tree:
            self.store_lanes(everything, tree)

    def compare(self, first: Any) -> None:
        """Ask the nodes with a threshold: first those where a missing value goes left, then the others."""
        parts = (
            (self.whole(0), self.of["nan_left"], self.b.fcmp_ordered),
            (self.of["nan_left"], self.of["nodes"], self.b.fcmp_unordered),
        )
        for start, stop, greater in parts:
            b = self.b
            with self.loop(start, stop) as node:
                column = b.sext(self.load(self.array("columns", self.i32), node), self.i64)
                tree = b.sext(self.load(self.array("node_trees", self.i32), node), self.i64)
                at = b.gep(self.columns, [b.add(b.mul(column, self.stride), first)])
                x = b.load(b.bitcast(at, self.xs.as_pointer()), align=8)
                threshold = self.spread(self.load(self.array("thresholds", self.f64), node), self.xs)
                keeps = self.spread(self.load(self.array("keeps", self.i64), node), self.words)
                reach = self.load_lanes(tree)
                right = greater(">", x, threshold)
                self.store_lanes(b.select(right, b.and_(reach, keeps), reach), tree)

    def look_up(self, first: Any, lanes: Any) -> None:
        """Take what a category rules out from its table; the last row is for who has none of those known."""
        b = self.b
        with self.loop(self.whole(0), self.of["lookups"]) as number:
            column = b.sext(self.load(self.array("lookup_columns", self.i32), number), self.i64)
            size = b.sext(self.load(self.array("lookup_sizes", self.i32), number), self.i64)
            after = self.array("lookup_first", self.i32)
            begin = b.sext(self.load(after, number), self.i64)
            trees = b.sub(b.sext(self.load(after, b.add(number, self.whole(1))), self.i64), begin)
            table = self.load(self.array("lookup_tables", self.i64), number)
            with self.loop(self.whole(0), lanes) as lane:
                x = self.load(self.columns, b.add(b.mul(column, self.stride), b.add(first, lane)))
                known = b.and_(
                    b.fcmp_ordered(">", x, self.f64(-1.0)), b.fcmp_ordered("<", x, b.sitofp(size, self.f64))
                )
                code = b.select(known, b.fptosi(b.select(known, x, self.f64(0.0)), self.i64), size)
                row = b.add(table, b.mul(code, trees))
                with self.loop(self.whole(0), trees) as k:
                    tree = self.load(self.array("lookup_trees", self.i32), b.add(begin, k))
                    keeps = self.load(self.array("lookup_keeps", self.i64), b.add(row, k))
                    at = b.gep(self.reach, [b.add(b.mul(b.sext(tree, self.i64), self.whole(LANES)), lane)])
                    b.store(b.and_(b.load(at), keeps), at)

    def add_up(self, request: Any, lane: Any) -> None:
        """The margins of a request's candidates, a few abreast."""
        b = self.b
        count, start = b.load(b.gep(self.counts, [lane])), b.mul(lane, self.room)
        sums = [self.variable(self.f64) for _ in range(ABREAST)]
        with self.loop(self.whole(0), count, ABREAST) as some:
            noted = [
                b.sext(self.load(self.noted, b.add(b.add(start, some), self.whole(place))), self.i64)
                for place in range(ABREAST)
            ]
            rows = [b.mul(action, self.of["trees"]) for action in noted]
            for total in sums:
                b.store(self.f64(0.0), total)
            with self.loop(self.whole(0), self.of["trees"]) as tree:
                reach = self.load(self.reach, b.add(b.mul(tree, self.whole(LANES)), lane))
                leaves = b.sext(self.load(self.array("first_leaf", self.i32), tree), self.i64)
                for total, row in zip(sums, rows, strict=True):
                    keeps = self.load(self.array("action_keeps", self.i64), b.add(row, tree))
                    leaf = b.call(self.cttz, [b.and_(reach, keeps), self.i1(1)])
                    value = self.load(self.array("leaf_values", self.f64), b.add(leaves, leaf))
                    b.store(b.fadd(b.load(total), value), total)
            for place, (total, action) in enumerate(zip(sums, noted, strict=True)):
                with b.if_then(b.icmp_signed("<", b.add(some, self.whole(place)), count)):
                    column = b.sext(self.load(self.array("action_columns", self.i32), action), self.i64)
                    at = b.gep(self.margins, [b.add(b.mul(request, self.width), column)])
                    b.store(b.load(total), at)

    def whole(self, number: int) -> Any:
        return self.i64(number)

    def variable(self, kind: Any) -> Any:
        """Room for a number that changes; in the entry block, so that it becomes a register."""
        with self.b.goto_entry_block():
            return self.b.alloca(kind)

    def cast(self, pointer: Any, kind: Any) -> Any:
        return self.b.bitcast(pointer, kind.as_pointer())

    def array(self, field: str, kind: Any) -> Any:
        return self.b.inttoptr(self.of[field], kind.as_pointer())

    def load(self, array: Any, place: Any) -> Any:
        return self.b.load(self.b.gep(array, [place]))

    def lanes_at(self, tree: Any) -> Any:
        at = self.b.gep(self.reach, [self.b.mul(tree, self.whole(LANES))])
        return self.b.bitcast(at, self.words.as_pointer())

    def load_lanes(self, tree: Any) -> Any:
        return self.b.load(self.lanes_at(tree), align=8)

    def store_lanes(self, words: Any, tree: Any) -> None:
        self.b.store(words, self.lanes_at(tree), align=8)

    def spread(self, number: Any, kind: Any) -> Any:
        """The same number in every lane."""
        ir, none = self.ir, self.ir.Constant(kind, self.ir.Undefined)
        one = self.b.insert_element(none, number, self.i32(0))
        return self.b.shuffle_vector(one, none, ir.Constant(ir.VectorType(self.i32, LANES), [0] * LANES))

    @contextmanager
    def loop(self, start: Any, stop: Any, step: int = 1) -> Iterator[Any]:
        """Run what is built inside for each number from `start` on, below `stop`."""
        b, before = self.b, self.b.block
        head, body, after = (b.append_basic_block(name) for name in ("head", "body", "after"))
        b.branch(head)
        b.position_at_end(head)
        number = b.phi(self.i64)
        number.add_incoming(start, before)
        b.cbranch(b.icmp_signed("<", number, stop), body, after)
        b.position_at_end(body)
        yield number
        number.add_incoming(b.add(number, self.whole(step)), b.block)
        b.branch(head)
        b.position_at_end(after)
