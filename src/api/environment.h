/* environment.h: the one place where the library reads the environment.
 *
 * Read when an engine or a hub is opened, and by the calls that need neither but are given a Hub id
 * (mlxe_model_describe, mlxe_tokenizer_open, mlxe_template_open). */
#ifndef API_ENVIRONMENT_H
#define API_ENVIRONMENT_H

#include "hub/config.h"

/* A variable's value, or NULL. */
const char *environment_get(const char *name);
/* The Hub's settings as HF_* and its like say. Fails ARG, MEMORY */
mlxe_status environment_hub(const log_sink *log, hub_config *out, mlxe_error *err);

#endif
