/* pool.c: persistent workers, one run at a time.
 *
 *   caller: lock, describe the run, open it, epoch + 1, wake sleepers, take chunks, close it, wait
 *           until no worker is inside, unlock
 *   worker: epoch changed -> enter (inside + 1), is the run open? take chunks, leave (inside - 1)
 *
 * The run's description is plain memory. It is safe because a worker reads it only between enter
 * and leave after it has seen `open`, and the caller changes it only after it has closed the run
 * and has seen nobody inside: both sides use sequentially consistent operations, so one of the two
 * sees the other. A worker that wakes late finds the run closed and costs nobody anything.
 *
 * Sleep: after SPIN_NS without a run a worker counts itself in `sleepers` and waits for a change of
 * the epoch under the mutex; the caller takes the mutex only when somebody sleeps.
 *
 * Process-wide state (the design allows this pool), never torn down. After a fork the workers do
 * not exist in the child, and locks may be held by threads that are gone: a handler of fork tells
 * the child before anything is touched (asking for the process id is a system call a run). */
#define _GNU_SOURCE
#include "kernels/pool.h"

#include "base/thread.h"
#include "kernels/internal.h"

#include <stdlib.h>

#if defined(__x86_64__)
#include <immintrin.h>
#define RELAX() _mm_pause()
#elif defined(__aarch64__)
#define RELAX() __asm__ volatile("yield")
#else
#define RELAX() ((void)0)
#endif

#define SPIN_NS 200000 /* longer than from one step of a decode to the next */

enum owner { NOBODY, THIS_PROCESS, PARENT };

typedef struct pool {
    pthread_mutex_t lock; /* one run, or one start, at a time */
    pthread_mutex_t sleep;
    pthread_cond_t wake, left;
    int threads;           /* the caller included; 0: not started */
    unsigned char *memory; /* scratch of workers 1 .. threads-1 */
    atomic_int count;      /* threads, for readers without the lock */
    atomic_int owner;      /* enum owner */
    atomic_uint epoch;
    atomic_int sleepers, open, inside, caller_waits;
    /* the run */
    kn_task task;
    void *ctx;
    int n_chunks;
    const atomic_int *cancel;
    atomic_int next, dropped;
} pool;

static pool P = {
    .lock = PTHREAD_MUTEX_INITIALIZER,
    .sleep = PTHREAD_MUTEX_INITIALIZER,
    .wake = PTHREAD_COND_INITIALIZER,
    .left = PTHREAD_COND_INITIALIZER,
};

static _Thread_local int in_run; /* this thread takes chunks */

/* The caller's scratch exists before any start, so that a run cannot run out of memory. */
static _Alignas(64) unsigned char caller_scratch[KN_SCRATCH_BYTES];

void *kn_scratch(int worker)
{
    if (worker == 0) return caller_scratch;
    return P.memory + (size_t)(worker - 1) * KN_SCRATCH_BYTES;
}

static int cancelled(const atomic_int *flag)
{
    return flag && atomic_load_explicit(flag, memory_order_relaxed);
}

static void take_chunks(int worker)
{
    in_run = 1;
    for (;;) {
        int chunk = atomic_fetch_add_explicit(&P.next, 1, memory_order_relaxed);
        if (chunk >= P.n_chunks) break;
        if (cancelled(P.cancel)) {
            atomic_store_explicit(&P.dropped, 1, memory_order_relaxed);
            atomic_store_explicit(&P.next, P.n_chunks, memory_order_relaxed);
            break;
        }
        P.task(P.ctx, chunk, P.n_chunks, worker);
    }
    in_run = 0;
}

/* -> the new epoch */
static unsigned await_epoch(unsigned seen)
{
    int64_t until = clock_ns() + SPIN_NS;
    unsigned now;
    do {
        for (int i = 0; i < 32; i++) {
            now = atomic_load(&P.epoch);
            if (now != seen) return now;
            RELAX();
        }
    } while (clock_ns() < until);
    pthread_mutex_lock(&P.sleep);
    atomic_fetch_add(&P.sleepers, 1);
    while ((now = atomic_load(&P.epoch)) == seen)
        pthread_cond_wait(&P.wake, &P.sleep);
    atomic_fetch_sub(&P.sleepers, 1);
    pthread_mutex_unlock(&P.sleep);
    return now;
}

static void *work(void *arg)
{
    int worker = (int)(intptr_t)arg;
    unsigned seen = 0;
    for (;;) {
        seen = await_epoch(seen);
        atomic_fetch_add(&P.inside, 1);
        if (atomic_load(&P.open)) take_chunks(worker);
        if (atomic_fetch_sub(&P.inside, 1) == 1 && atomic_load(&P.caller_waits)) {
            pthread_mutex_lock(&P.sleep);
            pthread_cond_signal(&P.left);
            pthread_mutex_unlock(&P.sleep);
        }
    }
    return NULL;
}

