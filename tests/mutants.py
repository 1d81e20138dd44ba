"""Faults put in by hand: each must make a test fail. `.ci/more mutants [WORD]`

Each row of the table is one fault: a file, some text of it, what stands there instead, and the tests that must
notice. It is put into a copy of the repository, never into the files themselves. A fault that no test notices has
*survived*: either a test is missing, or what was changed is superfluous and can go. A row whose text is no longer
in its file is *stale* and must be rewritten; one whose tests fail without any fault is *untried*. WORD picks the rows
that have it in their file or name.
"""

from __future__ import annotations

import contextlib
import os
import shutil
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

ROOT = Path(__file__).resolve().parent.parent
COPIED = ("blocks", "tests", "benchmarks", "pyproject.toml", "README.md", "examples")
SECONDS = 600  # for the tests of one fault; a fault that makes them hang is noticed too
RANDOM, OPS, CELLS, TRAIN, PLAN, LEARNER = (
    f"tests/test_{n}.py" for n in ("random", "ops", "cells", "train", "plan", "learner")
)
WRAPPERS, LOSSES = ("tests/test_wrappers.py", "tests/test_losses.py")
RECORDED, TIES, MASKS, COUNTS, PASSES, PROGRAM, DRAWS = (
    f"tests/test_{n}.py" for n in ("recorded", "ties", "masks", "counts", "passes", "program", "draws")
)
TRACE, JAVASCRIPT, EXPLAIN = (f"tests/test_{n}.py" for n in ("trace", "javascript", "explain"))
ONNX, RECOGNISE, IMPORTS = (f"tests/test_{n}.py" for n in ("onnx", "recognise", "imports"))
NATIVE = "tests/test_native.py"
TRIALS, MODELS = "tests/test_trials.py", "tests/test_model_trials.py"


@dataclass(frozen=True)
class Mutant:
    """One fault: in `file`, `old` becomes `new`; one of `tests` must fail."""

    name: str
    file: str
    old: str
    new: str
    tests: tuple[str, ...]


