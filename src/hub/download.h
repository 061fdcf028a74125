/* download.h: files of one commit made present in the cache, several at a time. */
#ifndef HUB_DOWNLOAD_H
#define HUB_DOWNLOAD_H

#include "hub/cache.h"
#include "hub/meter.h"
#include "hub/request.h"
#include "hub/tree.h"

/* What all files of a call share. */
typedef struct download {
    hub *h;
    const hub_repo *repo;
    const hub_watch *watch;
    buf cache, repo_dir, repo_name; /* the hub's cache, or the one of local_dir's state */
    char commit[HUB_COMMIT_CHARS + 1];
    int force, no_links;
    const char *from, *local_dir; /* hub_want's */
    meter count;
} download;

typedef struct download_file {
    const hub_entry *entry; /* what the listing says; NULL: not known, path only */
    hub_meta *meta;         /* what its HEAD said; NULL: to be asked */
    strv path;              /* NUL-terminated */
    int present;            /* 1: was there */
    mlxe_status status;
    mlxe_error error;
} download_file;

/* Keeps what a revision is now, but no file of it: the commit's listing, its snapshot's folder, the
 * ref. fault tells what a failure means. */
mlxe_status download_listing(hub *h, const hub_repo *repo, const hub_watch *watch, hub_fault *fault,
                             mlxe_error *err);

/* Fills cache, repo_dir and repo_name. Fails MEMORY */
mlxe_status download_open(download *d, hub *h, const hub_repo *repo, const hub_want *want,
                          const hub_watch *watch, mlxe_error *err);
void download_close(download *d);

/* 1 and *bytes: snapshots/<commit>/<path> is there, with the size that the entry (or NULL) says; in
 * local_dir: the file is known to be the entry's. */
int download_present(const download *d, strv path, const hub_entry *entry, uint64_t *bytes);

/* Fails FIT when the disk has less room than `bytes` and some reserve. */
mlxe_status download_room(const download *d, uint64_t bytes, mlxe_error *err);

/* HEAD of a file, tried again as the policy says. */
mlxe_status download_head(download *d, requester *r, const char *url, uint64_t listed_bytes,
                          hub_meta *meta, hub_fault *fault, mlxe_error *err);

/* Fetches every file that is not present: each gets its status. -> the first failure's status, with
 * the number of failures in the message */
mlxe_status download_files(download *d, download_file *files, size_t n, mlxe_error *err);

#endif
