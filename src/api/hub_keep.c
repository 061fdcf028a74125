/* hub_keep.c: upkeep of the Hub's cache as jobs: list, remove, verify, collect garbage. */
#include "api/hub.h"
#include "hub/cache_keep.h"

#include <stdlib.h>

typedef struct keeping {
    buf id, revision;
    int flag; /* verify: repair; gc: dry run */
} keeping;

static void keeping_drop(void *p)
{
    keeping *k = p;
    if (!k) return;
    buf_deinit(&k->id);
    buf_deinit(&k->revision);
    free(k);
}

static const char *revision_of(const keeping *k)
{
    return k->revision.n ? buf_str(&k->revision) : NULL;
}

static mlxe_status start(mlxe_hub *h, const char *name, int flag, hub_work work, mlxe_job **out,
                         mlxe_error *err)
{
    keeping *k = calloc(1, sizeof *k);
    mlxe_status rc = k ? MLXE_OK : err_memory(err, "request", sizeof *k);
    *out = NULL;
    if (!rc) k->flag = flag;
    if (!rc && name) rc = hub_name_read(name, &k->id, &k->revision, err);
    if (!rc) return hub_job_start(h, work, k, keeping_drop, 0, out, err);
    keeping_drop(k);
    return rc;
}

static mlxe_status list_work(mlxe_hub *h, void *request, const hub_watch *watch, job *j,
                             buf *answer, mlxe_error *err)
{
    (void)request;
    (void)watch;
    (void)j;
    return keep_list(hub_cache(h->hub), answer, err);
}

static mlxe_status remove_work(mlxe_hub *h, void *request, const hub_watch *watch, job *j,
                               buf *answer, mlxe_error *err)
{
    const keeping *k = request;
    (void)watch;
    (void)j;
    return keep_remove(hub_cache(h->hub), HUB_MODEL, buf_str(&k->id), revision_of(k), answer, err);
}

static mlxe_status verify_work(mlxe_hub *h, void *request, const hub_watch *watch, job *j,
                               buf *answer, mlxe_error *err)
{
    const keeping *k = request;
    int good;
    (void)j;
    return keep_verify(hub_cache(h->hub), HUB_MODEL, buf_str(&k->id), revision_of(k),
                       k->flag ? h->hub : NULL, watch, &good, answer, err);
}

static mlxe_status gc_work(mlxe_hub *h, void *request, const hub_watch *watch, job *j, buf *answer,
                           mlxe_error *err)
{
    const keeping *k = request;
    (void)watch;
    (void)j;
    return keep_gc(hub_cache(h->hub), k->flag ? KEEP_GC_DRY_RUN : KEEP_GC_REMOVE, answer, err);
}

mlxe_status mlxe_hub_list(mlxe_hub *h, mlxe_job **out, mlxe_error *err)
{
    err_clear(err);
    return start(h, NULL, 0, list_work, out, err);
}

mlxe_status mlxe_hub_remove(mlxe_hub *h, const char *name, mlxe_job **out, mlxe_error *err)
{
    err_clear(err);
    return start(h, name, 0, remove_work, out, err);
}

mlxe_status mlxe_hub_verify(mlxe_hub *h, const char *name, int repair, mlxe_job **out,
                            mlxe_error *err)
{
    err_clear(err);
    return start(h, name, repair != 0, verify_work, out, err);
}

mlxe_status mlxe_hub_collect(mlxe_hub *h, int dry_run, mlxe_job **out, mlxe_error *err)
{
    err_clear(err);
    return start(h, NULL, dry_run != 0, gc_work, out, err);
}