MUTANTS = (
    # --- gradients
    Mutant("tanh without the 1", "blocks/ops/elementwise.py", "(g * (1.0 - y * y),)", "(g * (2.0 - y * y),)", (OPS,)),
    Mutant("σ without its second factor", "blocks/ops/elementwise.py", "(g * y * (1.0 - y),)", "(g * y,)", (OPS,)),
    Mutant("quotient without its sign", "blocks/ops/elementwise.py", "(g / b, -g * y / b)", "(g / b, g * y / b)", (OPS,)),
    Mutant("a tie goes to one side", "blocks/ops/elementwise.py", "return 0.5 + 0.5 * sign(a - b)", "return cast(greater(a, b))", (TIES,)),
    Mutant("softmax without the mean", "blocks/ops/shape.py", 'y * (g - sum_(g * y, axis=y.attrs["axis"], keepdims=True))', "y * g", (OPS,)),
    Mutant("moveaxis not turned back", "blocks/ops/shape.py", 'source=y.attrs["destination"], destination=y.attrs["source"]', 'source=y.attrs["source"], destination=y.attrs["destination"]', (OPS, RANDOM)),
    Mutant("mean's gradient is a sum's", "blocks/ops/shape.py", "spread(g / size(tuple(x.shape[i] for i in axes)), x, axes)", "spread(g, x, axes)", (OPS, RANDOM)),
    Mutant("outer's operands swapped", "blocks/ops/linear.py", "return matmul_op(b, transpose(g)), matmul_op(a, g)", "return matmul_op(a, g), matmul_op(b, transpose(g))", (OPS, RANDOM)),
    Mutant("a stack's matrix not transposed", "blocks/ops/linear.py", "return matmul_op(g, transpose(w)), of_w", "return matmul_op(g, w), of_w", (OPS, RANDOM)),
    Mutant("cotangents replaced, not added", "blocks/grad.py", "cotangents[node] = cotangents[node] + g if node in cotangents else g", "cotangents[node] = g", (OPS, RANDOM)),
    Mutant("broadcast axes not summed", "blocks/grad.py", "if d == 1 and g.shape[extra + i] != 1]", "if False]", (OPS, RANDOM)),
    Mutant("backwards in the same direction", "blocks/grad.py", "reverse=not ", "reverse=", (RECORDED, RANDOM)),
    Mutant("final cotangents forgotten", "blocks/grad.py", "cotangents.get(FINAL + s, zeros(d.shape))", "cotangents.get(FINAL, zeros(d.shape))", (RECORDED, RANDOM)),
    Mutant("live states not grown", "blocks/grad.py", "        live |= more\n", "        break\n", (RANDOM, CELLS)),
    # --- exchange
    Mutant("ONNX: gates in PyTorch's order", "blocks/exchange/onnx/fused.py", '("input", "output", "forget", "candidate")', '("input", "forget", "output", "candidate")', (RECOGNISE,)),
    Mutant("ONNX: a loop backwards runs forwards", "blocks/exchange/onnx/scope.py", "(0,), (-1,)) if around else sequence", "(0,), (-1,)) if not self else sequence", (RECOGNISE, ONNX)),
    Mutant("ONNX: a sequence that is masked whole holds its own steps", "blocks/exchange/onnx/parts.py", '"Where", has_steps, own, other', '"Where", has_steps, own, own', (ONNX,)),
    Mutant("recognition: weights may differ from place to place", "blocks/exchange/recognise.py", "if key not in bound or bound[key] is t else None", "if key not in bound or t is not self else None", (RECOGNISE,)),
    Mutant("recognition: a factor does not matter", "blocks/exchange/recognise.py", "(not fixed and value != other)", "(not fixed and value is None)", (RECOGNISE,)),
    Mutant("recognition: a turned gate is not turned", "blocks/exchange/onnx/fused.py", "if found.turned:", "if not found:", (RECOGNISE,)),
    Mutant("Keras's GRU has PyTorch's order", "blocks/exchange/from_keras.py", '"gru": ("update", "reset", "candidate")', '"gru": ("reset", "update", "candidate")', (IMPORTS,)),
    Mutant("PyTorch's second bias is left out", "blocks/exchange/from_torch.py", "gates(bricks, first + second, \"b\")", "gates(bricks, first, \"b\")", (IMPORTS,)),
    # --- loops, bricks, masks, losses
    Mutant("a reversed loop is not", "blocks/ops/loop.py", "    for t in reversed(range(steps)) if reverse else range(steps):", "    for t in range(steps):", (RECORDED, RANDOM)),
    Mutant("a bias is dropped", "blocks/bricks.py", 'return net + self.param("b", (self.units,), 0.0) if self.bias else net\n\n    def product', "return net\n\n    def product", (RECORDED, CELLS)),
    Mutant("LSTM: gates swapped", "blocks/cells/lstm.py", "(x, h)\n    C1 = f * C + i * candidate", "(x, h)\n    C1 = i * C + f * candidate", (RECORDED,)),
    Mutant("GRU: update the wrong way", "blocks/cells/gru.py", "    candidate = TANH(units, name=\"candidate\")(x, named(\"h\", r * h))\n    h1 = z * h + (1 - z) * candidate", "    candidate = TANH(units, name=\"candidate\")(x, named(\"h\", r * h))\n    h1 = (1 - z) * h + z * candidate", (RECORDED,)),
    Mutant("a mask does not hold states", "blocks/scan.py", "outputs[NEXT + s] = where(_along(valid, before), outputs[NEXT + s], before)", "pass", (RECORDED, CELLS)),
    Mutant("a mask does not weigh the loss", "blocks/ops/masks.py", "return (x * w).sum() / total", "return (x * w).mean()", (OPS, COUNTS)),
    Mutant("masked steps keep their padding", "blocks/scan.py", "sequences = {k: _held(v, admitted) for k, v in sequences.items()}", "pass", (MASKS,)),
    Mutant("targets have no gradient", "blocks/ops/loss.py", 'rows * -apply("log_softmax", logits)', "None", (OPS,)),
    Mutant("layer normalisation: the gradient's mean stays", "blocks/ops/norm.py", "centred = g - _average(g, axis)", "centred = g", (OPS, RECORDED)),
    Mutant("a gain decays", "blocks/train/update.py", 'not in ("b", "gain")', 'not in ("b",)', (TRAIN,)),
    Mutant("a residual without its input", "blocks/wrappers.py", "y: given + made})", "y: made + made})", (WRAPPERS,)),
    Mutant("both directions forwards", "blocks/wrappers.py", "final=True, reverse=True)", "final=True)", (WRAPPERS, RECORDED)),
    Mutant("layers that share no input", "blocks/wrappers.py", "shared.setdefault(name, fed[name])", "fed[name]", (WRAPPERS,)),
    Mutant("last steps of pieces are not told apart", "blocks/train/terms.py", "(np.where(b[1] != 0, b[0], a[0]), a[1] + b[1])", "b", (COUNTS,)),
    Mutant("a sum counts nothing", "blocks/train/terms.py", "if node.op in (weighted_mean, weighted_sum):", "if node.op is weighted_mean:", (LOSSES,)),
    Mutant("terms in the order of making", "blocks/train/terms.py", "    return found\n\n\ndef check_causal", "    return sorted(found, key=lambda node: node.serial)\n\n\ndef check_causal", (COUNTS,)),
    Mutant("class weights are not divided by", "blocks/ops/loss.py", " / where(equal(total, 0.0), 1.0, total)", "", (RECORDED, LOSSES)),
    Mutant("the last step of a sequence without any", "blocks/ops/masks.py", "return where(_any_admitted(x, m), _last_step(hold(x, m)), ZERO[x.dtype])", "return _last_step(hold(x, m))", (OPS, LOSSES)),
    # --- the compiler
    Mutant("accumulated keeps no count", "blocks/compile/passes/totals.py", "times_kept[new] == 1", "True", (PASSES, RANDOM)),
    Mutant("a sum that is read is taken out", "blocks/compile/passes/totals.py", "or old in times_kept", "", (PASSES, RANDOM)),
    Mutant("rank of outers ignored", "blocks/compile/passes/groups.py", "self.rank[node] = highest + (node.op.name in SUMMING)", "self.rank[node] = highest", (PASSES, RANDOM)),
    Mutant("views of a part keep their axis", "blocks/compile/passes/lift.py", "else moved(axis) for key", "else axis for key", (PASSES, RANDOM)),
    Mutant("lifted without padding", "blocks/compile/passes/lift.py", "operands = [_met(s, o, c, i.shape) for o, c, i in zip(s.operands, s.constant, s.node.operands, strict=True)]", "operands = s.operands", (PASSES, RANDOM)),
    Mutant("concat of constants is lifted", "blocks/compile/passes/lift.py", '"concat": Rule(_next_axis, _none_constant, anywhere=True)', '"concat": Rule(_next_axis, anywhere=True)', (PASSES, RANDOM)),
    Mutant("a total forgets the first value", "blocks/compile/passes/hoist.py", 'apply("add", self.wires[state], total(added, self.stacked))', "total(added, self.stacked)", (PASSES, RANDOM)),
    Mutant("blocks start with the wrong state", "blocks/compile/passes/checkpoint.py", "starts = {START + s: ports.inputs[s] for s in loop.states}", "starts = {START + s: pick(inner, FINAL + s) for s in loop.states}", (PASSES, RANDOM)),
    Mutant("joined weights in another order", "blocks/compile/passes/join.py", "*(new[t.operands[1]] for t in products), axis=-2", "*(new[t.operands[1]] for t in products[::-1]), axis=-2", (PASSES, RANDOM)),
    Mutant("blas_for never restores", "blocks/compile/numpy/runtime.py", "pool.set_num_threads(threads)", "pass", (PROGRAM,)),
    Mutant("a copy is taken for a view", "blocks/compile/plan/geometry.py", "                return None\n            last = axes", "                pass\n            last = axes", (PLAN, RANDOM)),
    Mutant("a part without its offset", "blocks/compile/plan/geometry.py", "self.strides, self.offset + self.strides[axis] * first)", "self.strides, self.offset)", (PLAN, RANDOM)),
    # --- random numbers
    Mutant("each update draws the same", "blocks/ops/random.py", "default_rng([seed, update, name])", "default_rng([seed, name])", (DRAWS,)),
    Mutant("trials draw the same", "blocks/ops/random.py", "numbers(seed + r, own, each)", "numbers(seed, own, each)", (DRAWS,)),
    Mutant("trials behind the batch", "blocks/ops/elementwise.py", "LAST = (TRIALS, BATCH)", "LAST = (BATCH, TRIALS)", (TRIALS,)),
    Mutant("a trial's rows for another", "blocks/train/trials.py", "return np.where(condition.reshape", "return np.where(~condition.reshape", (MODELS,)),
    Mutant("trials stop together", "blocks/train/moves.py", "running = {c.updates for c in self.at.courses if not c.ended}", "running = {self.at.step}", (MODELS,)),
    Mutant("stacks keep their rows apart", "blocks/compile/passes/stacks.py", "x = apply(\"moveaxis\", x, source=at, destination=0)", "pass", (PASSES,)),
    Mutant("zoneout the wrong way", "blocks/wrappers.py", "keep * old + (1.0 - keep) * new", "keep * new + (1.0 - keep) * old", (DRAWS,)),
    Mutant("a second dropout is the first", "blocks/compile/passes/simplify.py", "if node.op.name in FED:", 'if node.op.name in ("input", "parameter"):', (DRAWS, RANDOM)),
    Mutant("predict draws", "blocks/train/running.py", "(model.seed, step) if self.draws and step is not None else None", "(model.seed, step or 0)", (DRAWS,)),
    # --- training
    Mutant("a draw in the data is not cut into windows", "blocks/train/truncated.py", 'known = graph.fed("input", "draw")', 'known = graph.fed("input")', (DRAWS,)),
    Mutant("what goes out of a cell is named twice", "blocks/draw/diagram/elements.py", " and key not in going_out", "", ("tests/test_draw_kit.py",)),
    Mutant("Adam without its correction", "blocks/train/optimizers.py", "v / weight_so_far(self.beta2, t)", "v", (TRAIN, RECORDED)),
    Mutant("updates count from 0", "blocks/train/update.py", "lr, step + 1.0, decaying", "lr, step + 0.0, decaying", (TRAIN,)),
    Mutant("nothing is clipped", "blocks/train/update.py", "g = g * scale_to(clip, norm)", "pass", (TRAIN,)),
    Mutant("a copy trains the weights of the first", "blocks/train/model.py", '"_running": {}', '"_running": self._running', ("tests/test_vector.py",)),
    Mutant("a trial that has ended moves", "blocks/train/update.py", "np.copyto(old, self.new[name], where=where)", "np.copyto(old, self.new[name])", ("tests/test_model_trials.py",)),
    Mutant("slots are not written", "blocks/train/update.py", "*((v.all, SLOT + slot) for slot, v in self.slots.items())", "", (TRAIN,)),
    Mutant("a learner counts its updates from 1", "blocks/train/learner.py", "state(fresh_name(\"step\", graph.nodes), shape=())", "state(fresh_name(\"step\", graph.nodes), shape=(), init=1.0)", (LEARNER,)),
    Mutant("a learner's states stay", "blocks/train/learner.py", "{**updated, **carried}", "{**updated, **{s: s for s in carried}}", (LEARNER,)),
    Mutant("√ of a square has an infinite slope", "blocks/train/optimizers.py", "sqrt(maximum(square, TINY))", "sqrt(square)", (LEARNER,)),
    Mutant("frozen weights move", "blocks/train/update.py", "where = where if self.move is None else self.move & where", "where = where", ("tests/test_regularised.py",)),
    Mutant("a scan in a text has one direction", "blocks/exchange/python/loops.py", 'if self.loop.attrs["reverse"] else {}', "if False else {}", ("tests/test_python.py",)),
    Mutant("parts of an update weigh alike", "blocks/train/shares.py", "_share(part[count], whole[count])", "_share(1.0, 2.0)", ("tests/test_ranks.py",)),
    Mutant("a part that counts nothing is added", "blocks/train/shares.py", "return each(share, value * behind, np.zeros_like(value))", "return value", ("tests/test_regularised.py",)),
    Mutant("trials are made one batch", "blocks/train/sources.py", "for seed in self.seeds]\n            self.known", "for seed in self.seeds[:1] * len(self.seeds)]\n            self.known", ("tests/test_going_on.py",)),
    Mutant("a call begins with fresh slots", "blocks/train/state.py", "kind_of(self.optimizer) != kind_of(optimizer)", "True", ("tests/test_going_on.py",)),
    Mutant("a nucleus of one class less", "blocks/train/generate.py", "before = np.cumsum(p, axis=-1) - p", "before = np.cumsum(p, axis=-1)", ("tests/test_generate.py",)),
    Mutant("momentum is not kept", "blocks/train/optimizers.py", "v = self.momentum * slots[0] + g", "v = g", (TRAIN,)),
    # --- the record of an update, and the page
    Mutant("only the last part of a gradient", "blocks/grad.py", "handed.setdefault(node, []).append((user, g))", "handed[node] = [(user, g)]", (TRACE,)),
    Mutant("a reversed loop is written out forwards", "blocks/trace/written.py", 'for t in reversed(range(count)) if attrs["reverse"] else range(count):', "for t in range(count):", (TRACE,)),
    Mutant("two loops share their names", "blocks/trace/written.py", "if (n := name if i == 1 else f\"{name}_{i}\") not in self.taken)", "if (n := name if i == 1 else f\"{name}_{i}\"))", (TRACE,)),
    Mutant("the update adds", "blocks/trace/script.py", 'self.outputs[f"new/{w.name}"] = w - change', 'self.outputs[f"new/{w.name}"] = w + change', (TRACE,)),
    Mutant("JavaScript rounds halves up", "blocks/explain/interpret.js", "    round: floating(even),", "    round: floating(Math.round),", (JAVASCRIPT,)),
    Mutant("JavaScript forgets the reversed loop", "blocks/explain/interpret.js", "const t = attrs.reverse ? n - 1 - i : i;", "const t = i;", (JAVASCRIPT,)),
    Mutant("the page knows too early", "blocks/explain/state.js", "return line <= this.stop.last;", "return line <= this.stop.last + 40;", (EXPLAIN,)),
    Mutant("a probe is not added", "blocks/explain/compare.py", "{node: node + input(PROBE + s, shape=node.shape)}", "{node: node + 0.0 * input(PROBE + s, shape=node.shape)}", (EXPLAIN,)),
    # --- C
    Mutant("meetings are free", "blocks/compile/native/run.py", "BETWEEN * evaluate", "0 * evaluate", (NATIVE,)),
    Mutant("what another thread wrote is not waited for", "blocks/compile/native/team.py", "or seen.stands_against(step)", "", (NATIVE,)),
    Mutant("e^x a little off", "blocks/compile/native/blocks.h", "R(1.0 / 24)", "R(1.0 / 25)", (NATIVE,)),
    Mutant("the rest of a row is written whole", "blocks/compile/native/blocks.h", "const int whole = width == vecs * WIDTH;", "const int whole = 1;", (NATIVE,)),
    Mutant("an operation passes what it needs", "blocks/compile/native/groups.py", "earlier = all(g.apart(part.reads, [part.out]) for g in between)", "earlier = True", (NATIVE,)),
    Mutant("operations pass what needs them", "blocks/compile/native/groups.py", "later = earlier or all(g.apart(group.reads, group.writes) for g in between)", "later = True", (NATIVE,)),
    Mutant("what a loop needs is made after it", "blocks/compile/native/groups.py", "free = isinstance(group.what, Nest) and not any(a.array in loop for a in accesses)", "free = isinstance(group.what, Nest)", (NATIVE,)),
    Mutant("a lane is lost", "blocks/compile/native/blocks.h", "EACH (num k = 0; k < n - half; k++) part[k]", "EACH (num k = 0; k < n - half - 1; k++) part[k]", (NATIVE,)),
    Mutant("a product that is added to a tall result is not", "blocks/compile/native/blocks.h", "if (s->own && more) move_tall(s, first, last, 0);", "", (NATIVE,)),
    Mutant("columns of a tall result are put elsewhere", "blocks/compile/native/blocks.h", "s->own + rows * (DEPTH + j - first) + i * PANEL", "s->own + rows * (DEPTH + j) + i * PANEL", (NATIVE,)),
    Mutant("sums of more columns than there is room for", "blocks/compile/native/totals.py", "double {one.name}[{count}] = {{0}};", "double {one.name}[{LANES}] = {{0}};", (NATIVE,)),
    Mutant("accesses of one kind are alike", "blocks/compile/native/access.py", "found.add(known[other_at - at])", "found.add(next(iter(known.values())))", (NATIVE,)),
    Mutant("a nest writes what it read at other indices", "blocks/compile/native/nests.py", 'if "unknown" in self.reads.meetings(step.out):', "if False:", (NATIVE,)),
    Mutant("a nest reads what it wrote at other indices", "blocks/compile/native/nests.py", "self.writes.meetings(o) | self.sums.meetings(o)", "self.sums.meetings(o)", (NATIVE,)),
    Mutant("a nest reads its sums", "blocks/compile/native/nests.py", "self.writes.meetings(o) | self.sums.meetings(o)", "self.writes.meetings(o)", (NATIVE,)),
    Mutant("parts of an array are always apart", "blocks/compile/native/access.py", "and _parts(self.rows, other.rows)", "", (NATIVE,)),
)  # fmt: skip


