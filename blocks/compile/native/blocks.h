/* What programs in C stand on: numbers, functions of one number, products of matrices.

   Compiled with the program into one library. REAL says how many bits a number has. Every sum has one order, whatever
   the processor's vectors and however many threads there are, so the same build gives the same bits. */
#ifndef BLOCKS_H
#define BLOCKS_H

#include <math.h>
#include <sched.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#ifndef REAL
#define REAL 32
#endif

typedef ptrdiff_t num;
typedef uint8_t flag;
#if REAL == 64
typedef double real;
typedef int64_t bits;
#define SIGN INT64_MIN
#define MANTISSA 52
#define BIAS 1023
#define TINY 0x1p-1022
#define LOG2_HIGH 0x1.62e42fefa0000p-1
#define LOG2_LOW 0x1.cf79abc9e3b39p-40
#define LARGEST_EXPONENT 710.0
#define SMALLEST_EXPONENT (-746.0)
#define LEAST_EXPONENT (-708.0)
#define TANH_IS_ONE 20.0
#else
typedef float real;
typedef int32_t bits;
#define SIGN INT32_MIN
#define MANTISSA 23
#define BIAS 127
#define TINY 0x1p-126
#define LOG2_HIGH 0x1.62e400p-1
#define LOG2_LOW 0x1.7f7d1cp-20
#define LARGEST_EXPONENT 89.0
#define SMALLEST_EXPONENT (-104.0)
#define LEAST_EXPONENT (-87.0)
#define TANH_IS_ONE 10.0
#endif
#define R(x) ((real)(x))
#define INLINE static inline __attribute__((always_inline))
#define MAYBE __attribute__((unused))

#ifdef __clang__
#define EACH _Pragma("clang loop vectorize(assume_safety)") for
#define UNROLLED _Pragma("clang loop unroll(full)") for
#else
#define EACH _Pragma("GCC ivdep") for
#define UNROLLED _Pragma("GCC unroll 16") for
#endif

/* --- functions of one number: no branches, so that loops over them become vectors ------------------------------ */

#if !(defined(__FMA__) || defined(__ARM_FEATURE_FMA) || defined(__FP_FAST_FMAF))
#define FMA1(a, b, c) ((a) * (b) + (c))
#elif REAL == 64
#define FMA1(a, b, c) __builtin_fma(a, b, c)
#else
#define FMA1(a, b, c) __builtin_fmaf(a, b, c)
#endif

INLINE bits bits_of(real x) {
    bits b;
    memcpy(&b, &x, sizeof b);
    return b;
}

INLINE real of_bits(bits b) {
    real x;
    memcpy(&x, &b, sizeof x);
    return x;
}

INLINE real power_of_two(bits n) { return of_bits((n + BIAS) << MANTISSA); }

INLINE real abs_(real x) { return of_bits(bits_of(x) & ~SIGN); }
INLINE real max_(real a, real b) { return a > b || a != a ? a : b; } /* NaN stays, as in NumPy */
INLINE real min_(real a, real b) { return a < b || a != a ? a : b; }
INLINE real sign_(real x) { return x > 0 ? R(1) : x < 0 ? R(-1) : x != x ? x : R(0); }
INLINE real like_(real size, real x) { return of_bits(bits_of(size) | (bits_of(x) & SIGN)); } /* with the sign of x */
#if REAL == 64
INLINE real sqrt_(real x) { return __builtin_sqrt(x); }
INLINE real pow_(real x, real p) { return __builtin_pow(x, p); }
INLINE real sin_(real x) { return __builtin_sin(x); }
INLINE real cos_(real x) { return __builtin_cos(x); }
INLINE real floor_(real x) { return __builtin_floor(x); }
INLINE real round_(real x) { return __builtin_rint(x); } /* of two the even one */
INLINE real fmod_(real a, real b) { return __builtin_fmod(a, b); }
#else
INLINE real sqrt_(real x) { return __builtin_sqrtf(x); }
INLINE real pow_(real x, real p) { return __builtin_powf(x, p); }
INLINE real sin_(real x) { return __builtin_sinf(x); }
INLINE real cos_(real x) { return __builtin_cosf(x); }
INLINE real floor_(real x) { return __builtin_floorf(x); }
INLINE real round_(real x) { return __builtin_rintf(x); }
INLINE real fmod_(real a, real b) { return __builtin_fmodf(a, b); }
#endif

