/* clash.h: names of a listing that the file system here would take for one another. */
#ifndef HUB_CLASH_H
#define HUB_CLASH_H

#include "base/error.h"
#include "base/strv.h"

/* Looks for two paths that are one file below folder, or a file and another's folder, since the
 * file system there does not tell letters' case, or how a letter is composed. folder need not
 * exist; nothing is left in it. where: for the message.
 * Fails  CORRUPT naming both, MEMORY */
mlxe_status clash_check(const strv *paths, size_t n, const char *folder, const char *where,
                        mlxe_error *err);

#endif
