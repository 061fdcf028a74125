/* resolve.h: from MODEL, as people write it, to a folder. */
#ifndef REGISTRY_RESOLVE_H
#define REGISTRY_RESOLVE_H

#include "base/buf.h"

/* Appends the folder of a model: a folder itself, or the name of a pocket model.
 * Fails  NOT_FOUND, UNSUPPORTED (.gguf), MEMORY */
mlxe_status resolve_model(const char *name, buf *folder, mlxe_error *err);
/* 1: name reads as org/name[@revision] and not as a path. */
int resolve_is_hub_id(const char *name);

/* Appends the folder that this library was loaded from, without a slash at its end. */
mlxe_status resolve_library_folder(buf *out, mlxe_error *err);

#endif