/* a - b floor(a / b), of the sign of b, and floor(a / b), so that both agree to the last bit; as in NumPy */
INLINE real mod_(real a, real b) {
    const real m = fmod_(a, b);
    return m == 0 ? like_(R(0), b) : (m < 0) != (b < 0) ? m + b : m;
}

INLINE real floor_divide_(real a, real b) {
    const real m = fmod_(a, b), exact = (a - m) / b;
    const real d = m != 0 && (m < 0) != (b < 0) ? exact - R(1) : exact, down = floor_(d);
    return b == 0 ? a / b : d == 0 ? like_(R(0), a / b) : d - down > R(0.5) ? down + R(1) : down;
}

/* of integers, 0 where b is 0 */
INLINE int64_t mod_int(int64_t a, int64_t b) {
    if (b == 0 || b == -1) return 0;
    const int64_t m = a % b;
    return m != 0 && (m < 0) != (b < 0) ? m + b : m;
}

INLINE int64_t floor_divide_int(int64_t a, int64_t b) {
    if (b == 0) return 0;
    if (b == -1) return (int64_t)(0 - (uint64_t)a);
    return a / b - (a % b != 0 && (a < 0) != (b < 0));
}

/* x = n ln 2 + r; gives r, and n in *n */
INLINE real reduced(real x, bits *n) {
    const real magic = R(3) * R((int64_t)1 << (MANTISSA - 1));
    const real t = FMA1(x, R(1.4426950408889634), magic);
    *n = bits_of(t) - bits_of(magic);
    const real whole = t - magic;
    return FMA1(whole, R(-LOG2_LOW), FMA1(whole, R(-LOG2_HIGH), x));
}

/* (e^r - 1 - r) / r^2 for |r| <= ln 2 / 2: Taylor's series */
INLINE real exp_tail(real r) {
#if REAL == 64
    real p = R(1.0 / 6227020800);
    p = FMA1(p, r, R(1.0 / 479001600));
    p = FMA1(p, r, R(1.0 / 39916800));
    p = FMA1(p, r, R(1.0 / 3628800));
    p = FMA1(p, r, R(1.0 / 362880));
    p = FMA1(p, r, R(1.0 / 40320));
    p = FMA1(p, r, R(1.0 / 5040));
#else
    real p = R(1.0 / 5040);
#endif
    p = FMA1(p, r, R(1.0 / 720));
    p = FMA1(p, r, R(1.0 / 120));
    p = FMA1(p, r, R(1.0 / 24));
    p = FMA1(p, r, R(1.0 / 6));
    return FMA1(p, r, R(0.5));
}

INLINE real exp_(real x) {
    bits n;
    x = x > R(LARGEST_EXPONENT) ? R(LARGEST_EXPONENT) : x;
    x = x < R(SMALLEST_EXPONENT) ? R(SMALLEST_EXPONENT) : x;
    const real r = reduced(x, &n);
    const real e = FMA1(r * r, exp_tail(r), r) + R(1);
    bits most = n > BIAS ? BIAS : n;
    most = most < 1 - BIAS ? 1 - BIAS : most; /* the rest makes infinity, or numbers below the smallest normal one */
    return e * power_of_two(most) * power_of_two(n - most);
}

INLINE real expm1_(real x) {
    bits n;
    const real low = x < -R(MANTISSA) ? -R(MANTISSA) : x > R(1) ? R(1) : x;
    const real r = reduced(low, &n), s = power_of_two(n);
    return x > R(1) ? exp_(x) - R(1) : FMA1(s, FMA1(r * r, exp_tail(r), r), s - R(1));
}

/* (e^2x - 1) / (e^2x + 1), of |x| */
INLINE real tanh_(real x) {
    bits n;
    real y = abs_(x);
    y = y > R(TANH_IS_ONE) ? R(TANH_IS_ONE) : y;
    const real r = reduced(y + y, &n), s = power_of_two(n);
    const real less = FMA1(s, FMA1(r * r, exp_tail(r), r), s - R(1)); /* e^2x - 1 */
    return like_(less / (less + R(2)), x);
}

