/* log.h: the log callback of an engine, passed down by pointer; there is no global log. */
#ifndef BASE_LOG_H
#define BASE_LOG_H

#include "base/error.h"

typedef struct log_sink {
    mlxe_log_fn fn; /* NULL: silent */
    void *user;
    mlxe_log_level level;
} log_sink;

/* One line; nothing is formatted when the level is not asked for. sink may be NULL. Thread any */
void log_line(const log_sink *sink, mlxe_log_level level, const char *fmt, ...) BASE_PRINTF(3, 4);

#endif