static void in_child(void) { atomic_store(&P.owner, PARENT); }

/* Whether this process may use the pool; the first user claims it. Two first users at once may both
 * set the handler: it may run twice. */
static int own_process(void)
{
    int owner = atomic_load_explicit(&P.owner, memory_order_relaxed);
    if (owner != NOBODY) return owner == THIS_PROCESS;
    if (pthread_atfork(NULL, NULL, in_child)) return 0;
    atomic_store(&P.owner, THIS_PROCESS);
    return 1;
}

static mlxe_status start_locked(int threads, mlxe_error *err)
{
    size_t bytes = (size_t)(threads - 1) * KN_SCRATCH_BYTES;
    if (threads > 1) {
        P.memory = aligned_alloc(64, bytes);
        if (!P.memory) return err_memory(err, "kernel pool", bytes);
    }
    for (int i = 1; i < threads; i++) {
        pthread_t thread;
        mlxe_status rc = thread_start(&thread, "mlxe-kernel", work, (void *)(intptr_t)i, err);
        if (rc && i == 1) {
            free(P.memory);
            P.memory = NULL;
            return rc;
        }
        if (rc) { /* what runs cannot be taken back: the pool is as large as it got */
            threads = i;
            err_clear(err);
            break;
        }
        pthread_detach(thread);
    }
    P.threads = threads;
    atomic_store(&P.count, threads);
    return MLXE_OK;
}

mlxe_status kn_pool_start(int threads, mlxe_error *err)
{
    mlxe_status rc = MLXE_OK;
    if (threads < 0 || threads > KN_MAX_THREADS)
        return err_set(err, MLXE_E_ARG, "threads: got %d, want 0 .. %d", threads, KN_MAX_THREADS);
    if (!own_process())
        return err_set(err, MLXE_E_STATE, "kernel pool: it belongs to the parent of this process");
    pthread_mutex_lock(&P.lock);
    if (!P.threads) {
        rc = start_locked(threads ? threads : kn_usable_cpus(), err);
    } else if (threads && threads != P.threads) {
        rc = err_set(err, MLXE_E_STATE, "threads: got %d, but the process runs with %d already",
                     threads, P.threads);
    }
    pthread_mutex_unlock(&P.lock);
    return rc;
}

int kn_pool_threads(void)
{
    int count = atomic_load(&P.count);
    return count ? count : 1;
}

/* Until the workers inside have finished their last chunk: some ms at worst, mostly nothing. */
static void await_workers(void)
{
    int64_t until;
    if (!atomic_load(&P.inside)) return;
    until = clock_ns() + SPIN_NS;
    do {
        for (int i = 0; i < 32; i++) {
            if (!atomic_load(&P.inside)) return;
            RELAX();
        }
    } while (clock_ns() < until);
    pthread_mutex_lock(&P.sleep);
    atomic_store(&P.caller_waits, 1);
    while (atomic_load(&P.inside))
        pthread_cond_wait(&P.left, &P.sleep);
    atomic_store(&P.caller_waits, 0);
    pthread_mutex_unlock(&P.sleep);
}

static void share_run(void)
{
    atomic_store(&P.open, 1);
    atomic_fetch_add(&P.epoch, 1);
    if (atomic_load(&P.sleepers)) {
        pthread_mutex_lock(&P.sleep);
        pthread_cond_broadcast(&P.wake);
        pthread_mutex_unlock(&P.sleep);
    }
    take_chunks(0);
    atomic_store(&P.open, 0);
    await_workers();
}

mlxe_status kn_run(kn_task task, void *ctx, int n_chunks, const atomic_int *cancel)
{
    int dropped;
    if (in_run || !own_process()) return MLXE_E_STATE;
    pthread_mutex_lock(&P.lock);
    P.task = task;
    P.ctx = ctx;
    P.n_chunks = n_chunks;
    P.cancel = cancel;
    atomic_store_explicit(&P.next, 0, memory_order_relaxed);
    atomic_store_explicit(&P.dropped, 0, memory_order_relaxed);
    if (n_chunks > 1 && P.threads > 1)
        share_run();
    else
        take_chunks(0);
    dropped = atomic_load_explicit(&P.dropped, memory_order_relaxed);
    pthread_mutex_unlock(&P.lock);
    return dropped || (!n_chunks && cancelled(cancel)) ? MLXE_E_CANCELLED : MLXE_OK;
}