/* 1 / (1 + e^-x): a power of two beyond the largest number is infinity, so that 0 is reached; NaN stays */
INLINE real sigm_(real x) {
    bits n;
    const real y = -x > R(LARGEST_EXPONENT) ? R(LARGEST_EXPONENT) : -x < R(LEAST_EXPONENT) ? R(LEAST_EXPONENT) : -x;
    const real r = reduced(y, &n), s = power_of_two(n);
    return R(1) / FMA1(s, FMA1(r * r, exp_tail(r), r) + R(1), R(1));
}

/* 2 artanh s = ln((1 + s) / (1 - s)) for |s| <= 1/3 */
INLINE real twice_artanh(real s) {
    const real q = s * s;
#if REAL == 64
    real p = R(1.0 / 33);
    p = FMA1(p, q, R(1.0 / 31));
    p = FMA1(p, q, R(1.0 / 29));
    p = FMA1(p, q, R(1.0 / 27));
    p = FMA1(p, q, R(1.0 / 25));
    p = FMA1(p, q, R(1.0 / 23));
    p = FMA1(p, q, R(1.0 / 21));
    p = FMA1(p, q, R(1.0 / 19));
    p = FMA1(p, q, R(1.0 / 17));
#else
    real p = R(1.0 / 17);
#endif
    p = FMA1(p, q, R(1.0 / 15));
    p = FMA1(p, q, R(1.0 / 13));
    p = FMA1(p, q, R(1.0 / 11));
    p = FMA1(p, q, R(1.0 / 9));
    p = FMA1(p, q, R(1.0 / 7));
    p = FMA1(p, q, R(1.0 / 5));
    p = FMA1(p, q, R(1.0 / 3));
    return FMA1((s + s) * q, p, s + s);
}

INLINE real log_(real x) {
    const int low = x < R(TINY);
    const real scaled = low ? x * R((int64_t)1 << MANTISSA) : x;
    const bits half = bits_of(R(0.70710678118654752440));
    const bits n = (bits_of(scaled) - half) >> MANTISSA;
    const real m = of_bits(bits_of(scaled) - n * ((bits)1 << MANTISSA)) - R(1); /* from sqrt(1/2) - 1 to sqrt(2) - 1 */
    const real whole = (real)n - (low ? R(MANTISSA) : R(0));
    const real y = FMA1(whole, R(LOG2_HIGH), FMA1(whole, R(LOG2_LOW), twice_artanh(m / (m + R(2)))));
    return x > 0 ? (x > R(sizeof(real) == 8 ? 1.7976931348623157e308 : 3.4028234663852886e38) ? x : y)
                 : (x == 0 ? -R(INFINITY) : R(NAN));
}

INLINE real softplus_(real x) {
    const real e = exp_(-abs_(x));
    return max_(x, R(0)) + twice_artanh(e / (e + R(2)));
}

/* --- sums, in eight parts and in double precision --------------------------------------------------------------- */

INLINE double sum_of(const real *x, num step, num n) {
    double part[8] = {0};
    num i = 0;
    for (; i + 8 <= n; i += 8)
        for (int k = 0; k < 8; k++) part[k] += (double)x[(i + k) * step];
    for (; i < n; i++) part[i & 7] += (double)x[i * step];
    return ((part[0] + part[4]) + (part[2] + part[6])) + ((part[1] + part[5]) + (part[3] + part[7]));
}

/* the sum of parts of a sum, which are used up */
INLINE double sum_of_lanes(double *part, num n) {
    for (num half; n > 1; n = half) {
        half = (n + 1) / 2;
        EACH (num k = 0; k < n - half; k++) part[k] += part[k + half];
    }
    return part[0];
}

INLINE real max_of(const real *x, num step, num n) {
    real part[16];
    num i = 1;
    part[0] = x[0];
    if (n >= 32) {
        for (int k = 1; k < 16; k++) part[k] = x[0];
        for (i = 0; i + 16 <= n; i += 16)
            for (int k = 0; k < 16; k++) part[k] = max_(part[k], x[(i + k) * step]);
        for (int half = 8; half; half /= 2)
            for (int k = 0; k < half; k++) part[k] = max_(part[k], part[k + half]);
    }
    for (; i < n; i++) part[0] = max_(part[0], x[i * step]);
    return part[0];
}

#define SOME 64 /* numbers of a row at a time */

