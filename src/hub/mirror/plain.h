/* plain.h: an org/name folder of plain files as a repository: what it holds, under which commit. */
#ifndef HUB_MIRROR_PLAIN_H
#define HUB_MIRROR_PLAIN_H

#include "hub/mirror/mirror.h"

typedef struct plain_file {
    char *path; /* relative */
    struct stat info;
} plain_file;

typedef struct plain_files {
    plain_file *files; /* by path */
    size_t n, cap;
} plain_files;

/* Lists a folder. Left out: links, what is no regular file, dot files but .gitattributes, names
 * that the Hub does not know. Fails IO, LIMIT, MEMORY */
mlxe_status plain_list(const char *folder, plain_files *out, mlxe_error *err);
void plain_deinit(plain_files *files);
/* A commit that changes with any name, size or time. */
mlxe_status plain_commit(const plain_files *files, char commit[HUB_COMMIT_CHARS + 1],
                         mlxe_error *err);
/* 1: there is a regular file right in the folder. */
int plain_has_files(const char *folder);

/* 1: git LFS holds such a file: by the folder's .gitattributes, else as the Hub does by default. */
int plain_is_lfs(const char *attributes, const char *path, uint64_t bytes);
/* The folder's .gitattributes, appended; nothing when there is none. */
void plain_attributes(const char *folder, buf *out);

/* Opens folder/path without following a link; -1: not there, or no regular file. */
int plain_open(const char *folder, const char *path, struct stat *info);

#endif
