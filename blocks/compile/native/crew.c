/* The threads that compute together: one worker for each further core, kept between calls.

   A worker waits a little for the next call, then sleeps. A call that finds the workers at work for another thread runs
   alone. Numbers too small for their type count as 0 for the time of a call: they would take a hundred times as long. */
#include <pthread.h>

#include "blocks.h"

typedef int task(void *const *at, const int64_t *n, int part, int parts, crew *all);

#define MOST 64       /* workers */
#define WAITING 20000 /* looks for the next call before a worker sleeps */

static pthread_mutex_t busy = PTHREAD_MUTEX_INITIALIZER, door = PTHREAD_MUTEX_INITIALIZER;
static pthread_cond_t bell = PTHREAD_COND_INITIALIZER;
static int workers, asleep, finished, failed;
static int64_t call; /* the number of the call at hand, and behind it how many parts it has */
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

static int compute(task *t, void *const *at, const int64_t *n, int part, int parts, crew *together) {
    const control before = flush();
    const int refused = t(at, n, part, parts, together);
    restore(before);
    return refused;
}

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
            if (compute(what, given, sizes, mine, PARTS(now), &all)) __atomic_store_n(&failed, 1, __ATOMIC_RELAXED);
            __atomic_add_fetch(&finished, 1, __ATOMIC_RELEASE);
        }
    }
    return NULL;
}

/* a call in so many parts; gives 0, or another number where an operation refused a value */
int work(task *t, void *const *at, const int64_t *n, int parts) {
    if (parts < 2 || pthread_mutex_trylock(&busy)) return compute(t, at, n, 0, 1, NULL);
    while (workers < parts - 1 && workers < MOST) {
        pthread_t thread;
        born[workers].number = workers + 1, born[workers].seen = call;
        if (pthread_create(&thread, NULL, worker, (void *)(intptr_t)workers)) break;
        pthread_detach(thread);
        workers++;
    }
    what = t, given = at, sizes = n, finished = failed = 0;
    all.parts = workers + 1 < parts ? workers + 1 : parts;
    pthread_mutex_lock(&door);
    __atomic_store_n(&call, ((call >> 8) + 1) << 8 | all.parts, __ATOMIC_RELEASE);
    if (asleep) pthread_cond_broadcast(&bell);
    pthread_mutex_unlock(&door);
    int refused = compute(t, at, n, 0, all.parts, all.parts > 1 ? &all : NULL);
    int patience = 4000;
    while (__atomic_load_n(&finished, __ATOMIC_ACQUIRE) < all.parts - 1) rest(&patience);
    refused |= failed;
    pthread_mutex_unlock(&busy);
    return refused;
}

/* after a fork the workers are gone */
void forget(void) {
    workers = asleep = 0;
    call = 0, all.arrived = 0;
    pthread_mutex_init(&busy, NULL);
    pthread_mutex_init(&door, NULL);
    pthread_cond_init(&bell, NULL);
}