/* e^(x - top) of at most SOME numbers, and their sum; where little is over, one by one, else with e^-inf for the rest */
INLINE double exps(const real *x, num step, num n, real top, real *e) {
    const num whole = n % 16 < 8 ? n : (n + 15) / 16 * 16;
    EACH (num k = 0; k < n; k++) e[k] = x[k * step] - top;
    for (num k = n; k < whole; k++) e[k] = -R(INFINITY);
    EACH (num k = 0; k < whole; k++) e[k] = exp_(e[k]);
    return sum_of(e, 1, whole);
}

/* --- along one axis --------------------------------------------------------------------------------------------- */

MAYBE static void softmax(const real *x, num xs, real *y, num ys, num n) {
    const real top = max_of(x, xs, n);
    double total = 0;
    real e[SOME];
    for (num i = 0; i < n; i += SOME) {
        const num count = n - i < SOME ? n - i : SOME;
        total += exps(x + i * xs, xs, count, top, e);
        EACH (num k = 0; k < count; k++) y[(i + k) * ys] = e[k];
    }
    const real all = R(total);
    EACH (num i = 0; i < n; i++) y[i * ys] /= all;
}

/* ln of the sum of e^x, less the largest x, which goes to *top */
INLINE real log_sum(const real *x, num xs, num n, real *top) {
    double all = 0;
    real e[SOME];
    *top = max_of(x, xs, n);
    for (num i = 0; i < n; i += SOME) all += exps(x + i * xs, xs, n - i < SOME ? n - i : SOME, *top, e);
    return log_(R(all));
}

MAYBE static void log_softmax(const real *x, num xs, real *y, num ys, num n) {
    real top;
    const real all = log_sum(x, xs, n, &top);
    EACH (num i = 0; i < n; i++) y[i * ys] = (x[i * xs] - top) - all;
}

MAYBE static real cross_entropy_of_class(const real *x, num xs, num n, int64_t class) {
    real top;
    const real all = log_sum(x, xs, n, &top);
    return all + top - x[class * xs];
}

MAYBE static real cross_entropy_of_shares(const real *x, num xs, num n, const real *share, num ss) {
    real top;
    const real all = log_sum(x, xs, n, &top) + top;
    double total = 0;
    real some[SOME];
    for (num i = 0; i < n; i += SOME) {
        const num count = n - i < SOME ? n - i : SOME;
        EACH (num k = 0; k < count; k++) some[k] = share[(i + k) * ss] * (all - x[(i + k) * xs]);
        total += sum_of(some, 1, count);
    }
    return R(total);
}

/* The step and the sequence whose value each step has: its own, if it is admitted; else the last admitted one before,
   or the first; of a sequence without any, those of the first sequence that has one. Gives 0 if all have their own. */
MAYBE static int held(const real *mask, num ms, num mb, num steps, num batch, int64_t *step, int64_t *row) {
    num some = -1, left_out = 0;
    for (num b = batch - 1; b >= 0; b--) {
        num first = -1, last;
        for (num t = steps - 1; t >= 0; t--) {
            if (mask[t * ms + b * mb] != 0) first = t;
            else left_out = 1;
        }
        if (first >= 0) some = b;
        last = first < 0 ? 0 : first;
        for (num t = 0; t < steps; t++) {
            if (mask[t * ms + b * mb] != 0) last = t;
            step[t * batch + b] = last;
            row[t * batch + b] = first < 0 ? -1 : b;
        }
    }
    for (num i = 0; i < steps * batch; i++) {
        const num t = i / batch, b = i % batch;
        if (some < 0 || !left_out) step[i] = t, row[i] = b;
        else if (row[i] < 0) step[i] = step[t * batch + some], row[i] = some;
    }
    return some >= 0 && left_out;
}

/* --- threads ---------------------------------------------------------------------------------------------------- */

/* where the rows of a part begin, of so many rows */
INLINE num share(num rows, num part, num parts) { return rows * part / parts; }

/* Those that compute one call together, and the place where they wait for each other. */
typedef struct {
    int parts;
    int arrived __attribute__((aligned(64)));
    int turn __attribute__((aligned(64)));
} crew;

INLINE void rest(int *patience) {
#if defined(__x86_64__) || defined(__i386__)
    __builtin_ia32_pause();
#endif
    if (--*patience < 0) sched_yield();
}

