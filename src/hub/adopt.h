/* adopt.h: files that are on this machine already become blobs of the cache, by link, never by
 * copy. */
#ifndef HUB_ADOPT_H
#define HUB_ADOPT_H

#include "hub/cache.h"
#include "hub/hub.h"

typedef struct adopt_from {
    const char *folder; /* holds the repository's files under their paths; NULL: none was named */
    const char *home;   /* LM Studio's and Ollama's folders are below it; NULL: not looked for */
} adopt_from;

/* Makes blobs/<etag> of an entry be a hard link to a file of the same content, when one of the
 * places has it and its hash is right. The snapshot's folder need not exist; takes the blob's lock
 * if it is free. -> 1: the blob is there now */
int adopt_blob(const char *cache, const char *repo, const char *repo_name, const char *id,
               const hub_entry *entry, const adopt_from *from, const hub_watch *watch,
               const log_sink *log);

#endif
