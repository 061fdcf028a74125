/* environment.c: getenv, and nothing else of the library calls it. */
#include "api/environment.h"

#include <stdlib.h>

const char *environment_get(const char *name) { return getenv(name); }

static const char *get(void *user, const char *name)
{
    (void)user;
    return getenv(name);
}

mlxe_status environment_hub(const log_sink *log, hub_config *out, mlxe_error *err)
{
    return config_read(get, NULL, log, out, err);
}