MAYBE static void meet(crew *all) {
    if (!all) return;
    int patience = 4000;
    const int turn = __atomic_load_n(&all->turn, __ATOMIC_ACQUIRE);
    if (__atomic_add_fetch(&all->arrived, 1, __ATOMIC_ACQ_REL) == all->parts) {
        __atomic_store_n(&all->arrived, 0, __ATOMIC_RELAXED);
        __atomic_store_n(&all->turn, turn + 1, __ATOMIC_RELEASE);
    } else
        while (__atomic_load_n(&all->turn, __ATOMIC_ACQUIRE) == turn) rest(&patience);
}

/* --- products --------------------------------------------------------------------------------------------------- */

#if defined(__AVX512F__)
#include <immintrin.h>
#define BYTES 64
#define ROWS 12
#if REAL == 64
#define FMA(a, b, c) ((vec)_mm512_fmadd_pd((__m512d)(a), (__m512d)(b), (__m512d)(c)))
#else
#define FMA(a, b, c) ((vec)_mm512_fmadd_ps((__m512)(a), (__m512)(b), (__m512)(c)))
#endif
#elif defined(__AVX__) && defined(__FMA__)
#include <immintrin.h>
#define BYTES 32
#define ROWS 6
#if REAL == 64
#define FMA(a, b, c) ((vec)_mm256_fmadd_pd((__m256d)(a), (__m256d)(b), (__m256d)(c)))
#else
#define FMA(a, b, c) ((vec)_mm256_fmadd_ps((__m256)(a), (__m256)(b), (__m256)(c)))
#endif
#elif defined(__ARM_NEON) && defined(__aarch64__)
#include <arm_neon.h>
#define BYTES 16
#define ROWS 8
#if REAL == 64
#define FMA(a, b, c) ((vec)vfmaq_f64((float64x2_t)(c), (float64x2_t)(a), (float64x2_t)(b)))
#else
#define FMA(a, b, c) ((vec)vfmaq_f32((float32x4_t)(c), (float32x4_t)(a), (float32x4_t)(b)))
#endif
#else
#define BYTES 16
#define ROWS 4
#define FMA(a, b, c) ((a) * (b) + (c))
#endif
typedef real vec __attribute__((vector_size(BYTES), aligned(sizeof(real)), may_alias));
#define WIDTH ((num)(BYTES / sizeof(real))) /* numbers in a vector */
#define PANEL (2 * WIDTH)                     /* columns of a packed matrix that stand together */
#define DEPTH 192                             /* rows of a matrix that are packed at once */
#define LINE 64                              /* bytes that a processor fetches at once */
#define AHEAD 24                              /* rows of a matrix that are fetched before they are packed */
#define TALL 192                              /* rows and columns of a product from which its left side is packed too */

/* `rows` rows of a times a panel of one or two vectors: at most `width` columns of c. `more`: added to c */
INLINE void tile(int rows, int vecs, const real *a, num a_row, num a_col, const real *b, num b_row, real *c, num c_row,
                 num depth, num width, int more) {
    vec sum[ROWS][2];
    const int whole = width == vecs * WIDTH;
    real part[2 * BYTES / sizeof(real)];
    UNROLLED (int i = 0; i < rows; i++) {
        const real *from = c + i * c_row;
        if (more && !whole) from = memcpy(part, from, (size_t)width * sizeof(real));
        UNROLLED (int v = 0; v < vecs; v++) sum[i][v] = more ? *(const vec *)(from + v * WIDTH) : (vec){0};
    }
    for (num k = 0; k < depth; k++) {
        UNROLLED (int i = 0; i < rows; i++)
            UNROLLED (int v = 0; v < vecs; v++)
                sum[i][v] = FMA(a[i * a_row + k * a_col] - (vec){0}, *(const vec *)(b + k * b_row + v * WIDTH), sum[i][v]);
    }
    UNROLLED (int i = 0; i < rows; i++) {
        UNROLLED (int v = 0; v < vecs; v++) *(vec *)((whole ? c + i * c_row : part) + v * WIDTH) = sum[i][v];
        if (!whole) memcpy(c + i * c_row, part, (size_t)width * sizeof(real));
    }
}

