/* hub.h: the Hub's handle, and calls of it that run as jobs on a thread of their own. */
#ifndef API_HUB_H
#define API_HUB_H

#include "api/api.h"
#include "hub/hub.h"

struct mlxe_hub {
    hub *hub;
    atomic_int references;
    int process;
};

/* What a hub job does: `answer` gets the JSON that its DONE event shows. */
typedef mlxe_status (*hub_work)(mlxe_hub *h, void *request, const hub_watch *watch, job *j,
                                buf *answer, mlxe_error *err);

/* Starts work on a thread. request is owned: drop frees it when the work has ended, or at once
 * when this fails. deadline_ms 0: none. Fails MEMORY, STATE (forked child) */
mlxe_status hub_job_start(mlxe_hub *h, hub_work work, void *request, void (*drop)(void *),
                          uint32_t deadline_ms, mlxe_job **out, mlxe_error *err);

/* The folder of MODEL; a Hub id that is not in the cache is fetched, and the log tells it.
 * h: NULL: one is opened as the environment says. log may be NULL */
mlxe_status api_resolve(hub *h, const log_sink *log, const char *name, buf *folder,
                        mlxe_error *err);

/* "org/name[@revision]" taken apart and checked; id and revision are appended to their buffers. */
mlxe_status hub_name_read(const char *name, buf *id, buf *revision, mlxe_error *err);

#endif
