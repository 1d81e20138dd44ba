"""What is exported, beside PyTorch's own layer: time of an LSTM forwards, over that of `nn.LSTM`.

    python -m benchmarks.exported
    python -m benchmarks.exported --size 100 32 128 256 --threads 2

In one run and in turns (`benchmarks.turns`): the model here, compiled; its `to_torch`, with a loop and with the fused
operator; its `to_onnx` in onnxruntime, with a `Scan` and with the fused operator. All give the same numbers, which is
checked first. Times are those of the processor with one thread, else of the clock. PyTorch, onnx and onnxruntime are
needed.
"""

import argparse
import statistics
import time

import numpy as np

import blocks as bk
from benchmarks.turns import Others, positive, ratio, rounds

SIZES = ((100, 1, 16, 16), (100, 32, 64, 128))  # steps, batch, inputs, units
LAYER = "nn.LSTM"


def contestants(steps, batch, inputs, units, threads):
    """Name → a call that gives y ``(batch, steps, units)``, of the same weights and inputs."""
    import onnxruntime
    import torch

    torch.set_num_threads(threads)
    layer = torch.nn.LSTM(inputs, units, batch_first=True).eval()
    model = bk.from_torch(layer)
    x = np.random.default_rng(0).standard_normal((batch, steps, inputs)).astype(np.float32)
    given = torch.from_numpy(x)

    def of_torch(module):
        def call():
            with torch.no_grad():
                found = module(given)
            return (found[0] if isinstance(found, tuple) else found).numpy()

        return call

    def of_onnx(fused):
        options = onnxruntime.SessionOptions()
        options.intra_op_num_threads, options.log_severity_level = threads, 3
        file = bk.to_onnx(model, fused=fused).SerializeToString()
        session = onnxruntime.InferenceSession(file, options, providers=["CPUExecutionProvider"])
        return lambda: session.run(["y"], {"x": x})[0]

    return {
        LAYER: of_torch(layer),
        "blocks": lambda: model.predict({"x": x}),
        "to_torch": of_torch(bk.to_torch(model)),
        "to_torch, fused": of_torch(bk.to_torch(model, fused=True)),
        "to_onnx, Scan": of_onnx(False),
        "to_onnx, LSTM": of_onnx(True),
    }


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument(
        "--size", type=positive, nargs=4, action="append", metavar=("STEPS", "BATCH", "INPUTS", "UNITS")
    )
    parser.add_argument("--threads", type=positive, default=1)
    parser.add_argument("--rounds", type=positive, default=5)
    options = parser.parse_args()
    print("| steps, batch, inputs, units | nn.LSTM, ms | blocks | to_torch | fused | onnxruntime, Scan | LSTM |")
    print("|---|---|---|---|---|---|---|")
    others = Others()
    for size in options.size or SIZES:
        calls = contestants(*size, options.threads)
        want = calls[LAYER]()
        for name, call in calls.items():
            np.testing.assert_allclose(call(), want, atol=1e-4, err_msg=name)
        clock = time.process_time if options.threads == 1 else time.perf_counter
        times = rounds(calls, options.rounds, clock)
        own = 1000 * statistics.median(times[LAYER])
        ratios = [f"{ratio(times[name], times[LAYER]):.2f}" for name in calls if name != LAYER]
        print(f"| {', '.join(map(str, size))} | {own:.2f} | {' | '.join(ratios)} |", flush=True)
    busy = others.busy()
    if busy is not None:
        print(f"\nother processes kept {busy:.1f} processors busy")


if __name__ == "__main__":
    main()