@contextlib.contextmanager
def repository() -> Iterator[Path]:
    """A copy of what the tests need, to be changed."""
    with tempfile.TemporaryDirectory() as folder:
        for name in COPIED:
            source, target = ROOT / name, Path(folder) / name
            if source.is_dir():
                shutil.copytree(source, target, ignore=shutil.ignore_patterns("__pycache__", "*.pyc"))
            else:
                shutil.copy(source, target)
        yield Path(folder)


def attempt(mutant: Mutant, tests: list[str]) -> str:
    """killed, survived or stale; untried, where no test is sound."""
    if not tests:
        return "untried"
    with repository() as copy:
        path = copy / mutant.file
        text = path.read_text() if path.exists() else ""
        if mutant.old not in text:
            return "stale"
        path.write_text(text.replace(mutant.old, mutant.new, 1))
        return "killed" if any(failure(copy, test) for test in tests) else "survived"


def failure(copy: Path, test: str) -> str:
    """What a test file says that fails there, or crashes, or does not end; nothing where it passes."""
    command = [sys.executable, "-m", "pytest", "-q", "-x", "-p", "no:cacheprovider", "--hypothesis-profile=some", test]
    try:
        done = subprocess.run(
            command, cwd=copy, env={**os.environ, "PYTHONPATH": str(copy)}, capture_output=True, timeout=SECONDS
        )
    except subprocess.TimeoutExpired:
        return f"no end in {SECONDS} s"
    said = (done.stdout + done.stderr).decode()
    if done.returncode > 2:
        raise SystemExit(f"pytest itself failed on {test} ({done.returncode}):\n{said[-2000:]}")
    told = [line for line in said.splitlines() if line.startswith(("E  ", "Fatal"))]
    return [f"{said[-200:]} ({done.returncode})", *told][-1] if done.returncode else ""


def main(words: list[str]) -> int:
    counts = {"killed": 0, "survived": 0, "stale": 0, "untried": 0}
    start = time.time()
    chosen = [m for m in MUTANTS if all(word in f"{m.file} {m.name}" for word in words)]
    with repository() as copy:
        tests = sorted({test for mutant in chosen for test in mutant.tests})
        failures = {test: failure(copy, test) for test in tests}
    for test, said in failures.items():
        if said:  # what it says of faults says nothing
            print(f"set aside {test}: it fails without any fault ({said})", flush=True)
    for mutant in chosen:
        began = time.time()
        result = attempt(mutant, [test for test in mutant.tests if not failures[test]])
        counts[result] += 1
        print(f"{result:9} {mutant.file}: {mutant.name} ({time.time() - began:.0f} s)", flush=True)
    told = ", ".join(f"{count} {result}" for result, count in counts.items())
    print(f"mutants: {sum(counts.values())}, {told} ({time.time() - start:.0f} s)")
    return sum(counts.values()) - counts["killed"]


if __name__ == "__main__":
    sys.exit(1 if main(sys.argv[1:]) else 0)
