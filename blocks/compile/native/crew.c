/* The threads that compute together: one worker for each further core, kept between calls.

   A worker waits a little for the next call, then sleeps. A call that finds the workers at work for another thread runs
   alone. A worker that wakes on the processor of another thread of its call moves to a free one: Linux may leave both
   where the caller is. After a call that stood still because other processes needed the processors, calls run alone for
   four times as long as it lost: threads that wait for one that stands still are slower than one. Numbers too small for
   their type count as 0 for the time of a call: they would take a hundred times as long. */
#ifdef __linux__
#define _GNU_SOURCE /* sched_getcpu */
#endif
#include <pthread.h>
#include <time.h>

#include "blocks.h"

typedef int task(void *const *at, const int64_t *n, int part, int parts, crew *all);

#define MOST 64       /* workers */
#define WAITING 20000 /* looks for the next call before a worker sleeps */
#define CROWDED 4     /* a call has lost too much if it is more than its time divided by this */

static pthread_mutex_t busy = PTHREAD_MUTEX_INITIALIZER, door = PTHREAD_MUTEX_INITIALIZER;
static pthread_cond_t bell = PTHREAD_COND_INITIALIZER;
static int workers, asleep, finished, failed;
int64_t away = 4;          /* for so many times what was lost, calls run alone */
static int64_t lost;       /* nanoseconds in which the threads of the call at hand stood still */
static int64_t alone_till; /* when calls have several threads again */
static int64_t call;       /* the number of the call at hand, and behind it how many parts it has */
static struct {
    int number;
    int64_t seen;
} born[MOST];
#define PARTS(call) ((int)((call) & 255))
static task *what;
static void *const *given;
static const int64_t *sizes;
static crew all;

#if defined(__x86_64__)
#include <xmmintrin.h>
typedef unsigned control;
static control flush(void) {
    const control before = _mm_getcsr();
    _mm_setcsr(before | 0x8040);
    return before;
}
static void restore(control before) { _mm_setcsr(before); }
#elif defined(__aarch64__)
typedef uint64_t control;
static control flush(void) {
    control before;
    __asm__ volatile("mrs %0, fpcr" : "=r"(before));
    __asm__ volatile("msr fpcr, %0" : : "r"(before | (1ul << 24)));
    return before;
}
static void restore(control before) { __asm__ volatile("msr fpcr, %0" : : "r"(before)); }
#else
typedef int control;
static control flush(void) { return 0; }
static void restore(control before) { (void)before; }
#endif

static int64_t nanoseconds(clockid_t clock) {
    struct timespec now;
    clock_gettime(clock, &now);
    return (int64_t)now.tv_sec * 1000000000 + now.tv_nsec;
}

/* how long this thread has not been on a processor, from some time on */
static int64_t still(void) { return nanoseconds(CLOCK_MONOTONIC) - nanoseconds(CLOCK_THREAD_CPUTIME_ID); }

static int compute(task *t, void *const *at, const int64_t *n, int part, int parts, crew *together) {
    const control before = flush();
    const int refused = t(at, n, part, parts, together);
    restore(before);
    return refused;
}

#ifdef __linux__
#define BITS 64
static uint64_t taken[CPU_SETSIZE / BITS]; /* processors of the threads of the call at hand */

/* whether this thread is the first of the call on its processor */
static int take(void) {
    const int cpu = sched_getcpu();
    if (cpu < 0 || cpu >= CPU_SETSIZE) return 1;
    const uint64_t mine = UINT64_C(1) << cpu % BITS;
    return !(__atomic_fetch_or(&taken[cpu / BITS], mine, __ATOMIC_ACQ_REL) & mine);
}

/* move to a processor that no thread of the call has taken, if this one's is */
static void spread(void) {
    cpu_set_t allowed, others;
    if (take() || sched_getaffinity(0, sizeof allowed, &allowed)) return;
    others = allowed;
    for (int cpu = 0; cpu < CPU_SETSIZE; cpu++)
        if (__atomic_load_n(&taken[cpu / BITS], __ATOMIC_ACQUIRE) >> cpu % BITS & 1) CPU_CLR(cpu, &others);
    if (!CPU_COUNT(&others) || sched_setaffinity(0, sizeof others, &others)) return;
    take();
    sched_setaffinity(0, sizeof allowed, &allowed);
}

static void settle(void) {
    memset(taken, 0, sizeof taken);
    take();
}
#else
static void spread(void) {}
static void settle(void) {}
#endif

static void *worker(void *birth) {
    const int mine = born[(intptr_t)birth].number;
    int64_t seen = born[(intptr_t)birth].seen, now;
    for (;;) {
        int patience = WAITING;
        while ((now = __atomic_load_n(&call, __ATOMIC_ACQUIRE)) == seen && patience > 0) rest(&patience);
        if (now == seen) {
            pthread_mutex_lock(&door);
            asleep++;
            while ((now = __atomic_load_n(&call, __ATOMIC_ACQUIRE)) == seen) pthread_cond_wait(&bell, &door);
            asleep--;
            pthread_mutex_unlock(&door);
        }
        seen = now;
        if (mine < PARTS(now)) {
            spread();
            const int64_t before = still();
            if (compute(what, given, sizes, mine, PARTS(now), &all)) __atomic_store_n(&failed, 1, __ATOMIC_RELAXED);
            __atomic_add_fetch(&lost, still() - before, __ATOMIC_RELAXED);
            __atomic_add_fetch(&finished, 1, __ATOMIC_RELEASE);
        }
    }
    return NULL;
}

/* a call in so many parts; gives 0, or another number where an operation refused a value */
int work(task *t, void *const *at, const int64_t *n, int parts) {
    if (parts < 2) return compute(t, at, n, 0, 1, NULL);
    const int64_t began = nanoseconds(CLOCK_MONOTONIC);
    if (began < __atomic_load_n(&alone_till, __ATOMIC_RELAXED) || pthread_mutex_trylock(&busy))
        return compute(t, at, n, 0, 1, NULL);
    settle();
    while (workers < parts - 1 && workers < MOST) {
        pthread_t thread;
        born[workers].number = workers + 1, born[workers].seen = call;
        if (pthread_create(&thread, NULL, worker, (void *)(intptr_t)workers)) break;
        pthread_detach(thread);
        workers++;
    }
    what = t, given = at, sizes = n, finished = failed = 0, lost = 0;
    all.parts = workers + 1 < parts ? workers + 1 : parts;
    pthread_mutex_lock(&door);
    __atomic_store_n(&call, ((call >> 8) + 1) << 8 | all.parts, __ATOMIC_RELEASE);
    if (asleep) pthread_cond_broadcast(&bell);
    pthread_mutex_unlock(&door);
    const int64_t before = still();
    int refused = compute(t, at, n, 0, all.parts, all.parts > 1 ? &all : NULL);
    int patience = 4000;
    while (__atomic_load_n(&finished, __ATOMIC_ACQUIRE) < all.parts - 1) rest(&patience);
    refused |= failed;
    const int64_t ended = nanoseconds(CLOCK_MONOTONIC);
    lost += still() - before;
    if (lost * CROWDED > ended - began) __atomic_store_n(&alone_till, ended + away * lost, __ATOMIC_RELAXED);
    pthread_mutex_unlock(&busy);
    return refused;
}

/* after a fork the workers are gone */
void forget(void) {
    workers = asleep = 0;
    call = 0, all.arrived = 0, alone_till = 0;
    pthread_mutex_init(&busy, NULL);
    pthread_mutex_init(&door, NULL);
    pthread_cond_init(&bell, NULL);
}