INLINE void tiles(int vecs, const real *a, num a_row, num a_col, const real *b, real *c, num c_row, num rows,
                  num depth, num width, int more) {
    num i = 0;
#define TILES(n) \
    for (; i + (n) <= rows; i += (n)) \
        tile(n, vecs, a + i * a_row, a_row, a_col, b, vecs * WIDTH, c + i * c_row, c_row, depth, width, more);
    TILES(ROWS)
#if ROWS > 8
    TILES(8)
#endif
#if ROWS > 4
    TILES(4)
#endif
    TILES(2)
    TILES(1)
#undef TILES
}

/* all rows of a times one packed panel */
static __attribute__((noinline)) void panel(const real *a, num a_row, num a_col, const real *b, real *c, num c_row,
                                            num rows, num depth, num width, int more) {
    if (width > WIDTH) tiles(2, a, a_row, a_col, b, c, c_row, rows, depth, width, more);
    else tiles(1, a, a_row, a_col, b, c, c_row, rows, depth, width, more);
}

/* columns of b side by side as a panel: one or two vectors wide, filled up with zeros */
static void pack_panel(const real *b, num b_row, num b_col, num depth, num width, real *packed) {
    const num wide = width > WIDTH ? PANEL : WIDTH;
    for (num k = 0; k < depth; k++) {
        const real *row = b + k * b_row;
        for (num j = 0; j < wide; j += LINE / (num)sizeof(real)) __builtin_prefetch(row + AHEAD * b_row + j);
        if (b_col == 1 && width == wide)
            for (num j = 0; j < wide; j += WIDTH) *(vec *)(packed + k * wide + j) = *(const vec *)(row + j);
        else
            for (num j = 0; j < wide; j++) packed[k * wide + j] = j < width ? row[j * b_col] : R(0);
    }
}

INLINE num least(num a, num b) { return a < b ? a : b; }

/* where the columns of a part begin, in whole panels */
INLINE num panels(num columns, num part, num parts) {
    return least(columns, share((columns + PANEL - 1) / PANEL, part, parts) * PANEL);
}

/* the columns of a matrix from `first` to `last` in panels, for `product` */
MAYBE static void pack(const real *b, num b_row, num b_col, num depth, num first, num last, real *packed) {
    for (num j = first; j < last; j += PANEL)
        pack_panel(b + j * b_col, b_row, b_col, depth, least(last - j, PANEL), packed + j * depth);
}

/* c = a b for a packed b */
MAYBE static void product(const real *a, num a_row, num a_col, const real *packed, real *c, num c_row, num rows,
                          num depth, num columns) {
    for (num j = 0; j < columns; j += PANEL)
        panel(a, a_row, a_col, packed + j * depth, c + j, c_row, rows, depth, least(columns - j, PANEL), 0);
}

/* The left side of a product, and where the result is. A tall one has memory of its own for both, by tiles of ROWS rows:
   columns of a tall matrix, and rows of a wide result, stand so far apart that they crowd each other out. */
typedef struct {
    const real *a;
    num row, col, rows;
    real *c;
    num c_row;
    void *memory;
    real *own; /* in it: DEPTH columns of its rows, then panel by panel of the result */
} side;

INLINE num whole(num n, num of) { return (n + of - 1) / of * of; }

/* give memory to a side that is tall and has so many columns to make, if there is any */
static void own(side *s, num depth, num columns) {
    const num count = whole(s->rows, ROWS) * (DEPTH + whole(columns, PANEL));
    const int is_tall = s->rows >= TALL && depth >= DEPTH && columns >= TALL && s->col != 1;
    s->memory = is_tall ? malloc((size_t)count * sizeof(real) + LINE) : NULL;
    s->own = s->memory ? (real *)whole((num)s->memory, LINE) : NULL;
}

/* rows of a tall side by tiles, each read in a row, of so many columns from the k-th on */
static void pack_rows(const side *s, num k, num deep) {
    for (num d = 0; d < deep; d++)
        for (num i = 0; i < s->rows; i += ROWS) {
            const real *from = s->a + i * s->row + (k + d) * s->col;
            real *to = s->own + i * deep + d * ROWS;
            if (s->row == 1 && i + ROWS <= s->rows) memcpy(to, from, ROWS * sizeof(real));
            else
                for (num r = 0; r < ROWS; r++) to[r] = i + r < s->rows ? from[r * s->row] : R(0);
        }
}

