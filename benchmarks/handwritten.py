"""A careful hand-written NumPy LSTM: forward and backward, what a specialist would write.

Input projections in one product before the loop, one recurrent product a step, σ through tanh with the ½ in
the packed weights, preallocated buffers, factors of the backward pass for all steps at once, weight gradients
in one product after the loop. Gates are packed as [input, forget, output, candidate].
"""

import numpy as np


class HandwrittenLSTM:
    """Forward plus all parameter gradients of Σ h ⊙ dh, for one size."""

    def __init__(self, time, batch, inputs, units, dtype=np.float32):
        self.sizes = time, batch, inputs, units

        def empty(*shape):
            return np.empty(shape, dtype)

        self.wx, self.wh, self.b = empty(inputs, 4 * units), empty(units, 4 * units), empty(4 * units)
        self.xw = empty(time, batch, 4 * units)
        self.gates = empty(time, batch, 4 * units)
        self.h, self.c = np.zeros((time + 1, batch, units), dtype), np.zeros((time + 1, batch, units), dtype)
        self.tc, self.dz = empty(time, batch, units), empty(time, batch, 4 * units)
        self.factors = empty(time, batch, 4 * units)
        self.through = empty(time, batch, units)
        self.z, self.s = empty(batch, 4 * units), empty(batch, units)
        self.dh, self.dc = empty(batch, units), empty(batch, units)
        n = units
        g = self.gates
        self.parts = [g[:, :, k * n : (k + 1) * n] for k in range(4)]
        rows = [self.xw, g, g[:, :, : 3 * n], *self.parts, self.h[:-1], self.h[1:], self.c[:-1], self.c[1:], self.tc]
        self.forward = list(zip(*map(list, rows), strict=True))
        d = [self.dz[:, :, k * n : (k + 1) * n] for k in range(4)]
        f = [self.factors[:, :, k * n : (k + 1) * n] for k in range(4)]
        self.f = f
        self.back = [*map(list, [self.dz, *d, *f, self.parts[1], self.through])]

    def outputs(self, x, weights_x, weights_h, bias):
        """h at every step; `weights_*` have the columns input, forget, output, candidate."""
        n = self.sizes[3]
        np.copyto(self.wx, weights_x)
        np.copyto(self.wh, weights_h)
        np.copyto(self.b, bias)
        for w in (self.wx[:, : 3 * n], self.wh[:, : 3 * n], self.b[: 3 * n]):
            np.multiply(w, 0.5, out=w)
        np.matmul(x.reshape(-1, x.shape[-1]), self.wx, out=self.xw.reshape(-1, 4 * n))
        np.add(self.xw, self.b, out=self.xw)
        z, s, wh = self.z, self.s, self.wh
        for xw, g, sig, i, f, o, a, h0, h1, c0, c1, tc in self.forward:
            np.matmul(h0, wh, out=z)
            np.add(z, xw, out=z)
            np.tanh(z, out=g)
            np.multiply(sig, 0.5, out=sig)
            np.add(sig, 0.5, out=sig)
            np.multiply(f, c0, out=c1)
            np.multiply(i, a, out=s)
            np.add(c1, s, out=c1)
            np.tanh(c1, out=tc)
            np.multiply(o, tc, out=h1)
        return self.h[1:]

    def gradients(self, x, weights_x, weights_h, bias, dh_all):
        """Gradients of the weights."""
        n, s = self.sizes[3], self.s
        self.outputs(x, weights_x, weights_h, bias)
        i, f, o, a = self.parts
        tc, (fi, ff, fo, fa), through = self.tc, self.f, self.through
        np.multiply(tc, tc, out=through)
        np.subtract(1.0, through, out=through)
        np.multiply(through, o, out=through)
        for factor, gate, other in ((fi, i, a), (ff, f, self.c[:-1]), (fo, o, tc)):
            np.subtract(1.0, gate, out=factor)
            np.multiply(factor, gate, out=factor)
            np.multiply(factor, other, out=factor)
        np.multiply(a, a, out=fa)
        np.subtract(1.0, fa, out=fa)
        np.multiply(fa, i, out=fa)
        dh, dc, wht = self.dh, self.dc, np.ascontiguousarray(weights_h.T)
        dh[...] = 0
        dc[...] = 0
        back = zip(list(dh_all), *self.back, strict=True)
        for dy, dz, di, df, do, da, ki, kf, ko, ka, f, k in list(back)[::-1]:
            np.add(dh, dy, out=dh)
            np.multiply(dh, k, out=s)
            np.add(dc, s, out=dc)
            np.multiply(dh, ko, out=do)
            np.multiply(dc, ki, out=di)
            np.multiply(dc, kf, out=df)
            np.multiply(dc, ka, out=da)
            np.multiply(dc, f, out=dc)
            np.matmul(dz, wht, out=dh)
        flat = self.dz.reshape(-1, 4 * n)
        gx = x.reshape(-1, x.shape[-1]).T @ flat
        gh = self.h[:-1].reshape(-1, n).T @ flat
        return {"x": gx, "h": gh, "b": flat.sum(0)}
