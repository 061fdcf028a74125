/* names.h: what the Hub calls things, checked before any use: ids, revisions, paths, hashes.
 *
 *   id        name | ns/name                        [A-Za-z0-9_.-], name 1..96, no "--", no ".."
 *   revision  branch | tag | refs/pr/N | commit     one percent-encoded segment in URLs, a file
 *                                                   under refs/ here
 *   path      a/b/c                                 UTF-8, no "..", no drive, no backslash
 *
 * Every check is a pure function: no disk, no network. Thread any.
 * Source: huggingface_hub's validate_repo_id and its rules for file names; ours are stricter. */
#ifndef HUB_NAMES_H
#define HUB_NAMES_H

#include "base/buf.h"

enum { HUB_COMMIT_CHARS = 40, HUB_ETAG_CHARS = 128 };

typedef enum hub_type { HUB_MODEL, HUB_DATASET, HUB_SPACE } hub_type;

const char *hub_type_plural(hub_type type);     /* "models", ... of API URLs and cache folders */
const char *hub_type_url_prefix(hub_type type); /* "", "datasets/", "spaces/" */

/* Fails  ARG, naming what is wrong */
mlxe_status hub_id_check(strv id, mlxe_error *err);
mlxe_status hub_revision_check(strv revision, mlxe_error *err);
/* Fails  CORRUPT: such a name is never written to the disk */
mlxe_status hub_path_check(strv path, mlxe_error *err);

int hub_is_commit(strv text); /* 40 lower-case hex digits */
int hub_is_hex(strv text, size_t digits);
/* 1: can name a blob: [A-Za-z0-9][A-Za-z0-9._-]{0,127}, not ending in ".incomplete". */
int hub_etag_usable(strv etag);
/* An ETag header's value without "W/" and quotes; borrowed from value. */
strv hub_etag_plain(strv value);

/* Parts of "ns/name@revision"; revision is {NULL,0} when there is none. Checks nothing. */
void hub_name_split(const char *name, strv *id, strv *revision);

/* Appends text percent-encoded: all but [A-Za-z0-9_.~-], and "/" too unless keep_slash. */
typedef enum hub_escape { HUB_ESCAPE_ALL, HUB_ESCAPE_KEEP_SLASH } hub_escape;
void hub_escape_add(buf *out, strv text, hub_escape what);

#endif