/* all rows of a tall side times one packed panel, the one from a column on */
static void tall_panel(const side *s, const real *packed, num column, num deep, num width, int more) {
    const num rows = whole(s->rows, ROWS);
    real *c = s->own + rows * (DEPTH + column);
    for (num i = 0; i < rows; i += ROWS)
        panel(s->own + i * deep, 1, ROWS, packed, c + i * PANEL, PANEL, ROWS, deep, width > WIDTH ? PANEL : WIDTH, more);
}

/* some columns of the result of a tall side from where it goes into its own memory, or back */
static void move_tall(const side *s, num first, num last, int back) {
    const num rows = whole(s->rows, ROWS);
    for (num i = 0; i < s->rows; i++)
        for (num j = first; j < last; j += PANEL) {
            real *mine = s->own + rows * (DEPTH + j - first) + i * PANEL, *there = s->c + i * s->c_row + j;
            memcpy(back ? there : mine, back ? mine : there, (size_t)least(last - j, PANEL) * sizeof(real));
        }
}

/* the sums of the columns of a panel */
static void add_columns(const real *packed, num depth, num width, real *sums, int more) {
    const num wide = width > WIDTH ? PANEL : WIDTH;
    double all[PANEL] = {0};
    for (num k = 0; k < depth; k++)
        EACH (num j = 0; j < wide; j++) all[j] += (double)packed[k * wide + j];
    for (num j = 0; j < width; j++) sums[j] = R(more ? (double)sums[j] + all[j] : all[j]);
}

/* c = a b, or with `more` c += a b, of which the columns from `first` to `last`; for each of several a. The sums of
   these columns of b go to `sums`, if that is somewhere. */
MAYBE static void multiply(side *left, int sides, const real *b, num b_row, num b_col, num depth, num first, num last,
                           int more, real *sums) {
    real packed[DEPTH * PANEL] __attribute__((aligned(LINE)));
    const side *end = left + sides;
    for (side *s = left; s < end; s++) {
        own(s, depth, last - first);
        if (s->own && more) move_tall(s, first, last, 0);
    }
    for (num k = 0; k < depth; k += DEPTH, more = 1) {
        const num deep = least(depth - k, DEPTH);
        for (side *s = left; s < end; s++)
            if (s->own) pack_rows(s, k, deep);
        for (num j = first; j < last; j += PANEL) {
            const num width = least(last - j, PANEL);
            pack_panel(b + k * b_row + j * b_col, b_row, b_col, deep, width, packed);
            for (side *s = left; s < end; s++)
                if (s->own) tall_panel(s, packed, j - first, deep, width, more);
                else panel(s->a + k * s->col, s->row, s->col, packed, s->c + j, s->c_row, s->rows, deep, width, more);
            if (sums) add_columns(packed, deep, width, sums + j, more);
        }
    }
    for (side *s = left; s < end; s++)
        if (s->own) move_tall(s, first, last, 1), free(s->memory);
}

/* the sum of the products of two rows */
static real dot(const real *a, const real *b, num n) {
    vec part = {0};
    num i = 0;
    real total = 0;
    for (; i + WIDTH <= n; i += WIDTH) part = FMA(*(const vec *)(a + i), *(const vec *)(b + i), part);
    for (; i < n; i++) total += a[i] * b[i];
    for (num half = WIDTH / 2; half; half /= 2)
        for (num k = 0; k < half; k++) part[k] += part[k + half];
    return total + part[0];
}

/* c = a b for one row a: of columns that stand side by side, or of columns whose numbers stand in a row */
MAYBE static void row_times(const real *a, num a_col, const real *b, num b_row, num b_col, real *c, num depth,
                            num columns) {
    if (b_col == 1)
        for (; columns >= PANEL; columns -= PANEL, b += PANEL, c += PANEL)
            tile(1, 2, a, 0, a_col, b, b_row, c, 0, depth, PANEL, 0);
    else if (b_row == 1 && a_col == 1 && depth >= WIDTH)
        for (; columns; columns--, b += b_col, c++) *c = dot(a, b, depth);
    if (columns) multiply(&(side){a, 0, a_col, 1, c, 0}, 1, b, b_row, b_col, depth, 0, columns, 0, NULL);
}

#endif
