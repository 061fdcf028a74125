/* tree.h: the files of one commit, as the Hub lists them and as the cache keeps them.
 *
 *   API    [{"type":"file","path","size","oid","lfs":{"oid","size"}}, ...]   pages
 *   cache  trees/<commit>.json {"format_version":1,"files":{path:{"size","blob_id",..}}}
 *
 * A tree is only ever complete: what is partial is never stored. Every path in it has passed
 * hub_path_check, no path occurs twice, none is both file and folder. Immutable once open. */
#ifndef HUB_TREE_H
#define HUB_TREE_H

#include "base/arena.h"
#include "base/buf.h"
#include "hub/names.h"

#include <stdint.h>

typedef struct hub_entry {
    strv path;     /* NUL-terminated */
    uint64_t size; /* bytes of the content */
    strv oid;      /* git blob sha1, 40 hex; of the pointer for LFS */
    strv sha256;   /* LFS: of the content, 64 hex; else {NULL,0} */
    strv xet_hash; /* as listed; else {NULL,0} */
} hub_entry;

typedef struct hub_tree {
    arena memory;
    hub_entry *entries; /* in the order listed */
    size_t n, cap;
} hub_tree;

/* The name of an entry's blob: sha256 for LFS, else oid. */
static inline strv hub_entry_etag(const hub_entry *e) { return e->sha256.n ? e->sha256 : e->oid; }
/* The order of paths with "/" before every other byte: a folder's files follow its own name. */
int hub_path_order(strv x, strv y);
const hub_entry *hub_tree_find(const hub_tree *tree, strv path); /* NULL: not listed */

/* Adds the files of one page of the API. where: for messages. Fails CORRUPT, LIMIT, MEMORY */
mlxe_status hub_tree_add_page(hub_tree *tree, const char *where, const char *text, size_t bytes,
                              mlxe_error *err);
/* After the last page: no path twice, none both file and folder. Fails CORRUPT */
mlxe_status hub_tree_check(hub_tree *tree, const char *where, mlxe_error *err);

/* Reads or writes trees/<commit>.json. An absent, corrupt or newer file is NOT_FOUND: it is to be
 * fetched again. */
mlxe_status hub_tree_load(const char *file, hub_tree *tree, mlxe_error *err);
void hub_tree_write(const hub_tree *tree, buf *out);
void hub_tree_deinit(hub_tree *tree);

#endif
