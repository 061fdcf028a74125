/* describe.h: what a model folder holds, as the JSON object of `show`; no weight is read. */
#ifndef REGISTRY_DESCRIBE_H
#define REGISTRY_DESCRIBE_H

#include "base/buf.h"

/* id: the name that the caller used. Appends to out. Fails NOT_FOUND, CORRUPT, MEMORY */
mlxe_status describe_folder(const char *id, const char *folder, buf *out, mlxe_error *err);

#endif
