/* glob.h: which files of a repository are wanted: Python's fnmatchcase, as the Hub's tools do.
 *
 * `*` and `?` match "/" too; [seq] and [!seq]; no escape; an unclosed "[" is literal; the whole
 * path must match. "\" in pattern or path is read as "/"; a pattern that ends in "/" gets a "*".
 * libc's fnmatch differs in each of these. Thread any */
#ifndef HUB_GLOB_H
#define HUB_GLOB_H

#include "base/error.h"
#include "base/strv.h"

enum { GLOB_MAX_CHARS = 1024 }; /* of a pattern; a longer one matches nothing */

/* fnmatch.fnmatchcase(path, pattern) of Python, nothing added. Characters are code points. */
int glob_match(strv pattern, strv path);

typedef struct hub_globs {
    const char *const *include; /* none: everything */
    size_t n_include;
    const char *const *exclude;
    size_t n_exclude;
} hub_globs;

/* Fails  ARG (a pattern is longer than GLOB_MAX_CHARS) */
mlxe_status globs_check(const hub_globs *globs, mlxe_error *err);
/* 1: any include (or none is given) and no exclude matches. */
int globs_want(const hub_globs *globs, strv path);

#endif
